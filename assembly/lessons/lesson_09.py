"""Lesson 9, when it fails: a bent output, training all the same, and lazy scaling."""

from assembly.lessons.question import Choice, Number

TITLE = "When it fails, and training works all the same"
EXPLORER = "builder=mlp&width=512&depth=2&output_activation=tanh&direction=gradient&panel=linear"
QUESTIONS = {
    "floor": Number(
        "At some input the assembly before the output has f = 0.5 and |grad f| = 1, at every width. The output is tanh "
        "of it. To which number does the norm of its Hessian tend as the width grows? (Three digits.)",
        0.7269,
        0.001,
        [
            (0.0, "That is the limit of the second term. What of the first?"),
            (0.786, "That is the first derivative of tanh there. Which derivative stands before the gradients?"),
            (0.462, "That is tanh itself there. Which derivative stands before the gradients?"),
            (0.363, "The second derivative of tanh is -2 tanh (1 - tanh^2): is the factor there?"),
            (-0.7269, "That is the eigenvalue. A norm has no sign."),
        ],
        why="The second term vanishes, and the first has the norm |tanh''(0.5)| |grad f|^2.",
        hint="Let H go to 0 in the formula for the Hessian of phi(f). What is the norm of what is left?",
    ),
    "fits": Choice(
        "What is enough for gradient flow to bring the squared loss to 0 at an exponential rate?",
        "a smallest kernel eigenvalue that stays away from 0",
        {
            "a constant kernel": "If K is constant but has the eigenvalue 0, what happens to that part of the error?",
            "a small Hessian": "A straight function may still be unable to reach the targets: see the bound.",
            "parameters that stay near the start": "In which line of the bound does the distance occur?",
            "a large width": "Take the bound on the loss: which number in it must be kept from vanishing?",
        },
        why="Then the loss falls at least like exp(-2 lambda t), whether or not the kernel changes.",
    ),
    "alpha": Number(
        "A lazy network f = alpha (g - g0). Which exponent in alpha has |H| / |grad f|^2, the curvature per unit of "
        "output gained?",
        -1.0,
        0.02,
        [
            (0.0, "So it is for |H| / |grad f|. Here the gradient enters twice."),
            (1.0, "That is |H| alone. Which powers of alpha stand below?"),
            (-2.0, "That is what the two gradients below bring. And the Hessian above?"),
            (-0.5, "Nothing adds up in quadrature here: all derivatives are simply multiplied."),
        ],
        why="The Hessian is multiplied by alpha, and the square of the gradient by alpha^2.",
        hint="By what is every derivative of f multiplied? Count the powers above and below.",
    ),
    "apart": Choice(
        "Two networks keep their tangent kernels within 0.1 % while they are trained to the same loss; one is wide, "
        "the other is lazy. Which measurement tells which is which?",
        "how far the parameters moved",
        {
            "the change of the kernel": "It is the same in both, by assumption.",
            "the loss at the end": "Both fit. Look for what width and multiplication do to the way, not to the end.",
            "the number of steps": "That depends on the step size, which anybody may choose.",
            "the smallest eigenvalue of the kernel": "Multiply the output and the targets: what does it tell then?",
        },
        why="The lazy one has hardly left; the wide one has gone a distance of order 1 and is straight over it.",
    ),
}
