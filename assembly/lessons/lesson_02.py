"""Lesson 2, many weak ones: the gradient adds in quadrature, the Hessian takes a maximum."""

from assembly.lessons.question import Choice, Number

TITLE = "Many weak ones: quadrature and maximum"
EXPLORER = "builder=mlp&width=256&depth=1&panel=assembly"
QUESTIONS = {
    "gradient": Number(
        "100 parts have parameters of their own, a gradient of length 1 each, and coefficients +1 or -1; the scale is "
        "10. How long is the gradient of the assembly?",
        1.0,
        0.01,
        [
            (10.0, "You added the lengths. Do the pieces point in the same direction?"),
            (0.1, "That is the piece of one part. There are 100 of them, at right angles."),
            (100.0, "You added the lengths, and the scale is missing too."),
            (0.0, "Signs cancel where numbers are added. Do pieces that stand in different places meet?"),
        ],
        why="The sum of 100 squares of 1/10, and its root: lengths at right angles add in quadrature.",
        hint="Each piece has length 1/10. Square, add, take the root.",
    ),
    "blocks": Number(
        "Four parts have parameters of their own, Hessians of norm 3, 1, 2 and 2, and coefficients +1; the scale is 2. "
        "What is the norm of the Hessian of the assembly?",
        1.5,
        0.01,
        [
            (4.0, "You added the norms. Is there a direction of length 1 in which all four bend fully?"),
            (2.1213, "That is quadrature, which is for the pieces of a gradient. Think of the eigenvalues of blocks."),
            (1.0, "That is an average. An eigenvalue of a matrix of blocks belongs to one of them: to which?"),
            (3.0, "That is the right block. What has the scale done to it?"),
        ],
        why="The largest block, divided by the scale.",
        hint="The Hessian is a matrix of blocks: which one has the largest eigenvalue, and what divides it?",
    ),
    "wider": Number(
        "An assembly of neurons with coefficients +1 and -1 grows from 64 parts to 1024. By which factor, nearly, is "
        "the norm of its Hessian multiplied?",
        0.25,
        0.01,
        [
            (0.0625, "That is the inverse of how many times more parts there are. Which power of it is needed?"),
            (4.0, "That is what the sum of the norms does. What does the maximum do?"),
            (1.0, "That is the gradient. The maximum stays, but the scale divides it."),
            (0.5, "That is right for a smaller step: how many times more parts are there?"),
        ],
        why="The maximum stays and the scale grows by the root of 16.",
        hint="The maximum is nearly the same for both. By which factor does the scale grow?",
    ),
    "logarithm": Choice(
        "With normal coefficients the fitted exponent of the norm of the Hessian is nearer to 0 than -1/2. Why?",
        "the largest coefficient grows",
        {
            "the parts share parameters": "Each neuron has weights of its own. What else is in the formula?",
            "the gradient grows": "It is an average of v_i^2 times something of order 1. What is the mean of v_i^2?",
            "there are too few networks": "Then the interval would be wide. Is it?",
            "the neurons bend more": "The same neurons stand in both assemblies. What else is in the maximum?",
        },
        why="The maximum of m normal numbers is about sqrt(2 log m), and a fit takes the logarithm for a power.",
    ),
}
