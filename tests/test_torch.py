from __future__ import annotations

import contextlib
import copy
import io
import pickle
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import assembly as am
import cases
from assembly.errors import ArgumentError, AssemblyError, GraphError, NonFiniteError, ShapeError
from assembly.graph.connections import Convolution
from assembly.graph.description import Graph, Group
from assembly.graph.windows import Windows
from contracts import error

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'assembly-perspective[torch]'")
nn, functional = torch.nn, torch.nn.functional

from torch_cases import CASES, Lambda, RandomModule, build, cnn_2d, disturbed, mlp  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")  # torch.func loads it

ROOT = Path(__file__).parents[1]


def trained(module) -> dict:
    """Return the parameters that an assembly takes over, in the order of the module: not those of batch norm."""
    norms = [part for part in module.modules() if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d)]
    fixed = {id(parameter) for part in norms for parameter in part.parameters()}
    return {n: p for n, p in module.named_parameters() if p.requires_grad and id(p) not in fixed}


def flat(module) -> np.ndarray:
    return np.concatenate([np.zeros(0), *(p.detach().numpy().ravel() for p in trained(module).values())])


def function(module, x, output):
    """Return one output at one input as a function of all parameters that an assembly takes over, flat."""
    parameters = trained(module)

    def value(w):
        pieces = torch.split(w, [p.numel() for p in parameters.values()])
        given = {name: piece.reshape(p.shape) for (name, p), piece in zip(parameters.items(), pieces, strict=True)}
        return torch.func.functional_call(module, given, (x[None],)).reshape(-1)[output]

    return value


def samples(module, net, shape, n=3):
    X = np.random.default_rng(net.n_parameters).normal(size=(n, net.n_inputs))
    return X, torch.from_numpy(X).reshape(n, *(shape or (net.n_inputs,)))


def check_same(module, net, shape, tolerance=1e-12):
    """Value, gradient, Hessian and its norm, entry by entry, of every output."""
    module = copy.deepcopy(module).eval()
    X, tensors = samples(module, net, shape)
    wanted = module(tensors).detach().numpy().reshape(len(X), -1)
    assert error(np.reshape(net(X), wanted.shape), wanted) < tolerance
    w = torch.from_numpy(flat(module))
    assert np.array_equal(net.parameters, w.numpy())
    for output in range(net.n_outputs):
        value = function(module, tensors[0], output)
        assert error(net.gradient(X[0], output), torch.func.grad(value)(w).detach()) < tolerance
        if len(w) == 0:
            continue
        H, hessian = net.hessian(X[0], output), torch.func.hessian(value)(w).detach().numpy()
        scale = max(np.abs(net.gradient(X[0], output)).max(), np.abs(hessian).max(), 1e-3)
        assert np.abs(H @ np.eye(len(w)) - hessian).max() < tolerance * scale
        norm = H.norm(tol=1e-9)
        assert norm.converged
        assert abs(norm.value - np.abs(np.linalg.eigvalsh(hessian)).max()) < 1e-9 * scale


@pytest.mark.parametrize("name", CASES)
def test_the_assembly_is_the_module(name):
    module, shape = build(name)
    check_same(module, am.from_torch(module, shape), shape)


@pytest.mark.parametrize("seed", range(40))
def test_a_random_module(seed):
    module = disturbed(RandomModule(seed))
    net = am.from_torch(module, module.shape)
    reached = {name for name, p in trained(module).items() if is_used(module, p)}
    for name, parameter in module.named_parameters():
        parameter.requires_grad_(name in reached)
    check_same(module, net, module.shape)


def is_used(module, parameter) -> bool:
    module = copy.deepcopy(module).eval() if module.training else module
    twin = dict(module.named_parameters())
    (name,) = [n for n, p in twin.items() if p.shape == parameter.shape and torch.equal(p, parameter)]
    found = torch.autograd.grad(module(torch.randn(2, *module.shape).double()).sum(), twin[name], allow_unused=True)
    return found[0] is not None


