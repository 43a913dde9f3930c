"""Convolutional networks against JAX's own convolution, and what their builder promises."""

import numpy as np
import pytest
from scipy.sparse.linalg import eigsh

import assembly as am
import cases
import contracts
from assembly.blocks import convolution
from assembly.blocks.convolution import ConvolutionBlock
from assembly.blocks.tied import TiedBlock
from assembly.calculus import dense
from assembly.errors import ArgumentError, GraphError, ResourceError, UnknownNameError
from assembly.graph.windows import OUTSIDE, Windows


@pytest.fixture(scope="module")
def jax():
    import jax_oracle  # skips the test, with its reason, where JAX is not installed

    return jax_oracle.jax


def by_jax(jax, net, x, shape, channels, kernel, stride, padding, pool, activation, bias, output=0):
    """Return value, gradient and Hessian from `jax.lax.conv_general_dilated` and `jax.lax.reduce_window`."""
    jnp, lax, n = jax.numpy, jax.lax, len(shape)

    def f(w):
        position, a = 0, jnp.asarray(x, dtype=float).reshape(1, channels[0], *shape)

        def take(*extents):
            nonlocal position
            taken = w[position : position + int(np.prod(extents))].reshape(extents)
            position += int(np.prod(extents))
            return taken

        for below, above, size in zip(channels[:-1], channels[1:], pool, strict=True):
            kernels = take(above, below, *kernel)
            z = lax.conv_general_dilated(a, kernels, stride, [(p, p) for p in padding])
            z = z / jnp.sqrt(below * np.prod(kernel))
            a = activation(z + (take(above) if bias else jnp.zeros(above)).reshape(1, above, *[1] * n))
            window = (1, 1, *[size] * n)
            a = lax.reduce_window(a, 0.0, lax.add, window, window, "VALID") / size**n
        last = a.ravel()
        out = take(net.n_outputs, len(last)) @ last / jnp.sqrt(len(last))
        return (out + take(net.n_outputs) if bias else out)[output]

    found = jax.jit(lambda w: (f(w), jax.grad(f)(w), jax.hessian(f)(w)))(jnp.asarray(net.parameters, dtype=float))
    return [np.asarray(derivative) for derivative in found]


@pytest.mark.parametrize(
    ("shape", "channels", "kernel", "stride", "padding", "pool", "bias", "n_outputs"),
    [
        ((7,), (1, 3, 2), (3,), (1,), (1,), (1, 1), False, 1),
        ((9,), (2, 2, 3), (4,), (2,), (1,), (1, 2), True, 2),
        ((2,), (2, 4, 4), (3,), (1,), (1,), (1, 1), True, 1),
        ((6, 5), (2, 3, 2), (3, 2), (1, 2), (1, 1), (2, 1), True, 1),
        ((7, 5), (1, 2, 2), (3, 3), (2, 1), (0, 2), (1, 1), False, 1),
    ],
)
def test_value_gradient_and_hessian_are_those_of_jax(
    jax, shape, channels, kernel, stride, padding, pool, bias, n_outputs
):
    net = am.cnn(
        shape,
        channels[1:],
        kernel,
        "tanh",
        n_channels=channels[0],
        stride=stride,
        padding=padding,
        pool=pool,
        bias=bias,
        n_outputs=n_outputs,
        seed=7,
    )
    x = np.random.default_rng(0).normal(size=net.n_inputs)
    plan = (shape, channels, kernel, stride, padding, pool, jax.numpy.tanh, bias, n_outputs - 1)
    value, gradient, hessian = by_jax(jax, net, x, *plan)
    H = net.hessian(x, n_outputs - 1)
    assert np.atleast_1d(net(x))[-1] == pytest.approx(float(value), rel=1e-14)
    assert contracts.error(net.gradient(x, n_outputs - 1), gradient) < 1e-14
    assert contracts.error(H @ np.eye(H.shape[0]), hessian) < 1e-14
    assert abs(H.norm(1e-8).value) == pytest.approx(np.abs(np.linalg.eigvalsh(hessian)).max(), rel=1e-12)


