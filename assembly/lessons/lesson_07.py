"""Lesson 7, bottlenecks and any graph: the smallest in-degree is the width."""

from assembly.lessons.question import Choice, Number

TITLE = "Bottlenecks and any graph: the smallest in-degree"
EXPLORER = "builder=mlp&width=64&depth=2&middle=4&panel=assembly"
QUESTIONS = {
    "width": Number(
        "A graph has 3 inputs. Twelve neurons read all of them. A neuron h reads 7 of the twelve, a neuron g all "
        "twelve and h, and the output reads the twelve, g and h. What is its width?",
        7.0,
        0.5,
        [
            (3.0, "That is the in-degree of the first layer. What it reads are inputs, which have no parameters."),
            (12.0, "Is that the in-degree of every neuron above the first layer?"),
            (13.0, "That is the in-degree of g. Which neuron above the first layer reads fewer?"),
            (14.0, "That is the in-degree of the output. The width is a minimum."),
            (1.0, "How many neurons stand in a layer does not matter: count the edges that enter one."),
        ],
        why="The neuron h has the fewest parents of all that do not read inputs only.",
        hint="Write down the in-degree of every neuron that reads another neuron, and of the output.",
    ),
    "neurons": Number(
        "In the uneven family a layer has n = m^(3/2) neurons. With the exponent that theory gives in m, which "
        "exponent does the norm of the Hessian have in n?",
        -1.0 / 3.0,
        0.02,
        [
            (-0.5, "That is the exponent in m. Write m as a power of n."),
            (-0.75, "You multiplied by 3/2. If n = m^(3/2), which power of n is m?"),
            (1.0 / 3.0, "The sign: does the norm grow with the number of neurons?"),
            (-2.0 / 3.0, "That power belongs to m itself. The norm is a power of m again."),
        ],
        why="m = n^(2/3), and the norm falls like m^(-1/2): many more neurons buy little where some read few.",
        hint="Replace m in m^(-1/2) by a power of n.",
    ),
    "neck": Number(
        "Layers of (512, k, 512): with m = 512 fixed, which exponent in k does theory give to the norm of the Hessian, "
        "for k well below 512?",
        -0.5,
        0.03,
        [
            (0.0, "So it is in m, with k fixed. What is the width of this network?"),
            (-1.0, "Too fast: what does the norm of an assembly do when the number of its parts is doubled?"),
            (0.5, "The sign: do more parts in the neck make it more curved, or less?"),
            (
                -0.4,
                "You may have measured it, and well: few parts are no crowd yet. The question is what theory gives.",
            ),
            (-0.25, "Which power of their number does the norm of an assembly of k parts fall with?"),
        ],
        why="The width is k: the neurons of the third layer are assemblies of k parts. Measured over small k the "
        "exponent is nearer to 0.",
        hint="The norm falls like the -1/2 power of the number of parts of the smallest assembly on the way.",
    ),
    "rescue": Choice(
        "Layers of (m, 1, m). Which change makes the norm of the Hessian fall again as m grows?",
        "connections around the neck",
        {
            "wider layers on both sides": "That is larger m. In which formula of this page did m help?",
            "a linear neuron in the neck": "Then what lies above is a function of a single number: does it still bend?",
            "another narrow layer": "Count the parents above the second one. And does the first one go away?",
            "smaller weights above the neck": "A small factor makes everything small, also the gradient: compare them.",
        },
        why="With edges from the first layer to the third every neuron has m parents again, and the neck is only one.",
    ),
}