@pytest.mark.parametrize("name", ["cnn 2d", "resnet", "recurrent", "functional", "places", "in place", "broadcast"])
def test_kernels_neurons_and_files(name, tmp_path):
    """What else can be asked of an assembly: tangent kernel, neurons as sub-models, files."""
    module, shape = build(name)
    net = am.from_torch(module, shape)
    module.eval()
    X, tensors = samples(module, net, shape, n=2)
    w = torch.from_numpy(flat(module))
    rows = [[function(module, x, k) for k in range(net.n_outputs)] for x in tensors]
    J = np.array([[torch.func.grad(value)(w).detach().numpy() for value in row] for row in rows])
    kernel = np.einsum("ikp,jlp->ijkl", J, J)
    assert error(net.tangent_kernel(X), kernel[:, :, 0, 0] if net.n_outputs == 1 else kernel) < 1e-12
    output = net.layers[-1].neurons[-1]
    assert error(output.gradient(X[0]), J[0, -1][output.parameter_index]) < 1e-12
    am.save(net, tmp_path / "net.json")
    assert np.array_equal(am.load(tmp_path / "net.json")(X), net(X))


def test_the_check_can_fail():
    module, shape = build("partly frozen")
    net = am.from_torch(module, shape)
    with torch.no_grad():
        module[2].weight[1, 0] += 1e-9
    with pytest.raises(AssertionError):
        check_same(module, net, shape)


# Structure


def kinds(net) -> list[str]:
    return [type(connection).__name__ for connection in net.graph.connections]


def test_a_network_of_linear_layers_has_one_group_a_layer():
    net = am.from_torch(mlp(3, 5, 4, 2))
    assert [(group.size, group.activation) for group in net.graph.groups] == [
        *[(3, "input"), (1, "constant"), (5, "tanh"), (4, "tanh"), (2, "identity")]
    ]
    assert kinds(net) == ["Dense"] * 6
    assert all((connection.factor == 1.0).all() for connection in net.graph.connections)
    assert net.width == 4
    assert [len(layer.neurons) for layer in net.layers] == [3, 5, 4, 2]


def test_batch_norm_is_a_factor_of_what_it_follows():
    module, shape = build("cnn 2d")
    net = am.from_torch(module, shape)
    assert [group.activation for group in net.graph.groups] == [
        *["input", "constant", "tanh", "identity", "sigmoid", "identity", "identity"]
    ]
    assert kinds(net).count("Convolution") == 2
    norm = module[1]
    scale = (norm.weight / torch.sqrt(norm.running_var + norm.eps)).detach().numpy()
    assert error(net.graph.connections[0].factor.reshape(3, -1), np.repeat(scale[:, None], 24, axis=1)) < 1e-15


def test_a_skip_ends_in_the_sum_itself():
    """Of a residual block there is the convolution, and the sum of the second one, its norm and the skip."""
    net = am.from_torch(*build("resnet"))
    assert [group.activation for group in net.graph.groups] == [
        *["input", "constant", "relu", "softplus", "tanh", "softplus", "tanh", "identity", "identity"]
    ]


def test_one_parameter_in_several_places_is_one_pool():
    net = am.from_torch(build("recurrent")[0])
    weights = [c for c in net.graph.connections if type(c).__name__ == "Tied" and c.n_weights == 16]
    assert len(weights) == 4
    assert len({c.pool for c in weights}) == 1
    assert net.n_parameters == 16 + 4 + 4 + 5


def test_weights_that_no_edge_reads_carry_nothing():
    """Corners of a kernel over one pixel, in a layer used twice."""
    torch.manual_seed(0)
    conv = nn.Conv2d(2, 2, 3, padding="same")
    module = nn.Sequential(conv, nn.Tanh(), conv, nn.Flatten(), nn.Linear(2, 1)).double()
    net = am.from_torch(module, (2, 1, 1))
    check_same(module, net, (2, 1, 1))
    share = np.array([neuron.share([1.0, -2.0])["gradient"] for neuron in net.layers[1].neurons])
    linear = nn.Linear(2, 2).double()
    with torch.no_grad():
        linear.weight.copy_(conv.weight[:, :, 1, 1])
        linear.bias.copy_(conv.bias)
    twin = am.from_torch(nn.Sequential(linear, nn.Tanh(), linear, nn.Flatten(), module[4]))
    assert error(share, [neuron.share([1.0, -2.0])["gradient"] for neuron in twin.layers[1].neurons]) < 1e-13


