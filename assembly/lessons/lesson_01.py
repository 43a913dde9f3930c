"""Lesson 1, one neuron as a model: it bends, however many weights it has."""

from assembly.lessons.question import Choice, Number

TITLE = "One neuron as a model"
EXPLORER = "builder=mlp&width=2&depth=1&panel=linear"
QUESTIONS = {
    "rank": Number(
        "What is the rank of the Hessian of one neuron in its weights, where it is not zero?",
        1.0,
        1e-9,
        [
            (64.0, "Write down two columns of the matrix: how do they differ?"),
            (63.0, "In how many directions at right angles to the input does the neuron bend?"),
            (2.0, "The weights act through z alone. How many numbers are needed to say where z goes?"),
            (0.0, "A matrix of this rank has no entry but zeros, and then the neuron does not bend anywhere."),
        ],
        why="Every column is a multiple of the input: the neuron bends in the direction of x and in no other.",
        hint="The matrix is a number times x x^T. Which vectors does it send to zero?",
    ),
    "length": Number(
        "All inputs of a neuron are made 10 times as large, and its weights so much smaller that z stays the same. By "
        "which factor does the norm of its Hessian grow?",
        100.0,
        0.4,
        [
            (10.0, "That is what the gradient does. How often does the input stand in the Hessian?"),
            (1.0, "z stays, and so does the second derivative in z. What stands beside it?"),
            (0.01, "The weights are smaller, but the Hessian is a derivative in them: put numbers into the formula."),
            (1000.0, "Once too often: count the factors of the input in x x^T."),
        ],
        why="The norm has a factor |x|^2 / d. Small weights and large inputs bend more than the other way round.",
        hint="Which factor of the formula of the norm has the input in it, and to which power?",
    ),
    "largest": Number(
        "What is the largest norm that the Hessian of a tanh neuron can have, whatever its weights, at |x|^2 = d? "
        "(To three digits.)",
        0.7698,
        0.002,
        [
            (1.0, "That is the steepest slope, the first derivative. The norm has the second."),
            (0.6585, "That is the z at which it is largest. What is the second derivative there?"),
            (0.3849, "The derivative of 1 - t^2 with t = tanh z has a factor that you may have lost."),
            (0.0, "That is the curvature at z = 0, where tanh is steepest. Look further out."),
        ],
        why="The maximum of |tanh''| is 4 / (3 sqrt 3), at tanh z = 1 / sqrt 3.",
        hint="Evaluate np.abs(tanh.second(z)) on a fine grid of z, and take the largest value.",
    ),
    "relu": Choice(
        "A neuron has the activation function ReLU, max(z, 0), and weights with z > 0. What is its Hessian there?",
        "it is zero",
        {
            "it has rank one": "The factor before x x^T is the second derivative of max(z, 0). What is that?",
            "it is the identity": "That would bend in every direction; the weights act through one number alone.",
            "it does not exist": "So it is at one value of z, the kink. Is that where the neuron stands?",
        },
        why="Above its kink ReLU is a straight line. A network still bends: weights of two layers are multiplied.",
    ),
}
