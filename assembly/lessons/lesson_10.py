"""Lesson 10, measuring a rate honestly: logarithms, intervals, bands and verdicts."""

from assembly.lessons.question import Choice, Number

TITLE = "Measuring a rate honestly"
EXPLORER = "builder=mlp&width=256&depth=1&readout=gaussian&data=wine&panel=scaling"
QUESTIONS = {
    "slope": Number(
        "A quantity falls from 0.8 at width 32 to 0.1 at width 2048. Which exponent in the width is that?",
        -0.5,
        0.01,
        [
            (-2.0, "You divided the wrong way round: the logarithm of the quantity stands above."),
            (0.5, "The sign: the quantity falls while the width grows."),
            (-0.903, "That is the decimal logarithm of the ratio of the quantities. Over which distance in the width?"),
            (-0.125, "That is the ratio of the quantities, or nearly. Take logarithms of both ratios."),
            (-0.00035, "That is the slope on plain axes. An exponent is a slope of logarithms."),
        ],
        why="log(1/8) over log(64): three halvings of the quantity for six doublings of the width.",
        hint="Count halvings of the quantity and doublings of the width.",
    ),
    "verdict": Choice(
        "Before the run: prediction -1/2, alternative 0, band 0.1. The interval comes out as [-0.38, -0.33]. What "
        "does the rule say?",
        "inconsistent",
        {
            "consistent": "From where to where does the band of the prediction reach? Does the interval meet it?",
            "undecided": "That word needs an interval that meets both bands. Does this one?",
            "alternative proven": "From where to where does the band of the alternative reach? No verdict is a proof.",
        },
        why="It meets neither band. The theory, the measurement or the idea of the logarithms is wrong: look which.",
    ),
    "logarithm": Number(
        "A quantity is exactly m^(-1/2) sqrt(log m), with the natural logarithm. Which local slope does it have where "
        "log m = 10, that is at a width of about 22,000?",
        -0.45,
        0.004,
        [
            (-0.5, "That is the slope without the logarithm. What does sqrt(log m) add at this width?"),
            (-0.4, "So it is for log m itself. Here is its square root."),
            (-0.55, "The sign: does the logarithm make the fall slower, or faster?"),
            (0.05, "That is what the logarithm contributes. What of the power?"),
        ],
        why="-1/2 + 1/(2 log m) with log m = 10.",
        hint="Take the logarithm of the quantity, and differentiate in t = log m.",
    ),
    "near miss": Choice(
        "Six widths, ten seeds. The interval misses the band of the prediction by 0.01. What is the honest thing "
        "to do?",
        "report it by the rule and say by how much it missed",
        {
            "widen the band": "Would you have widened it, too, had the alternative missed by 0.01?",
            "leave out the smallest widths": "Would you have left them out, too, had the interval met the band?",
            "take other seeds until it fits": "How often must one try until chance agrees with anything?",
            "call it rounding": "The rule has an answer for each interval. What did you write down before the run?",
        },
        why="And then, if you doubt the band, fix a better one and measure anew, with other seeds.",
    ),
}