def test_what_is_not_used_is_left_out():
    def forward(self, x):
        self.unused(x).relu()
        out = self.used(x)
        out.tanh()
        return out

    module = Lambda(forward, unused=nn.Linear(3, 2), used=nn.Linear(3, 1), never=nn.Linear(3, 7)).double()
    net = am.from_torch(module)
    assert np.array_equal(net.parameters, np.append(module.used.weight.detach().numpy(), module.used.bias.item()))
    assert len(net.graph.groups) == 3


def test_parameters_stand_in_the_order_of_the_module_not_of_use():
    module = Lambda(
        lambda self, x: self.first(torch.tanh(self.second(x))), first=nn.Linear(4, 1), second=nn.Linear(3, 4)
    )
    check_same(module.double(), am.from_torch(module), None)
    assert np.array_equal(am.from_torch(module).parameters[:4], module.first.weight.detach().numpy()[0])


def test_the_module_is_left_as_it_is():
    module = cnn_2d().float()
    module.train()
    before = copy.deepcopy(module.state_dict())
    net = am.from_torch(module, (2, 6, 8))
    assert module.training
    assert module[1].training
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert all(parameter.dtype == torch.float32 for parameter in module.parameters())
    check_same(copy.deepcopy(module).double(), net, (2, 6, 8))  # float32 numbers are exact in float64


def test_the_shape_is_known_from_a_linear_function():
    module = Lambda(lambda s, x: functional.linear(x, s.w).sin(), w=nn.Parameter(torch.randn(2, 5))).double()
    check_same(module, am.from_torch(module), None)


def test_float32():
    module = mlp(3, 5, 4, 1)
    net = am.from_torch(module, dtype=np.float32)
    assert net.dtype == np.float32
    assert np.array_equal(net.parameters, torch.nn.utils.parameters_to_vector(module.parameters()).detach().numpy())
    x = np.array([0.3, -1.0, 2.0], dtype=np.float32)
    assert error(net(x), module(torch.from_numpy(x)).item()) < 1e-6


def test_softplus_differs_from_torch_by_its_threshold():
    net = am.from_torch(nn.Softplus(), (1,))
    z = np.array([[19.9], [20.1], [40.0]])
    exact = np.log1p(np.exp(-z[:, 0])) + z[:, 0]
    assert np.abs(net(z) - exact).max() < 1e-14
    assert np.abs(net.to_torch()(torch.from_numpy(z)).numpy() - exact).max() < 1e-14
    difference = np.abs(nn.Softplus()(torch.from_numpy(z))[:, 0].numpy() - exact)
    assert difference[0] < 1e-14
    assert 1e-9 < difference[1] < 2.1e-9


def test_dropout_is_off_whatever_the_mode():
    module = nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.9), nn.Tanh(), nn.AlphaDropout(0.5), nn.Linear(4, 1)).double()
    module.train()
    check_same(module, am.from_torch(module), None)

    def forward(self, x):
        return self.last(functional.dropout(self.first(x), 0.5, self.training))

    module = Lambda(forward, first=nn.Linear(3, 4), last=nn.Linear(4, 1)).double()
    assert module.training
    check_same(module, am.from_torch(module), None)


# What is refused


class Attention(nn.Module):
    def forward(self, x):
        return x


class Scaled(nn.Linear):
    def forward(self, x):
        return torch.cumsum(super().forward(x), 1)


class Twice(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return 2.0 * x

    @staticmethod
    def backward(ctx, g):
        return g


def with_hook():
    module = mlp(3, 3, 1)
    module[0].register_forward_hook(lambda module, args, output: 2.0 * output)
    return module


def with_forward_of_its_own():
    module = mlp(3, 3, 1)
    module[2].forward = lambda x: x
    return module


def with_weight_norm():
    return nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(3, 2)))


def without_gradients(self, x):
    with torch.no_grad():
        h = self.layer(x)
    return torch.tanh(h)


