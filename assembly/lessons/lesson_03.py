"""Lesson 3, diversity: copies of a neuron do not count."""

from assembly.lessons.question import Choice, Number

TITLE = "Diversity: copies do not count"
EXPLORER = "builder=tied&width=256&depth=1&panel=assembly"
QUESTIONS = {
    "copies": Choice(
        "A network of m neurons is rebuilt from one neuron, repeated m times with the same weights and rescaled to an "
        "output of order 1. What does the norm of its Hessian do as m grows?",
        "stays",
        {
            "falls like 1/sqrt(m)": "So it is for m neurons with weights of their own. How many weights are there now?",
            "falls like 1/m": "Write the sum of m equal terms with its scale: how large is it, beside one term?",
            "grows like sqrt(m)": "So it would be without rescaling the output. What is left of the sum after that?",
        },
        why="The sum of m equal terms, rescaled, is that term: one neuron, and one neuron bends.",
    ),
    "slope": Number(
        "m neurons stand in groups of k = m^(1/4) copies. Which exponent does the norm of the Hessian have in m?",
        -0.375,
        0.01,
        [
            (-0.5, "That is the exponent for m diverse neurons. How many diverse ones are there here?"),
            (-0.25, "That is the exponent in the middle of the dial. Here the groups are smaller."),
            (-0.125, "You took the root of k. Which number takes the place of m in m^(-1/2)?"),
            (-0.75, "That is the power of m that counts the groups, with a sign. What does the norm do with it?"),
            (0.375, "The sign: with more groups, does each of them count more, or less?"),
        ],
        why="There are m/k = m^(3/4) diverse parts, and the norm falls like the -1/2 power of their number.",
        hint="Count the groups first: their number takes the place of m in m^(-1/2).",
    ),
    "start": Choice(
        "m neurons have parameters of their own, but all start at the same numbers. What does the norm of the Hessian "
        "of their assembly do at the start, as m grows?",
        "it falls as if all were different",
        {
            "it stays as for copies": "Can a step in the parameters move one of them without the others?",
            "it grows because all bend alike": "Each bends in weights of its own. Is that one direction, or m?",
            "it is zero": "Each block of the Hessian is that of one neuron, over the scale. Does that neuron bend?",
        },
        why="Equal values are no copies: every neuron has entries of its own in the gradient, and a block of its own.",
    ),
    "groups": Number(
        "An assembly has 400 neurons in groups of 4 copies, rescaled to an output of order 1. How many neurons would a "
        "committee without copies need to bend as little?",
        100.0,
        0.5,
        [
            (400.0, "So many neurons there are. How many of them can move by themselves?"),
            (300.0, "You took one copy away from each group. How many of a group can move by themselves?"),
            (4.0, "That is how many copies there are of each. How many kinds?"),
            (200.0, "No root is needed: both norms are the same power of the number of diverse parts."),
            (
                20.0,
                "No root is needed: both norms are the same power of the number of diverse parts. Count those first.",
            ),
        ],
        why="400 / 4 groups: copies do not count.",
        hint="Count the neurons that can move by themselves.",
    ),
}