def test_the_cases_hold_convolutions_in_node_space_and_out_of_it():
    """Kernels with more entries than there are nodes on both sides are in node space; the others are coordinates."""

    def kinds(name):
        blocks = cases.BY_NAME[name].assembly()._body.program.blocks
        return [block.in_node_space for block in blocks if type(block).__name__ == "ConvolutionBlock"]

    assert kinds("cnn-1d") == kinds("cnn-2d") == [False, False]
    assert kinds("cnn-1d-in-node-space") == kinds("cnn-in-node-space-float32") == [True, True]
    assert kinds("cnn-1d-in-and-out-of-node-space") == [False, True]
    assert kinds("committee-of-cnns-in-node-space") == [True, True]


@pytest.mark.parametrize("name", ["cnn-2d", "cnn-1d-in-node-space", "cnn-1d-stride-pool"])
def test_every_pass_is_that_of_the_edges_one_by_one(name):
    """Blocks by patches against the matrix of their edges, and against the same edges as a tied connection."""
    net = cases.BY_NAME[name].assembly()
    rng, n = np.random.default_rng(0), net._body.program.n_nodes
    position = [type(c).__name__ for c in net.graph.connections].index("Convolution", 1)  # the second layer
    connection, block = net.graph.connections[position], net._body.program.blocks[position]
    weights, edges = net._body.weights[position], connection.as_tied()
    tied = TiedBlock(
        *(block.source, block.target, block.factor, block.parameters, None, False),
        *(edges.indptr, edges.indices, edges.weight, np.bincount(edges.weight, minlength=edges.n_weights)),
    )
    reads = np.zeros((edges.n_target, edges.n_source))
    reads[np.repeat(np.arange(edges.n_target), edges.in_degrees()), edges.indices] = 1.0
    a, c, s, t = rng.normal(size=(4, n))
    np.testing.assert_allclose(block.products(a, c), reads @ (a * c)[block.source], rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(block.spread(s[block.target]), s[block.target] @ reads, rtol=1e-13, atol=1e-15)
    for method, arguments in (("push", (weights, a)), ("pull", (weights, s)), ("scatter", (weights, s, t, a, c))):
        size = edges.n_weights if method == "scatter" else n
        found, wanted = np.zeros((2, size))
        getattr(block, method)(*arguments, found)
        getattr(tied, method)(weights.ravel(), *arguments[1:], wanted)
        assert contracts.error(found, wanted) < 1e-14
    assert contracts.error(block.own_gram(weights, a, c), tied.own_gram(weights, a, c)) < 1e-14
    columns = rng.normal(size=(edges.n_source, 70))
    assert contracts.error(block.multiply(weights, columns), tied.multiply(weights.ravel(), columns)) < 1e-14
    assert contracts.error(block.carried(weights.ravel()), tied.carried(weights.ravel())) < 1e-14


@pytest.mark.parametrize(("shape", "channels", "inside"), [((12, 12), [6, 8], False), ((3,), [16, 16], True)])
def test_norm_and_spectrum_by_iteration_on_larger_networks(shape, channels, inside, monkeypatch):
    net = am.cnn(shape, channels, n_channels=2, seed=1)
    blocks = net._body.program.blocks
    assert [block.in_node_space for block in blocks[:2]] == [inside, inside]
    H = net.hessian(np.random.default_rng(0).normal(size=net.n_inputs))
    v0 = np.random.default_rng(1).normal(size=H.shape[0])
    top = eigsh(H, k=3, which="LM", tol=1e-10, v0=v0, return_eigenvectors=False)
    monkeypatch.setattr(dense, "LARGEST_SIZE", 0)
    found = H.eigenvalues(3, tol=1e-8)
    assert found.converged
    assert found.n_steps > 0
    np.testing.assert_allclose(np.sort(found.value), np.sort(top), rtol=1e-9)
    spectrum = H.spectrum(n_probes=2, n_steps=30)
    assert spectrum.counts.sum() == pytest.approx(net.n_parameters, rel=1e-9)
    assert np.abs(spectrum.values).max() == pytest.approx(np.abs(top).max(), rel=1e-6)


def test_a_convolution_that_sees_the_whole_image_is_a_dense_layer():
    cnn, mlp = am.cnn((1,), [6, 5], 1, n_channels=4, bias=True), am.mlp(4, [6, 5], seed=3, bias=True)
    same, x = cnn.with_parameters(mlp.parameters), np.random.default_rng(0).normal(size=4)
    eye = np.eye(mlp.n_parameters)
    assert same(x) == pytest.approx(mlp(x), rel=1e-14)
    assert contracts.error(same.gradient(x), mlp.gradient(x)) < 1e-14
    assert contracts.error(same.hessian(x) @ eye, mlp.hessian(x) @ eye) < 1e-14
    wide = am.cnn((3, 2), [5], (3, 2), padding=0, n_channels=2).with_parameters(am.mlp(12, [5], seed=3).parameters)
    z = np.random.default_rng(1).normal(size=12)
    assert wide(z) == pytest.approx(am.mlp(12, [5], seed=3)(z), rel=1e-14)


def test_neurons_of_one_channel_see_their_window_with_one_kernel():
    net = am.cnn((6,), [2], 3, seed=0)
    kernels = net.parameters[:6].reshape(2, 3)
    for channel in range(2):
        for place in range(6):
            neuron = net.layers[1].neurons[6 * channel + place]
            seen = [place + tap - 1 for tap in range(3)]
            inside = [tap for tap, pixel in enumerate(seen) if 0 <= pixel < 6]
            assert [parent.position for parent in neuron.parents] == [seen[tap] for tap in inside]
            np.testing.assert_array_equal(neuron.weights, kernels[channel, inside])
            np.testing.assert_array_equal(neuron.factors, 1.0 / np.sqrt(3.0))  # on the border too


def test_a_shifted_image_shifts_the_activations():
    net = am.cnn((12,), [3], 3, seed=0, bias=True)
    x = np.zeros(12)
    x[3:6] = [1.0, -2.0, 0.5]
    a, b = (net.evaluate(image).post[0, net.layers[1].nodes].reshape(3, 12) for image in (x, np.roll(x, 2)))
    np.testing.assert_array_equal(a[:, 1:9], b[:, 3:11])


def test_average_pooling_means_over_windows_and_drops_what_is_left_over():
    net = am.cnn((5, 7), [2], 3, pool=2, seed=0)
    x = np.random.default_rng(0).normal(size=35)
    post = net.evaluate(x).post[0]
    before = post[net.layers[1].nodes].reshape(2, 5, 7)
    after = post[net.layers[2].nodes].reshape(2, 2, 3)
    wanted = before[:, :4, :6].reshape(2, 2, 2, 3, 2).mean(axis=(2, 4))
    np.testing.assert_allclose(after, wanted, rtol=1e-14)
    assert {neuron.n_parameters for neuron in net.layers[2].neurons} == {9}
    assert net.n_parameters == 2 * 9 + 12


@pytest.mark.parametrize("padding", [(0,), (1,), (2,)])
@pytest.mark.parametrize("stride", [(1,), (2,), (4,)])
def test_windows_by_hand(stride, padding):
    windows = Windows(2, (7,), (3,), stride, padding)
    framed = np.pad(np.arange(7.0), padding[0], constant_values=OUTSIDE)
    rows = [framed[i : i + 3] for i in range(0, len(framed) - 2, stride[0])]
    np.testing.assert_array_equal(windows.pixels, rows)
    assert windows.output_shape == (len(rows),)
    a, b = np.random.default_rng(0).normal(size=14), np.random.default_rng(1).normal(size=(6, len(rows)))
    back = np.zeros(14)
    windows.add_patches(b, back)
    assert np.vdot(windows.patches(a), b) == pytest.approx(np.vdot(a, back), rel=1e-13)
    np.testing.assert_array_equal(windows.patches(a)[3:], np.where(windows.pixels < 0, 0.0, a[7 + windows.pixels]).T)


@pytest.mark.parametrize(
    ("build", "width"),
    [
        (lambda: am.cnn((16,), [8, 8], 3), 16),  # a window on the border: 2 taps of 8 channels
        (lambda: am.cnn((16,), [8, 8], 3, padding=0), 24),
        (lambda: am.cnn((9, 9), [5, 4], 3), 20),  # in a corner: 4 taps of 5 channels
        (lambda: am.cnn((9, 9), [5, 1], 3, pool=[1, 3]), 9),  # the readout
        (lambda: am.cnn((16,), [3]), 48),
        (lambda: am.cnn((2, 2), [3, 6], 3, pool=[2, 1]), 3),  # one tap of a window is inside
        (lambda: am.cnn((16,), [8, 8], 3, trainable_readout=False, pool=[1, 8]), 16),
        (lambda: am.cnn((16,), [2, 8], 3, bias=True), 4),
    ],
)
def test_width_is_the_smallest_window_or_the_readout(build, width):
    assert build().width == width


def test_initial_weights_are_standard_normal_and_independent():
    """Moments and correlations within 5 standard errors; false alarms 6e-7 each, and the seeds are fixed."""
    net = am.cnn((8,), [100, 60], 3, seed=0, bias=True)
    first, biases, second = np.split(net.parameters[: 300 + 100 + 18_000], [300, 400])
    for w in (first, biases, second):
        assert abs(w.mean()) < 5.0 / np.sqrt(len(w))
        assert abs(np.mean(w**2) - 1.0) < 5.0 * np.sqrt(2.0 / len(w))
    others = [am.cnn((8,), [100, 60], 3, seed=1), am.cnn((9,), [100, 60], 3), am.cnn((8,), [100, 60], 3, stride=2)]
    streams = np.array([second[:17_700], *(net.parameters[300:18_000] for net in others)])
    assert np.abs(np.corrcoef(streams) - np.eye(4)).max() < 5.0 / np.sqrt(17_700)
    np.testing.assert_array_equal(net.parameters, am.cnn((8,), [100, 60], 3, seed=0, bias=True).parameters)
    signs = am.cnn((8,), [4], readout="sign", trainable_readout=False).coefficients
    np.testing.assert_array_equal(np.unique(signs), [-1.0, 1.0])


def test_padding_same_keeps_one_window_for_every_pixel():
    sizes = {stride: am.cnn((11,), [1], 5, stride=stride).layers[1].size for stride in (1, 2, 3)}
    assert sizes == {1: 11, 2: 6, 3: 4}
    assert am.cnn((11, 4), [1], (5, 3)).layers[1].size == 44


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_sample_sees_its_batch_in_rounding_only(dtype):
    net = am.cnn((6, 6), [5, 4], pool=[2, 1], n_channels=3, bias=True, seed=0, dtype=dtype)
    X = np.random.default_rng(0).normal(size=(300, 108)).astype(dtype)
    whole = net(X)
    assert whole.dtype == dtype
    assert contracts.error(net(X[40:41]), whole[40:41]) < contracts.rounding(net, 1e-14, 4e-6)
    assert contracts.error(net(X[::-1]), whole[::-1]) < contracts.rounding(net, 1e-14, 4e-6)


def test_float32_agrees_with_float64():
    small = am.cnn((6,), [4, 4], seed=0, bias=True, dtype="float32")
    large = am.cnn((6,), [4, 4], bias=True).with_parameters(small.parameters)
    x = np.random.default_rng(0).normal(size=6).astype(np.float32)
    assert small.gradient(x).dtype == (small.hessian(x) @ small.parameters).dtype == np.float32
    assert contracts.error(small.gradient(x), large.gradient(x)) < 1e-6
    assert float(small.hessian(x).norm(1e-4)) == pytest.approx(float(large.hessian(x).norm()), rel=1e-5)
    assert contracts.error(small.layers[2].gram(x), large.layers[2].gram(x)) < 1e-6


def test_the_pre_activation_of_a_neuron_that_others_read_is_no_part():
    net = am.cnn((5,), [2, 2], 3, pool=[2, 1])
    with pytest.raises(GraphError, match="cannot be a part beside neurons that use its activation"):
        am.Assembly([net, net.layers[1].neurons[3].pre], [1.0, 1.0])
    left_over = net.layers[1].neurons[4].pre
    x = np.random.default_rng(0).normal(size=5)
    both = am.Assembly([net, left_over], [1.0, 1.0], scale=1.0)
    assert both(x) == pytest.approx(net(x) + left_over(x), rel=1e-14)
    assert both.n_parameters == net.n_parameters


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (
            {"shape": (2, 3, 3)},
            ArgumentError,
            r"'shape' argument must be \(length,\) or .*'n_channels'.*Got \(2, 3, 3\)",
        ),
        ({"shape": 8}, ArgumentError, r"'shape' argument must be a non-empty sequence of ints\. Got 8"),
        ({"shape": (8, 0)}, ArgumentError, r"'shape\[1\]' argument must be an int of at least 1\. Got 0"),
        ({"channels": []}, ArgumentError, r"'channels' argument must be a non-empty sequence"),
        ({"channels": [2, 0]}, ArgumentError, r"'channels\[1\]' argument must be an int of at least 1"),
        ({"n_channels": 0}, ArgumentError, "'n_channels' argument must be an int of at least 1"),
        ({"kernel": 0}, ArgumentError, "'kernel' argument must be an int of at least 1"),
        ({"kernel": (3, 3)}, ArgumentError, r"'kernel' argument must be an int, or one for each of 1 dimensions\. Got"),
        ({"kernel": 9, "padding": 0}, ArgumentError, r"'kernel' .* image of layer 1, \(8,\) with padding \(0,\)\. Got"),
        ({"channels": [2, 2], "pool": [4, 1], "padding": 0}, ArgumentError, r"image of layer 2, \(1,\) with padding"),
        ({"stride": 0}, ArgumentError, "'stride' argument must be an int of at least 1. Got 0"),
        ({"padding": -1}, ArgumentError, "'padding' argument must be an int of at least 0. Got -1"),
        ({"padding": 3}, ArgumentError, r"'padding' argument must be smaller than the kernel, \(3,\)\. Got \(3,\)"),
        ({"padding": "valid"}, UnknownNameError, "'padding' argument must be one of same. Got 'valid'"),
        ({"kernel": 4}, ArgumentError, r"'padding' argument can be 'same' for odd kernels only\. Got kernel \(4,\)"),
        ({"pool": 9}, ArgumentError, r"'pool' argument must leave something of layer 1, .* \(8,\)\. Got 9"),
        (
            {"pool": [2, 2]},
            ArgumentError,
            r"'pool' argument must be an int, or one for each of 1 layers\. Got \[2, 2\]",
        ),
        ({"pool": 0}, ArgumentError, "'pool' argument must be an int of at least 1"),
        ({"activation": "softmax"}, UnknownNameError, "'activation' argument must be one of identity"),
        ({"output_activation": "softmax"}, ArgumentError, "'n_outputs' argument must be at least 2"),
        ({"readout": "signs"}, UnknownNameError, "Did you mean 'sign'"),
        ({"dtype": "int64"}, ArgumentError, "'dtype' argument must be float64 or float32"),
        ({"seed": -1}, ArgumentError, "'seed' argument must be an int of at least 0"),
        ({"shape": (10**7, 10**5)}, ResourceError, "GiB"),
        ({"channels": [10**6, 10**6]}, ResourceError, "A network of 3,000,011,000,000 weights"),
    ],
)
def test_errors(options, error, message):
    with pytest.raises(error, match=message):
        am.cnn(**{"shape": (8,), "channels": [2], **options})