def expanded(self, x):
    return torch.cat([x, self.layer.bias.expand(x.shape[0], 3)], 1)


def of_layer(function):
    return lambda: Lambda(function, layer=nn.Linear(3, 3), norm=nn.BatchNorm1d(3))


REFUSED = {
    "lstm": (
        lambda: nn.Sequential(nn.LSTM(3, 2)),
        (4, 3),
        r"^nn\.LSTM at '0' is not supported: modules that are: Linear",
    ),
    "max pooling": (
        lambda: nn.Sequential(nn.Conv2d(1, 1, 2), nn.MaxPool2d(2)),
        (1, 4, 4),
        r"^nn\.MaxPool2d at '1' is not supported",
    ),
    "transposed": (lambda: nn.ConvTranspose1d(1, 1, 2), (1, 4), r"^nn\.ConvTranspose1d at '0' is not supported"),
    "layer norm": (
        of_layer(lambda s, x: functional.layer_norm(x, (3,))),
        (3,),
        r"^The function layer_norm is not supp",
    ),
    "groups": (lambda: nn.Conv1d(2, 2, 1, groups=2), (2, 4), r"^nn\.Conv1d at '0' .*groups=2, dilation=\(1,\)"),
    "dilation": (
        lambda: nn.Conv2d(1, 1, 2, dilation=(1, 2)),
        (1, 4, 4),
        r"dilation must be 1\. Got .*dilation=\(1, 2\)",
    ),
    "circular": (
        lambda: nn.Conv1d(1, 1, 3, padding=1, padding_mode="circular"),
        (1, 4),
        r"^nn\.Conv1d at '0' is not supported: padding_mode must be 'zeros'\. Got 'circular'\.$",
    ),
    "no batch": (lambda: nn.Conv1d(7, 7, 2), (4,), r"^nn\.Conv1d at '0' .*must be channels and 1 dimensions"),
    "ceil mode": (lambda: nn.AvgPool1d(2, ceil_mode=True), (1, 5), r"^nn\.AvgPool1d at '0' .*Got ceil_mode=True"),
    "divisor": (lambda: nn.AvgPool2d(2, divisor_override=3), (1, 4, 4), r"divisor_override=3\.$"),
    "gelu": (lambda: nn.GELU(approximate="tanh"), (3,), r"^nn\.GELU at '0' .*approximate must be 'none'\. Got 'tanh'"),
    "softplus": (lambda: nn.Softplus(beta=2.0), (3,), r"^nn\.Softplus at '0' .*beta must be 1.*Got beta=2\.0"),
    "threshold": (lambda: nn.Softplus(threshold=5), (3,), r"threshold at least 20\. Got .*threshold=5"),
    "softmax of images": (lambda: nn.Softmax(dim=1), (2, 3), r"^nn\.Softmax at '0' .*all features.*shape \(2, 3\)"),
    "softmax of the batch": (lambda: nn.Softmax(dim=0), (3,), r"all features of a flat value\. Got dim=0"),
    "log softmax": (lambda: nn.LogSoftmax(dim=1), (3,), r"^nn\.LogSoftmax at '0' is not supported"),
    "no statistics": (lambda: nn.BatchNorm1d(3, track_running_stats=False), (3,), r"^nn\.BatchNorm1d at '0' .*running"),
    "hook": (with_hook, None, r"^nn\.Linear at '0' has hooks"),
    "own forward": (with_forward_of_its_own, None, r"^nn\.Linear at '2' has a forward of its own"),
    "weight norm": (with_weight_norm, (3,), r"^ParametrizedLinear at '0' is not supported"),
    "subclass": (lambda: nn.Sequential(Scaled(3, 2)), (3,), r"^The function cumsum in '0' is not supported"),
    "branch": (of_layer(lambda s, x: x if x.sum() > 0 else -x), (3,), r"^torch\.fx cannot trace Lambda: symbolically"),
    "loop": (
        of_layer(lambda s, x: sum(row for row in x)),
        (3,),
        r"^torch\.fx cannot trace Lambda: Proxy object cannot",
    ),
    "several outputs": (
        of_layer(lambda s, x: (s.layer(x), x)),
        (3,),
        r"must return one tensor that depends on its inp",
    ),
    "a table": (of_layer(lambda s, x: {"a": s.layer(x)}), (3,), r"must return one tensor"),
    "no input": (of_layer(lambda s, x: s.layer.weight), (3,), r"must return one tensor"),
    "product": (
        of_layer(lambda s, x: s.layer(x) * x),
        (3,),
        r"^The function mul is not supported: it multiplies two val",
    ),
    "quotient": (
        of_layer(lambda s, x: 1 / s.layer(x)),
        (3,),
        r"^The function truediv .*divides by something that is no",
    ),
    "trained divisor": (of_layer(lambda s, x: x / s.layer.bias), (3,), r"divides by something that is no constant"),
    "division by 0": (of_layer(lambda s, x: x / 0), (3,), r"it divides by 0\.$"),
    "cube": (of_layer(lambda s, x: x**3), (3,), r"^The function pow is not supported: of powers there is the square"),
    "weight from the left": (of_layer(lambda s, x: s.layer.weight @ x), (3, 2), r"^The function matmul .*x @ W"),
    "infinite": (of_layer(lambda s, x: x * float("inf")), (3,), r"constant must be a finite number\. Got inf"),
    "truth": (of_layer(lambda s, x: x + True), (3,), r"constant must be a finite number\. Got True"),
    "batch in a sum": (of_layer(lambda s, x: x + x.size(0)), (3,), r"finite number\. Got the size of the batch"),
    "batch in a number": (of_layer(lambda s, x: x * (x.shape[0] + 1)), (3,), r"it computes with the size of the batch"),
    "mean of the batch": (
        of_layer(lambda s, x: x - x.mean(0)),
        (3,),
        r"^The method \.mean\(\) is not supported: methods",
    ),
    "all flat": (of_layer(lambda s, x: torch.flatten(x)), (3,), r"^The function flatten .*not one row for each sample"),
    "batch in rows": (
        of_layer(lambda s, x: x.view(-1, 2)),
        (4,),
        r"^The method \.view\(\) .*not one row for each sample",
    ),
    "along the batch": (
        of_layer(lambda s, x: torch.cat([x, x])),
        (3,),
        r"^The function cat .*not one row for each sample",
    ),
    "weights beside values": (of_layer(expanded), (3,), r"^The function cat .*every tensor must depend on the input"),
    "shapes": (
        of_layer(lambda s, x: x.view(-1, 7, 1) + x),
        (7,),
        r"^The function add .*shapes \(7,\) and \(7, 7\) beside",
    ),
    "dropout that stays": (
        of_layer(lambda s, x: functional.dropout(x)),
        (3,),
        r"^The function dropout .*training=self\.",
    ),
    "noise": (of_layer(lambda s, x: x + torch.randn(3)), (3,), r"^Lambda is not supported: its forward draws random"),
    "noise of a shape": (of_layer(lambda s, x: x + torch.randn_like(x)), (3,), r"^The function randn_like is not supp"),
    "computed weights": (
        of_layer(lambda s, x: x @ torch.exp(s.layer.weight)),
        (3,),
        r"^The function exp .*before they m",
    ),
    "no gradients": (of_layer(without_gradients), (3,), r"^Lambda is not supported: gradients are off"),
    "own gradient": (of_layer(lambda s, x: Twice.apply(x)), (3,), r"^Lambda is not supported: gradients are off"),
    "detached": (of_layer(lambda s, x: s.layer(x).detach()), (3,), r"^The method \.detach\(\) is not supported"),
    "part of a value": (
        of_layer(lambda s, x: x[:, 0]),
        (3,),
        r"^The function getitem is not supported: functions that",
    ),
    "transposed value": (of_layer(lambda s, x: x.T), (3,), r"^The attribute \.T is not supported"),
    "an argument": (
        of_layer(lambda s, x: torch.div(x, 2, rounding_mode="floor")),
        (3,),
        r"^The function div .*rounding_",
    ),
    "layer of weights": (
        of_layer(lambda s, x: functional.linear(s.layer.weight, x)),
        (3,),
        r"^The function linear is not",
    ),
    "kernel of values": (of_layer(lambda s, x: functional.linear(s.layer(x), x)), (3,), r"only its first argument may"),
    "layer of a vector": (of_layer(lambda s, x: functional.linear(x, s.layer.bias)), (3,), r"it takes a weight matrix"),
    "module of weights": (
        of_layer(lambda s, x: s.layer(s.layer.weight)),
        (3,),
        r"^nn\.Linear at 'layer' is not supported: it does not depend on the input",
    ),
    "a number for each sample": (
        lambda: Lambda(lambda s, x: x + s.rows, rows=nn.Parameter(torch.zeros(7, 3))),
        (3,),
        r"a tensor of shape \(7, 3\) is not the same for all samples",
    ),
    "batch norm as function": (
        of_layer(lambda s, x: functional.batch_norm(x, s.norm.running_mean, s.norm.running_var)),
        (3,),
        r"^The function batch_norm is not supported",
    ),
    "lazy": (lambda: nn.Sequential(nn.LazyLinear(2)), (3,), r"^The parameter '0\.weight' holds no numbers yet"),
    "meta": (lambda: nn.Linear(3, 2, device="meta"), None, r"^The parameter 'weight' holds no numbers yet"),
    "an exported part": (
        lambda: nn.Sequential(am.mlp(3, [2]).to_torch(), nn.Tanh()),
        (3,),
        r"^TorchAssembly at '0' is",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_supported_is_refused_by_name(name):
    builder, shape, message = REFUSED[name]
    module = builder()
    state = torch.get_rng_state()
    with pytest.raises(GraphError, match=message) as caught:
        am.from_torch(module, shape)
    assert "\n" not in str(caught.value)
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize(
    ("module", "options", "kind", "message"),
    [
        (lambda: "net", {}, ArgumentError, r"'module' argument must be a torch\.nn\.Module\. Got str"),
        (
            cnn_2d,
            {},
            ArgumentError,
            r"'input_shape' argument must be given.*first is nn\.Conv2d at '0', not nn\.Linear",
        ),
        (nn.Identity, {}, ArgumentError, r"'input_shape' argument must be given.*first is"),
        (cnn_2d, {"input_shape": 3}, ArgumentError, r"'input_shape' argument must be a non-empty sequence of ints"),
        (cnn_2d, {"input_shape": (0, 4)}, ArgumentError, r"'input_shape\[0\]' argument must be an int of at least 1"),
        (lambda: mlp(3, 4, 1), {"dtype": np.float16}, ArgumentError, r"'dtype' argument must be float64 or float32"),
        (lambda: mlp(3, 4, 1), {"input_shape": (5,)}, ShapeError, r"^nn\.Linear at '0' fails .*\(5,\): mat1 and mat2"),
        (lambda: nn.Linear(2, 1, dtype=torch.complex64), {}, ArgumentError, r"'weight' must hold real.*complex64"),
    ],
)
def test_what_is_no_module_or_does_not_fit(module, options, kind, message):
    with pytest.raises(kind, match=message):
        am.from_torch(module(), **options)


def test_a_forward_with_two_inputs():
    class Two(nn.Module):
        def forward(self, x, mask=None):
            return x

    with pytest.raises(
        GraphError, match=r"^The forward of Two must take one tensor and nothing else\. It takes x, mask"
    ):
        am.from_torch(Two(), (3,))


def test_numbers_that_are_none_are_named():
    module = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    module[1].running_mean[1] = torch.inf
    with pytest.raises(
        NonFiniteError, match=r"'parameter 1\.running_mean' argument must be finite\. Got inf at index 1"
    ):
        am.from_torch(module)
    with torch.no_grad():
        module[0].weight[1, 0] = torch.nan
    with pytest.raises(
        NonFiniteError, match=r"'parameter 0\.weight' argument must be finite\. Got nan at index \(1, 0\)"
    ):
        am.from_torch(module)


# To torch


def own(case) -> bool:
    return any(type(connection).__name__ == "Own" for connection in case.assembly().graph.connections)


@pytest.mark.parametrize("case", [case for case in [*cases.CASES, *cases.FLOAT32] if not own(case)], ids=str)
def test_the_module_is_the_assembly(case):
    """Every network of the other tests: values, parameters and gradients; and back again."""
    net = case.assembly()
    module = net.to_torch()
    tolerance = 1e-12 if net.dtype == np.float64 else 1e-5
    X = np.array([case.x(salt) for salt in "abc"])
    found = module(torch.from_numpy(X))
    assert found.dtype == torch.from_numpy(X).dtype
    assert found.shape == net(X).shape
    assert error(found.detach(), net(X)) < tolerance
    assert torch.is_tensor(module(torch.from_numpy(X[0])))
    assert error(module(torch.from_numpy(X[0])).detach(), net(X[0])) < tolerance
    vector = torch.cat([torch.zeros(0, dtype=found.dtype), *(p.detach().ravel() for p in module.parameters())])
    assert np.array_equal(vector.numpy(), net.parameters)
    output = module(torch.from_numpy(X[:1])).reshape(-1)[case.output]
    if net.n_parameters:
        gradient = torch.autograd.grad(output, list(module.parameters()))
        wanted = net.gradient(X[0], case.output)
        assert error(torch.cat([part.ravel() for part in gradient]), wanted) < tolerance
    back = am.from_torch(module, dtype=net.dtype)
    assert np.array_equal(back(X), net(X))
    assert np.array_equal(back.parameters, net.parameters)


@pytest.mark.parametrize("name", CASES)
def test_from_torch_and_back(name):
    module, shape = build(name)
    net = am.from_torch(module, shape)
    X, _ = samples(module, net, shape)
    exported = net.to_torch()
    assert error(exported(torch.from_numpy(X)).detach(), net(X)) < 1e-12
    parameters = [parameter.detach().numpy().ravel() for parameter in exported.parameters()]
    assert np.array_equal(np.concatenate([np.zeros(0), *parameters]), net.parameters)


def test_the_hessian_of_an_exported_network():
    net = am.cnn((3, 3), [2, 2], kernel=2, activation="gelu", padding=1, seed=0, bias=True)
    module = net.to_torch()
    x = np.linspace(-1.0, 1.0, 9)
    hessian = torch.func.hessian(function(module, torch.from_numpy(x), 0))(torch.from_numpy(net.parameters.copy()))
    assert error(net.hessian(x) @ np.eye(net.n_parameters), hessian.detach()) < 1e-12


def test_parameters_have_the_shapes_of_torch():
    net = am.cnn((4, 4), [2, 3], kernel=3, n_channels=2, seed=0, bias=True)
    assert [tuple(p.shape) for p in net.to_torch().parameters()] == [
        (2, 2, 3, 3),
        (2,),
        (3, 2, 3, 3),
        (3,),
        (1, 48),
        (1, 1),
    ]


def test_trained_in_torch_and_taken_back():
    net = am.resnet(3, 6, 2, seed=0)
    module = net.to_torch()
    x = torch.tensor([[1.0, -1.0, 0.5]], dtype=torch.float64)
    module(x).sum().backward()
    torch.optim.SGD(module.parameters(), lr=0.1).step()
    back = am.from_torch(module)
    assert error(back.parameters, net.parameters - 0.1 * net.gradient(x[0].numpy())) < 1e-13
    assert np.array_equal(net.parameters, am.resnet(3, 6, 2, seed=0).parameters)
    assert back.width == net.width


def test_what_is_fixed_in_torch_comes_back_fixed():
    net = am.cnn((4,), [2], kernel=3, seed=0, bias=True)
    module = net.to_torch()
    kernel, bias, _, last = module.parameters()
    for parameter in (kernel, bias):
        parameter.requires_grad_(False)
    back = am.from_torch(module)
    assert np.array_equal(back.parameters, net.parameters[-9:])
    x = np.array([1.0, -2.0, 0.5, 0.3])
    assert error(back(x), net(x)) < 1e-14
    assert error(back.gradient(x), net.gradient(x)[-9:]) < 1e-13
    with torch.no_grad():
        last.fill_(torch.nan)
    with pytest.raises(NonFiniteError, match=r"parameter weights\.3' argument must be finite"):
        am.from_torch(module)


def test_an_exported_module_is_copied_saved_and_moved():
    net = am.mlp(3, [4], "relu", seed=0, n_outputs=2, output_activation="softmax")
    module, x = net.to_torch(), torch.tensor([[0.5, -1.0, 2.0]], dtype=torch.float64)
    wanted = module(x)
    for twin in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert torch.equal(twin(x), wanted)
    assert list(module.state_dict()) == ["weights.0", "weights.1"]
    other = am.mlp(3, [4], "relu", seed=1, n_outputs=2, output_activation="softmax").to_torch()
    assert not torch.equal(other(x), wanted)
    stream = io.BytesIO()
    torch.save(module.state_dict(), stream)
    stream.seek(0)
    other.load_state_dict(torch.load(stream))
    assert torch.equal(other(x), wanted)
    assert error(module.float()(x.float()).detach(), wanted.detach()) < 1e-6
    assert "n_inputs=3, n_outputs=2" in repr(module)


@pytest.mark.parametrize("shape", [(2,), (4, 6), (2, 2, 3), ()])
def test_an_exported_module_takes_its_inputs_and_no_others(shape):
    module = am.mlp(3, [4], seed=0).to_torch()
    with pytest.raises(ShapeError, match=r"'X' argument must have shape \(3,\) or \(n, 3\)\. Got "):
        module(torch.zeros(shape, dtype=torch.float64))


def test_sub_models_of_your_own_are_not_exported():
    part = am.submodel(np.vdot, lambda w, x: x, lambda w, x, v: 0.0 * v, n_inputs=2, n_parameters=2, name="linear")
    with pytest.raises(GraphError, match=r"^The sub-model 'linear' of your own cannot become a torch module"):
        part(0).to_torch()


def test_convolutions_over_more_than_three_dimensions_are_not_exported():
    windows = Windows(1, (2,) * 4, (1,) * 4, (1,) * 4, (0,) * 4)
    graph = Graph(
        (Group(16, "input"), Group(16, "tanh")), (Convolution(0, 1, 16, 16, np.ones(16), windows, 1),), ((1, 0),)
    )
    with pytest.raises(GraphError, match=r"^A convolution over 4 dimensions cannot become a torch module"):
        am.Assembly.from_graph(graph, np.ones(1)).to_torch()


# Beside torch


def test_torch_is_loaded_only_when_it_is_needed():
    code = (
        "import sys, assembly as am; net = am.mlp(2, [3]); net.hessian([1.0, 2.0]).norm(); am.from_torch; "
        "assert 'torch' not in sys.modules; net.to_torch(); assert 'torch' in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_without_torch_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setattr("assembly.torch_export.find_spec", lambda name: None)
    for call, name in ((lambda: am.from_torch(nn.Linear(2, 1)), "from_torch"), (am.mlp(2, [3]).to_torch, "to_torch")):
        with pytest.raises(
            AssemblyError, match=rf"^{name} needs PyTorch: pip install 'assembly-perspective\[torch\]'\.$"
        ):
            call()


@pytest.mark.parametrize(("name", "n_blocks"), [("torch", 14), ("limits", 2)])
def test_the_page_prints_what_it_says(name, n_blocks):
    """Every Python block of the page, one after the other; the text beneath a block is what it prints."""
    page = (ROOT / "docs" / "how-to" / f"{name}.md").read_text("utf-8")
    blocks = re.findall(r"^```(python|text)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert len(blocks) == n_blocks
    names: dict = {}
    for (kind, code), (following, promised) in zip(blocks, [*blocks[1:], ("", "")], strict=True):
        if kind == "python":
            with contextlib.redirect_stdout(io.StringIO()) as printed:
                exec(code, names)
            words, expected = printed.getvalue().split(), promised.split() if following == "text" else []
            assert len(words) == len(expected), printed.getvalue()
            for word, wanted in zip(words, expected, strict=True):
                if re.fullmatch(r"-?\d+\.\d+(e-?\d+)?", wanted):
                    assert float(word) == pytest.approx(float(wanted), rel=1e-3, abs=1e-12)
                else:
                    assert word == wanted
