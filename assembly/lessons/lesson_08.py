"""Lesson 8, the tangent kernel: constant if and only if the model is linear in its parameters."""

from assembly.lessons.question import Choice, Number

TITLE = "The tangent kernel: constant if and only if linear"
EXPLORER = "builder=mlp&width=128&depth=1&data=diabetes&direction=gradient&panel=linear"
QUESTIONS = {
    "constant": Choice(
        "Which of these has a tangent kernel that is exactly the same at all parameters?",
        "tanh neurons with the readout trained alone",
        {
            "linear neurons with all weights trained": "Its output is linear in x. Which power of the weights is it?",
            "tanh neurons of width a million": "Its Hessian is small. Is it 0?",
            "tanh neurons with weights that stay within 1": "The kernel is asked for at all parameters, near and far.",
            "tanh neurons with the first layer trained alone": "The readout is fixed. Is tanh straight in the rest?",
        },
        why="The output is a sum of fixed numbers, each times a trained weight: linear in the parameters.",
    ),
    "bound": Number(
        "At one input the gradient has length 2, and within distance 1 the norm of the Hessian is at most 0.05. By how "
        "much can K(x, x) change within that distance, at most? Let the gradient go from g to g + e, and expand.",
        0.2025,
        1e-4,
        [
            (0.2, "That is the first order. The square of the change of the gradient is still missing."),
            (0.05, "So much the gradient can change in length. K is its square."),
            (0.1, "The mixed term of a square comes twice."),
            (0.0025, "That is the square of the change alone. What of the mixed terms?"),
            (4.2025, "That is K at the end. How much of it was there before?"),
        ],
        why="2 |g| |e| + |e|^2 with |g| = 2 and |e| at most 0.05 times 1.",
        hint="The change e of the gradient is at most the norm of the Hessian times the distance; expand |g + e|^2.",
    ),
    "entry": Number(
        "One hidden layer: the number of weights grows like m. In training the parameters go a distance of order 1, "
        "shared evenly by all weights. Which exponent in m has the change of a single weight?",
        -0.5,
        0.02,
        [
            (0.0, "That is the exponent of the whole distance. How many weights share it?"),
            (-1.0, "Distances add in squares: m equal changes e make a distance of sqrt(m) times e."),
            (0.5, "The sign: does a single weight move more in a wider network?"),
            (-1.5, "Write the distance as the root of a sum of m equal squares, and solve for one of them."),
        ],
        why="m equal changes e make a distance sqrt(m) e, so e falls like 1/sqrt(m). The largest of them falls more "
        "slowly: they are not equal.",
        hint="The square of the distance is the sum of the squares of the changes.",
    ),
    "signs": Number(
        "A sum of m terms, each of size m^(-3/2), with signs by chance. Which exponent in m has the size of the sum?",
        -1.0,
        0.02,
        [
            (-0.5, "So it is if all terms have the same sign. What do m signs by chance add up to?"),
            (-1.5, "That is one term. How much larger is the sum of m of them?"),
            (-2.0, "Does a sum of m terms with signs by chance become smaller than one of them?"),
            (0.5, "That is the sum of the signs alone. Each comes with a size."),
        ],
        why="m signs by chance add up to about sqrt(m), and m^(1/2) times m^(-3/2) is m^(-1).",
        hint="How large is a sum of m signs drawn by chance, typically? Multiply by the size of one term.",
    ),
}