@pytest.mark.parametrize(("shape", "channels", "by_gradients"), [((6, 6), [30, 40], True), ((2, 2), [12, 20], False)])
@pytest.mark.parametrize("n_left", [1, 5])
def test_tangent_kernel_by_gradients_and_over_pairs_of_windows(shape, channels, by_gradients, n_left, monkeypatch):
    ways = []
    plain = ConvolutionBlock._kernel_by_gradients
    monkeypatch.setattr(ConvolutionBlock, "_kernel_by_gradients", lambda *a: ways.append(a[0]) or plain(*a))
    monkeypatch.setattr(convolution, "GRADIENT_NUMBERS", 20_000)  # several rounds of channels
    net = am.cnn(shape, channels, n_channels=2, seed=0)
    blocks = net.hessian(np.ones(net.n_inputs)).node_space.program.blocks
    inside = [block for block in blocks if isinstance(block, ConvolutionBlock) and block.in_node_space]
    assert inside
    X, Z = np.random.default_rng(1).normal(size=(2, 5, net.n_inputs))
    gradients = [np.array([net.gradient(x) for x in side]) for side in (X[:n_left], Z, X)]
    found = net.tangent_kernel(X[:n_left], Z)
    np.testing.assert_allclose(found, gradients[0] @ gradients[1].T, rtol=0, atol=1e-13 * np.abs(found).max())
    assert bool(ways) == (by_gradients and n_left > 1)
    found = net.tangent_kernel(X)
    np.testing.assert_allclose(found, gradients[2] @ gradients[2].T, rtol=0, atol=1e-13 * np.abs(found).max())
    assert bool(ways) == by_gradients
