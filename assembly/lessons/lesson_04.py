"""Lesson 4, one that dominates: coefficients that fall like a power of the rank."""

from assembly.lessons.question import Choice, Number

TITLE = "One that dominates: coefficients i^-a"
EXPLORER = "builder=dominated&width=256&depth=1&panel=assembly"
QUESTIONS = {
    "slope": Number(
        "The coefficients fall like i^-0.3. Which exponent does the norm of the Hessian have in m, for m large?",
        -0.2,
        0.02,
        [
            (-0.3, "That is the exponent of a coefficient in i. The norm is the first one over the root of a sum."),
            (-0.5, "So it is for equal coefficients. What does the sum of i^(-2a) do in m?"),
            (0.4, "That is the power with which the sum grows. What does the formula of the norm do with the sum?"),
            (-0.4, "The sum grows with that power. Which root of it does the norm have?"),
            (0.0, "So it would be if the sum converged. Does it, at 2a = 0.6?"),
        ],
        why="The sum grows like m^(1 - 2a) = m^0.4, and the norm is one over its root.",
        hint="Find the power of m with which the sum of i^(-2a) grows, then put it into the formula of the norm.",
    ),
    "effective": Number(
        "Three parts have the gradient shares 1/2, 1/4 and 1/4. What is their effective number?",
        8.0 / 3.0,
        0.02,
        [
            (3.0, "So it is for equal shares. These are not."),
            (2.0, "That is one over the largest share. The effective number looks at all of them."),
            (0.375, "That is the sum of the squares. What is done with it?"),
            (1.0, "That is the sum of the shares. Square them first."),
        ],
        why="The squares add up to 3/8: a little less than three equal parts.",
        hint="Square the shares, add, and take one over the sum.",
    ),
    "share": Number(
        "The first coefficient is sqrt(m), all others are +1 or -1, and the gradients of all parts are equally long. "
        "To which number does the gradient share of the first part go as m grows?",
        0.5,
        0.01,
        [
            (1.0, "The others are small, but how many are there? Add up their squares."),
            (0.0, "The square of the first coefficient grows with m as well. Compare it with the sum of the others."),
            (0.7071, "Shares are made of squares. You may have taken a root."),
            (0.3333, "How large are the squares of all the others together, beside that of the first?"),
        ],
        why="m beside m - 1: as much as all the others together, at any width.",
        hint="Write down the squares of the coefficients: the first, and the sum of all the others.",
    ),
    "hides": Choice(
        "An assembly goes from equal coefficients to one that dominates, with the same sum of squares. Which of these "
        "hardly changes?",
        "the length of the gradient",
        {
            "the largest share": "It goes from 1/m to a number that stays. Is there one that only sees the sum?",
            "the effective number": "It says how many equal parts there might be. Are they as many as before?",
            "the norm of the Hessian": "It is a maximum over the parts: what happens to the loudest?",
        },
        why="Quadrature sees only the sum of squares: a gradient of the right length proves nothing about dominance.",
    ),
}
