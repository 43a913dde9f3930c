"""Lesson 5, assemblies of assemblies: every pre-activation becomes linear, every activation bends again."""

from assembly.lessons.question import Choice, Number

TITLE = "Assemblies of assemblies: the recursion"
EXPLORER = "builder=mlp&width=64&depth=3&panel=assembly"
QUESTIONS = {
    "first": Number(
        "What is the norm of the Hessian of a pre-activation in the first hidden layer, in its weights?",
        0.0,
        1e-9,
        [
            (0.77, "So large the Hessian of a tanh activation can be. The pre-activation is what stands inside."),
            (1.0, "That is the squared length of its gradient. Differentiate once more."),
            (-0.5, "That is an exponent. In which weights is w . x / sqrt(d) not a straight line?"),
            (0.125, "That is the factor of a first derivative here. What is the second derivative?"),
        ],
        why="It is linear in its weights, exactly and at any width: inputs have no parameters.",
        hint="Differentiate w . x / sqrt(d) twice in w.",
    ),
    "nested": Number(
        "16 parts, each an assembly of 16 tanh neurons: all coefficients are fixed at +1 or -1, nothing is shared, and "
        "each scale is sqrt(16). If every neuron has a Hessian of norm 1, what is the norm of the whole Hessian?",
        0.0625,
        0.002,
        [
            (0.25, "That is one stage. The parts are assemblies themselves."),
            (1.0, "So it would be without the scales. There are blocks within blocks: what divides the largest?"),
            (0.00390625, "You divided by the number of neurons. The scale is its root."),
            (0.5, "Two stages divide one after the other. By how much does each?"),
        ],
        why="Two stages, each with a maximum and a scale: as if all 256 neurons stood side by side.",
        hint="Find the norm of one part first, and use it in the formula of the maximum again.",
    ),
    "stays": Choice(
        "In a network of width m, what of these keeps the same order of size as m grows?",
        "the first term of H(a)",
        {
            "the second term of H(a)": "It holds the Hessian of a pre-activation. Which line of the picture is that?",
            "the norm of H(z)": "Look for its line in the picture: is it the flat one?",
            "the naive bound": "It adds m terms of order 1 and divides by sqrt(m). What is left?",
            "nothing": "The length of the gradient of z is one such thing. What is made of it and of the second "
            "derivative of the activation function?",
        },
        why="Each activation function bends its neuron anew, and the next assembly straightens it out.",
    ),
    "aligned": Number(
        "Suppose the directions of all m parts were the same instead of at right angles, and all coefficients +1. "
        "With which power of m would the first terms of H(a) add up in the next pre-activation?",
        0.5,
        0.02,
        [
            (-0.5, "That is for right angles, where the sum has the norm of its largest term. Here the terms add up."),
            (0.0, "That is for one direction and random signs. Here the signs are equal too."),
            (1.0, "So it is before the scale divides."),
            (-1.0, "The terms add up, they do not cancel. How many are there, and what is the scale?"),
        ],
        why="m equal terms over the root of m: the triangle inequality is sharp where nothing is diverse.",
        hint="Add m equal matrices of norm 1 and divide by the scale.",
    ),
}
