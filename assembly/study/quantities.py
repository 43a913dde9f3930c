"""What a study measures: the display name, meaning and standing of every column."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from assembly.checks import suggest
from assembly.errors import UnknownNameError


@dataclass(frozen=True)
class Quantity:
    """One measured quantity.

    Attributes
    ----------
    column : str
        Name in results; ``{l}`` stands for the number of a hidden layer, 1 being the one next to the inputs.
    text : str
        Name in a terminal and in Markdown.
    html : str
        Name in a web page: text with Unicode symbols and ``<i>``, ``<sub>``, ``<sup>`` only.
    latex : str
        Name in mathematics mode.
    meaning : str
        What it is, in one sentence with its unit.
    note : str
        What to keep in mind when reading its exponent; empty if nothing.
    is_status : bool
        True if it describes the computation (residuals, steps), not the network: no exponent is fitted.
    is_on_request : bool
        True if it is costly, and measured only by a study that names it under ``quantities``.
    training : str
        How the network is trained before it is measured; empty if it is measured at the initial parameters.
    """

    column: str
    text: str
    html: str
    latex: str
    meaning: str
    note: str = ""
    is_status: bool = False
    is_on_request: bool = False
    training: str = ""

    @property
    def symbol(self) -> str:
        """Name as plain Unicode text, for a picture: `html` without its tags."""
        return re.sub(r"<[^>]*>", "", re.sub(r"<sup>2</sup>", "²", self.html))


COSINES = "rms_cosine_layer_{l}"
NEURON_HESSIANS = ("neuron_hessian_norm_layer_{l}", "neuron_hessian_over_gradient_layer_{l}")
TRAINED = (
    *("kernel_change_trained", "distance_trained", "largest_entry_trained"),
    *("remainder_trained", "gap_trained", "loss_trained"),
)
NOISY = ("noise_floor", "kernel_change_noisy", "distance_noisy")
RATES = ("rate_over_first_kernel", "rate_over_kernel_path")
WORST_CHANGE = ("kernel_change_worst", "kernel_change_over_curvature")
TAYLOR = {order: f"taylor_term_{order}" for order in (2, 3, 4, 5)}
LINEAR_UNITS = ("loss_linear_before", "loss_linear_after", "after_over_before")
LARGEST_GRAM = 4096  # neurons of a layer whose cosines are measured: a matrix of 128 MiB for each layer below
_DESCENT = "gradient descent, step size 1 / lambda_max of the tangent kernel at the initial parameters"
_NOISY_DESCENT = (
    "gradient descent with noise and weight decay, both 0.05 / m, step size 1 / (lambda_max + 0.05 / m), lambda_max of "
    "the tangent kernel at the initial parameters"
)
_FLOW = "gradient flow to the time of so many steps of size 1 / lambda_max of the tangent kernel at its start"
_ORTHOGONAL = (
    "gradient descent along orthogonal matrices, step size 1 / lambda_max of the tangent kernel at the initial "
    "parameters, of the single matrix as many times that as the chain has factors"
)
_TWO_HALVES = "gradient descent in two halves, step size 1 / lambda_max of the tangent kernel at the start of each"
_CATAPULT = "gradient descent on the quadratic model, at most 300 steps instead, step sizes up to 8 / lambda_0"
_REMAINDER = "Mean over the inputs of |f - f_lin| at distance R from the initial parameters along "

QUANTITIES: tuple[Quantity, ...] = (
    Quantity(
        "hessian_norm",
        "||H||",
        "‖<i>H</i>‖",
        r"\|H\|",
        "Spectral norm of the Hessian of the output in the parameters, averaged over the inputs: how far the "
        "network is from "
        "linear; output per parameter squared.",
        note="Never read alone: a small output scale makes it small too.",
    ),
    Quantity(
        "gradient_norm",
        "||grad f||",
        "‖∇<i>f</i>‖",
        r"\|\nabla f\|",
        "Length of the gradient of the output in the parameters, averaged over the inputs: how far the output "
        "moves for a "
        "step of length 1; output per parameter.",
    ),
    Quantity(
        "hessian_over_gradient_squared",
        "||H|| / ||grad f||^2",
        "‖<i>H</i>‖ / ‖∇<i>f</i>‖<sup>2</sup>",
        r"\|H\| \, / \, \|\nabla f\|^2",
        "Curvature per unit of output gained: the relative change of the gradient while the output moves by 1; "
        "1 / output.",
        note="Flat for the mean-field scale, although the norm of H alone falls.",
    ),
    Quantity(
        "hessian_times_radius_over_gradient",
        "||H|| R / ||grad f||",
        "‖<i>H</i>‖ <i>R</i> / ‖∇<i>f</i>‖",
        r"\|H\| \, R \, / \, \|\nabla f\|",
        "Relative change of the gradient over the distance R: a pure number, the same whatever the output scale.",
    ),
    Quantity(
        "q_infinity",
        "Q_inf",
        "<i>Q</i><sub>∞</sub>",
        r"Q_\infty",
        "Largest derivative of the output in the activation of any single hidden neuron: the weight of the most "
        "important "
        "neuron; output per activation.",
        note="A maximum over neurons: in networks of several wide layers logarithms keep its exponent near -0.4.",
    ),
    Quantity(
        "largest_share_layer_{l}",
        "largest share, layer {l}",
        "largest share, layer {l}",
        r"s_{\max}^{({l})}",
        "Largest part any one neuron of hidden layer {l} has in the squared gradient of that layer; between 0 "
        "and 1, a pure "
        "number.",
        note="In a wide layer without a dominating neuron it falls a little more slowly than 1/m, being a maximum.",
    ),
    Quantity(
        "largest_curvature_share_layer_{l}",
        "largest curvature share, layer {l}",
        "largest curvature share, layer {l}",
        r"s_{\max}^{({l}),\,H}",
        "Largest part any one neuron of hidden layer {l} has in the top eigenvector of the Hessian, among the neurons "
        "of that layer; between 0 and 1, a pure number.",
        note="Who carries the curvature; no sign of dominance by itself: with one hidden layer H falls into blocks, "
        "its top eigenvector is a single neuron, and the share is 1 although the norm vanishes with width.",
    ),
    Quantity(
        "effective_number_layer_{l}",
        "effective number, layer {l}",
        "effective number, layer {l}",
        r"n_{\mathrm{eff}}^{({l})}",
        "How many neurons of hidden layer {l} carry its gradient: 1 / sum of squared shares; a pure number.",
        note="Grows like the layer width when no neuron dominates.",
    ),
    Quantity(
        COSINES,
        "rms cosine, layer {l}",
        "rms cosine, layer {l}",
        r"\mathrm{rms}_{i \ne j} \cos(\nabla a_i, \nabla a_j)^{({l})}",
        "Root mean square cosine between the gradients of two neurons of hidden layer {l}: near 0 when the "
        "parts are diverse; "
        "a pure number.",
        note="Left out in a first layer whose neurons share no weight, where it is exactly 0, and from a layer of more "
        f"than {LARGEST_GRAM} neurons on.",
    ),
    Quantity(
        NEURON_HESSIANS[0],
        "||H|| of a neuron, layer {l}",
        "‖<i>H</i>‖ of a neuron, layer {l}",
        r"\mathrm{median}_i \, \|H(z_i^{({l})})\|",
        "Spectral norm of the Hessian of the pre-activation of a neuron of hidden layer {l}, the median over its "
        "neurons; pre-activation per parameter squared.",
        note="Left out in a first layer, whose pre-activations are linear in the parameters.",
        is_on_request=True,
    ),
    Quantity(
        NEURON_HESSIANS[1],
        "||H|| / ||grad|| of a neuron, layer {l}",
        "‖<i>H</i>‖ / ‖∇<i>z</i>‖ of a neuron, layer {l}",
        r"\mathrm{median}_i \, \|H(z_i^{({l})})\| / \|\nabla z_i^{({l})}\|",
        "The same over the length of the gradient of that pre-activation: the relative change of the gradient over "
        "a distance of 1; 1 / parameter.",
        note="Left out in a first layer, whose pre-activations are linear in the parameters.",
        is_on_request=True,
    ),
    Quantity(
        "principal_share",
        "principal share",
        "principal share",
        r"s_{\max}",
        "Largest part any one sub-model has in the squared gradient, after merging those with parallel gradients, "
        "worst over the levels of the assembly; between 0 and 1, a pure number.",
        note="Falls like 1/m where no sub-model dominates; half its exponent is that predicted for ||H|| / ||grad f||.",
        is_on_request=True,
    ),
    Quantity(
        "predicted_hessian_over_gradient_squared",
        "||H|| / ||grad f||^2 from the shares",
        "‖<i>H</i>‖ / ‖∇<i>f</i>‖<sup>2</sup> from the shares",
        r"(\|H\| / \|\nabla f\|^2)_{\mathrm{predicted}}",
        "What the measured shares lead one to expect of the curvature per unit of output; 1 / output.",
        is_on_request=True,
    ),
    Quantity(
        "remainder_top_eigenvector",
        "remainder, top eigenvector",
        "|<i>f</i> - <i>f</i><sub>lin</sub>|, top eigenvector",
        r"|f - f_{\mathrm{lin}}|_{\mathrm{top}}",
        _REMAINDER
        + "the eigenvector of the largest |eigenvalue| of H: close to the worst direction; in units of the output.",
    ),
    Quantity(
        "remainder_gradient",
        "remainder, gradient",
        "|<i>f</i> - <i>f</i><sub>lin</sub>|, gradient",
        r"|f - f_{\mathrm{lin}}|_{\mathrm{grad}}",
        _REMAINDER + "the gradient, the way training goes first; in units of the output.",
        note="In wide networks it falls faster than in the worst direction, about like 1/m: shown, never judged.",
    ),
    Quantity(
        "remainder_worst",
        "remainder, worst found",
        "|<i>f</i> - <i>f</i><sub>lin</sub>|, worst found",
        r"|f - f_{\mathrm{lin}}|_{\mathrm{worst}}",
        "Mean over the inputs of the largest |f - f_lin| that an ascent finds within distance R of the initial "
        "parameters: never more than the true supremum; in units of the output.",
        is_on_request=True,
    ),
    Quantity(
        "remainder_random",
        "remainder, random",
        "|<i>f</i> - <i>f</i><sub>lin</sub>|, random",
        r"|f - f_{\mathrm{lin}}|_{\mathrm{rand}}",
        _REMAINDER + "a random direction; in units of the output.",
        note="A random direction hardly meets the curvature: -0.9 to -1.8 in wide networks, shown, never judged.",
    ),
    Quantity(
        "kernel_norm",
        "||K||_F",
        "‖<i>K</i>‖<sub>F</sub>",
        r"\|K\|_F",
        "Frobenius norm of the tangent kernel, the inner products of the gradients at the inputs; output squared.",
    ),
    Quantity(
        "kernel_smallest_eigenvalue",
        "lambda_min(K)",
        "<i>λ</i><sub>min</sub>(<i>K</i>)",
        r"\lambda_{\min}(K)",
        "Smallest eigenvalue of the tangent kernel: it bounds the rate at which gradient descent fits; output squared.",
        note="Exactly 0, or rounding error, when there are fewer parameters than inputs.",
    ),
    Quantity(
        "kernel_largest_eigenvalue",
        "lambda_max(K)",
        "<i>λ</i><sub>max</sub>(<i>K</i>)",
        r"\lambda_{\max}(K)",
        "Largest eigenvalue of the tangent kernel: it bounds the stable step size; output squared.",
    ),
    Quantity(
        "kernel_change_top_eigenvector",
        "kernel change, top eigenvector",
        "Δ<i>K</i>, top eigenvector",
        r"\Delta K_{\mathrm{top}}",
        "Relative change |K_w - K_0|_F / |K_0|_F of the tangent kernel at distance R along the top eigenvector "
        "of H, close to "
        "the worst direction; a pure number.",
    ),
    Quantity(
        WORST_CHANGE[0],
        "kernel change, worst found",
        "Δ<i>K</i>, worst found",
        r"\Delta K_{\mathrm{worst}}",
        "Largest relative change |K_w - K_0|_F / |K_0|_F of the tangent kernel that an ascent finds within distance R "
        "of the initial parameters: never more than the true supremum; a pure number.",
        is_on_request=True,
    ),
    Quantity(
        WORST_CHANGE[1],
        "kernel change over curvature",
        "Δ<i>K</i> / (‖<i>H</i>‖ <i>R</i> / ‖∇<i>f</i>‖)",
        r"\Delta K_{\mathrm{worst}} \, / \, (\|H\| R / \|\nabla f\|)",
        "Worst change of the tangent kernel found, over the relative change of the gradient over the same distance, "
        "the mean over the inputs; a pure number.",
        note="Flat where the kernel is constant exactly as far as the output is linear.",
        is_on_request=True,
    ),
    Quantity(
        TRAINED[0],
        "kernel change, trained",
        "Δ<i>K</i>, trained",
        r"\Delta K_{\mathrm{trained}}",
        "Relative change |K_t - K_0|_F / |K_0|_F of the tangent kernel by gradient descent on the inputs measured; "
        "a pure number.",
        note="Smaller than the worst change at the same distance: training goes along gradients.",
        is_on_request=True,
        training=_DESCENT,
    ),
    Quantity(
        TRAINED[1],
        "|w - w0|, trained",
        "|<i>w</i> - <i>w</i><sub>0</sub>|, trained",
        r"|w_t - w_0|",
        "Distance from the initial parameters that gradient descent went; parameters.",
        is_on_request=True,
        training=_DESCENT,
    ),
    Quantity(
        TRAINED[2],
        "largest |w_i - w0_i|, trained",
        "max |<i>w<sub>i</sub></i> - <i>w</i><sub>0,<i>i</i></sub>|, trained",
        r"\max_i |w_{t,i} - w_{0,i}|",
        "Largest change of any single parameter by gradient descent.",
        is_on_request=True,
        training=_DESCENT,
    ),
    Quantity(
        TRAINED[3],
        "remainder, trained",
        "|<i>f</i> - <i>f</i><sub>lin</sub>|, trained",
        r"|f - f_{\mathrm{lin}}|_{\mathrm{trained}}",
        "Root mean square over the inputs of f - f_lin at the parameters that gradient descent reached; in units of "
        "the output.",
        is_on_request=True,
        training=_DESCENT,
    ),
    Quantity(
        TRAINED[4],
        "gap, trained",
        "|<i>f</i> - <i>f</i><sub>lin</sub>|, both trained",
        r"|f_t - f_{\mathrm{lin}, t}|",
        "Root mean square over the inputs between the trained network and its linearised model, trained the same way; "
        "in units of the output.",
        is_on_request=True,
        training=_DESCENT,
    ),
    Quantity(
        TRAINED[5],
        "loss left, trained",
        "loss left, trained",
        r"L_t / L_0",
        "Share of the initial loss that gradient descent leaves; a pure number.",
        is_on_request=True,
        training=_DESCENT,
    ),
    Quantity(
        NOISY[0],
        "loss left, noisy",
        "loss left, noisy",
        r"L_{\mathrm{noisy}}",
        "Loss of gradient descent with noise and weight decay, both 0.05 over the width, averaged over the second half "
        "of the steps; output squared.",
        is_on_request=True,
        training=_NOISY_DESCENT,
    ),
    Quantity(
        NOISY[1],
        "kernel change, noisy",
        "Δ<i>K</i>, noisy",
        r"\Delta K_{\mathrm{noisy}}",
        "Relative change |K_t - K_0|_F / |K_0|_F of the tangent kernel by the same noisy gradient descent; a pure "
        "number.",
        is_on_request=True,
        training=_NOISY_DESCENT,
    ),
    Quantity(
        NOISY[2],
        "|w - w0|, noisy",
        "|<i>w</i> - <i>w</i><sub>0</sub>|, noisy",
        r"|w_t - w_0|_{\mathrm{noisy}}",
        "Distance from the initial parameters that the same noisy gradient descent went; parameters.",
        is_on_request=True,
        training=_NOISY_DESCENT,
    ),
    Quantity(
        RATES[0],
        "rate over lambda_min(K_0)",
        "rate / <i>λ</i><sub>min</sub>(<i>K</i><sub>0</sub>)",
        r"\log(L_0 / L_t) \, / \, 2 \lambda_{\min}(K_0) t",
        "Rate at which the squared loss falls in gradient flow, over the rate that the smallest eigenvalue of the "
        "tangent kernel at the initial parameters promises; a pure number.",
        note="At least 1 for a linear model; wide networks come near to it, a kernel that shrinks does not.",
        is_on_request=True,
        training=_FLOW,
    ),
    Quantity(
        RATES[1],
        "rate over lambda_min(K_t)",
        "rate / <i>λ</i><sub>min</sub>(<i>K<sub>t</sub></i>)",
        r"\log(L_0 / L_t) \, / \, 2 \int \lambda_{\min}(K_t) \, dt",
        "The same over the smallest eigenvalue averaged along the way of gradient flow: at least 1 for every network; "
        "a pure number.",
        is_on_request=True,
        training=_FLOW,
    ),
    Quantity(
        "orthogonal_deviation",
        "chain against one matrix",
        "chain against one matrix",
        r"|W_L \cdots W_1 - W|_F / |W|_F",
        "Relative distance between the product of a chain of orthogonal matrices and a single one, each after gradient "
        "descent along orthogonal matrices, the single one with as many times the step as the chain has factors; a "
        "pure number.",
        is_on_request=True,
        training=_ORTHOGONAL,
    ),
    Quantity(
        "kernel_limit_distance",
        "distance from the limit kernel",
        "|<i>K</i> - <i>Θ</i>| / |<i>Θ</i>|",
        r"|K - \Theta|_F / |\Theta|_F",
        "Relative distance of the tangent kernel from that of the infinite-width limit, Frobenius; a pure number.",
        is_on_request=True,
    ),
    *(
        Quantity(
            name,
            f"Taylor term {order}",
            f"Taylor term {order}",
            rf"|f_{order}|",
            f"Mean over the inputs of the coefficient of t^{order} in f along the unit gradient; output per parameter "
            f"to the power {order}.",
            note="Terms of odd order add up with one sign; those of even order cancel and fall faster."
            if order % 2 == 0
            else "",
            is_on_request=True,
        )
        for order, name in TAYLOR.items()
    ),
    Quantity(
        LINEAR_UNITS[0],
        "loss left, linear before",
        "loss left, linear before",
        r"(L_T / L_0)_{\mathrm{before}}",
        "Share of the initial loss that gradient descent leaves with 9 in 10 neurons made linear before training; "
        "a pure number.",
        is_on_request=True,
        training=_TWO_HALVES,
    ),
    Quantity(
        LINEAR_UNITS[1],
        "loss left, linear after",
        "loss left, linear after",
        r"(L_T / L_0)_{\mathrm{after}}",
        "The same with them made linear after the first half of as many steps; a pure number.",
        is_on_request=True,
        training=_TWO_HALVES,
    ),
    Quantity(
        LINEAR_UNITS[2],
        "after / before",
        "after / before",
        r"(L_T)_{\mathrm{after}} / (L_T)_{\mathrm{before}}",
        "What is left with neurons made linear after the first half of training, over what is left with them linear "
        "from the start; below 1 where non-linear neurons help early and are not needed late; a pure number.",
        is_on_request=True,
        training=_TWO_HALVES,
    ),
    Quantity(
        "loss_hessian_rest",
        "g^T H g / g^T G g",
        "|<i>g</i><sup>T</sup><i>H</i><i>g</i>| / <i>g</i><sup>T</sup><i>G</i><i>g</i>",
        r"|g^T H g| / g^T G g",
        "What the Hessians of the outputs add to the curvature of the squared loss along its gradient g, over the "
        "Gauss-Newton part, which is convex; a pure number.",
        note="A sum of both signs: single networks scatter widely.",
        is_on_request=True,
    ),
    Quantity(
        "catapult_limit",
        "largest eta lambda_0",
        "largest <i>η λ</i><sub>0</sub>",
        r"\max \, \eta \lambda_0",
        "Largest step size, times the largest eigenvalue of the initial tangent kernel, at which gradient descent on "
        "the quadratic model fits the inputs measured; a pure number.",
        note="The linearised model fits up to 2.",
        is_on_request=True,
        training=_CATAPULT,
    ),
    Quantity(
        "curvature_in_ball_lower",
        "sup ||H||, from below",
        "sup ‖<i>H</i>‖, from below",
        r"\sup \|H\|_{\mathrm{lower}}",
        "Largest norm of the Hessian that an ascent finds within distance R of the initial parameters, averaged over "
        "the inputs: never more than the true supremum; output per parameter squared.",
        is_on_request=True,
    ),
    Quantity(
        "curvature_in_ball_upper",
        "sup ||H||, from above",
        "sup ‖<i>H</i>‖, from above",
        r"\sup \|H\|_{\mathrm{upper}}",
        "Proven upper bound of the norm of the Hessian within distance R of the initial parameters, averaged over the "
        "inputs; output per parameter squared.",
        is_on_request=True,
    ),
    Quantity(
        "n_unconverged",
        "unconverged norms",
        "unconverged norms",
        r"n_{\mathrm{unconverged}}",
        "Number of inputs at which the iteration for ||H|| did not reach its tolerance.",
        is_status=True,
    ),
    Quantity(
        "largest_residual",
        "largest residual",
        "largest residual",
        r"\max |Hv - \lambda v| / |\lambda|",
        "Largest relative residual of the iteration for ||H|| over the inputs: some eigenvalue lies within it "
        "of the one given.",
        is_status=True,
    ),
    Quantity(
        "n_steps",
        "Lanczos steps",
        "Lanczos steps",
        r"n_{\mathrm{steps}}",
        "Applications of H that the iterations took.",
        is_status=True,
    ),
)

COLUMNS = tuple(quantity.column for quantity in QUANTITIES)
USUAL = tuple(quantity.column for quantity in QUANTITIES if not quantity.is_on_request)
BESIDE_NORM = ("gradient_norm", "hessian_over_gradient_squared", "hessian_times_radius_over_gradient")
_BY_COLUMN = {quantity.column: quantity for quantity in QUANTITIES}
_LAYERED = re.compile(r"(?P<stem>.+_layer_)(?P<layer>[1-9][0-9]*)$")


def pattern(column: str) -> str:
    """Return the entry of `COLUMNS` that a column of the results belongs to; itself if it names no layer.

    Examples
    --------
    >>> pattern("largest_share_layer_2"), pattern("hessian_norm")
    ('largest_share_layer_{l}', 'hessian_norm')
    """
    layered = _LAYERED.match(column)
    return f"{layered['stem']}{{l}}" if layered else column


def asked_for(names: Iterable[str]) -> tuple[str, ...]:
    """Return what a study measures that names these quantities: them, or the usual ones if it names none.

    The Hessian norm never comes alone, since a small output scale makes it small too: the gradient norm and the two
    ratios come with it.

    Examples
    --------
    >>> asked_for(["hessian_norm"])
    ('hessian_norm', 'gradient_norm', 'hessian_over_gradient_squared', 'hessian_times_radius_over_gradient')
    >>> asked_for(["q_infinity"]), "remainder_worst" in asked_for([])
    (('q_infinity',), False)
    """
    named = tuple(names) or USUAL
    return tuple(dict.fromkeys((*named, *BESIDE_NORM))) if "hessian_norm" in named else named


def columns(
    layers: Iterable[int], layers_with_cosines: Iterable[int], curved_layers: Iterable[int], names: Iterable[str] = ()
) -> list[str]:
    """Return the columns of a network, given its hidden layers and what can be measured in them.

    Parameters
    ----------
    layers : iterable of int
        Hidden layers.
    layers_with_cosines : iterable of int
        Those in which gradients of neurons can have cosines.
    curved_layers : iterable of int
        Those whose pre-activations are not linear in the parameters.
    names : iterable of str
        Quantities that are asked for; the usual ones if there are none.

    Examples
    --------
    >>> [column for column in columns([1, 2], [2], [2]) if "_layer_" in column][-2:]
    ['effective_number_layer_2', 'rms_cosine_layer_2']
    >>> columns([1, 2, 3], [2], [2, 3], ["neuron_hessian_norm_layer_{l}"])
    ['neuron_hessian_norm_layer_2', 'neuron_hessian_norm_layer_3']
    """
    every, some, curved = list(layers), list(layers_with_cosines), list(curved_layers)
    wanted = set(asked_for(names))
    found = []
    for column in (column for column in COLUMNS if column in wanted):
        numbers = some if column == COSINES else curved if column in NEURON_HESSIANS else every
        found += [column.replace("{l}", str(layer)) for layer in numbers] if "{l}" in column else [column]
    return found


def describe(column: str) -> Quantity:
    """Return the quantity of a column, the layer number filled in.

    Parameters
    ----------
    column : str
        A column of the results, for example ``"hessian_norm"`` or ``"largest_share_layer_2"``.

    Raises
    ------
    UnknownNameError
        If no quantity has this name; the message gives the nearest one.

    Examples
    --------
    >>> describe("largest_share_layer_2").text
    'largest share, layer 2'
    >>> describe("hessian_norm").symbol
    '‖H‖'
    """
    if column in _BY_COLUMN and "{l}" not in column:
        return _BY_COLUMN[column]
    layered = _LAYERED.match(column)
    general = _BY_COLUMN.get(pattern(column))
    if layered is None or general is None:
        raise UnknownNameError(f"There is no measured quantity {column!r}.{suggest(column, _BY_COLUMN)}")
    filled = {
        field: getattr(general, field).replace("{l}", layered["layer"])
        for field in ("text", "html", "latex", "meaning", "note")
    }
    return replace(general, column=column, **filled)


def is_known(column: str) -> bool:
    """True if `describe` knows the column."""
    try:
        describe(column)
    except UnknownNameError:
        return False
    return True


def describe_any(column: str) -> Quantity:
    """Return `describe(column)`, or a plain entry under the column's own name where the table holds none."""
    if is_known(column):
        return describe(column)
    return Quantity(column, column, column, rf"\mathtt{{{column}}}", "A quantity without a description.")


def in_order(columns: Iterable[str]) -> list[str]:
    """Sort columns as the table has them, layers ascending, unknown ones last by name.

    Examples
    --------
    >>> in_order(["q_infinity", "rms_cosine_layer_2", "hessian_norm"])
    ['hessian_norm', 'q_infinity', 'rms_cosine_layer_2']
    """
    place = {column: i for i, column in enumerate(COLUMNS)}

    def key(column: str) -> tuple[int, int, str]:
        layered = _LAYERED.match(column)
        return place.get(pattern(column), len(place)), int(layered["layer"]) if layered else 0, column

    return sorted(columns, key=key)
