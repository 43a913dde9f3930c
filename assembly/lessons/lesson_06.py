"""Lesson 6, where the Hessian lives: two numbers per neuron."""

from assembly.lessons.question import Choice, Number

TITLE = "Where the Hessian lives: two numbers per neuron"
EXPLORER = "builder=mlp&width=24&depth=3&colour=curvature&panel=assembly"
QUESTIONS = {
    "rank": Number(
        "A network of tanh neurons has 13 inputs, hidden layers of 100 and 50 neurons, and one linear output. Find the "
        "rule behind the ranks on the page, by more experiments if you like: what is the rank of its Hessian?",
        299.0,
        0.5,
        [
            (300.0, "Near. Does your rule give the ranks of the page for two and for three hidden layers?"),
            (302.0, "You counted the output. It is linear: does its adjoint change when the weights move?"),
            (150.0, "How many numbers does each neuron of node space have?"),
            (328.0, "That is the size of node space. Inputs do not change, nor does the adjoint of a linear output."),
            (298.0, "Compare two hidden layers with one and with three: what does each further layer take away?"),
            (6350.0, "That is the number of parameters: one row each, most of them combinations of a few."),
        ],
        why="Two for each of 150 hidden neurons, less one for each connection between hidden layers: there the sum of "
        "b_v p_v over its targets equals the sum of a_u q_u over its sources, whatever the direction.",
        hint="Count two for every hidden neuron, then compare with the printed ranks of 1, 2 and 3 hidden layers.",
    ),
    "growth": Number(
        "Three hidden layers of m neurons, m large: P parameters, and a node space of S coordinates. S grows like a "
        "power of P. Which?",
        0.5,
        0.02,
        [
            (1.0, "So it would be if S were a fixed part of P. How do both grow when m is doubled?"),
            (2.0, "The other way round: P grows like that power of S."),
            (0.25, "P holds products of two layer widths, not of four. What does S hold?"),
            (0.0, "S does grow: twice the neurons, twice the coordinates."),
        ],
        why="P grows like m^2 and S like m.",
        hint="Write P and S for three layers of m neurons, and keep the largest power of m in each.",
    ),
    "mirror": Number(
        "One hidden layer of ReLU neurons, max(0, z), whose second derivative is 0 wherever it exists. The largest "
        "eigenvalue of the Hessian is 0.3. What is the smallest?",
        -0.3,
        1e-6,
        [
            (0.0, "There are many such eigenvalues, but try the block of one neuron: is it positive on all vectors?"),
            (0.3, "Then all eigenvalues would be equal. What is the trace of the block of one neuron?"),
            (-0.09, "No square is needed: put h = 0 into the block and look for both of its eigenvalues."),
            (-0.15, "Put h = 0 into the block: is one of its eigenvalues nearer to 0 than the other?"),
        ],
        why="With h = 0 the block has the eigenvalues k and -k: the spectrum is its own mirror image. A power "
        "iteration that expects one largest eigenvalue is lost here.",
        hint="Put h = 0 into the two-by-two block of a neuron, and find both of its eigenvalues.",
    ),
    "zero block": Choice(
        "The output is linear. Sort the rows and columns of the Hessian by layers: which block is exactly 0 in every "
        "network with two hidden layers of tanh?",
        "readout with readout",
        {
            "none": "Fix all weights but those of one layer: is the output curved in them for every choice of layer?",
            "first layer with first layer": "The output is tanh of tanh of these weights: is that a straight line?",
            "second layer with second layer": "With the rest fixed, the output is a sum of tanh of these weights.",
            "first layer with second layer": "That block says how the gradient in one moves when the other does.",
        },
        why="With everything beneath fixed, the output is a linear function of the weights of the readout.",
    ),
}
