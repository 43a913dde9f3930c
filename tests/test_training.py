"""Training against JAX in float64 and against plain loops in numpy, step by step."""

from itertools import count
from types import SimpleNamespace

import numpy as np
import pytest

import assembly as am
from assembly.calculus.tangent_kernel import tangent_kernel
from assembly.dynamics.losses import LOSSES
from assembly.errors import ArgumentError, DivergenceError, GraphError, ShapeError, UnknownNameError
from assembly.seeds import generator
from own_cases import square_gradient, square_product, square_value

RNG = np.random.default_rng(7)
X, X_TEST = RNG.normal(size=(9, 4)), RNG.normal(size=(3, 4))
Y, Y_TEST = np.sign(RNG.normal(size=9)), np.sign(RNG.normal(size=3))
WAYS = {
    "plain": {},
    "logistic": {"loss": "logistic", "step_size": 0.3},
    "momentum": {"momentum": 0.8, "step_size": 0.1},
    "decay": {"weight_decay": 0.3},
    "noise": {"noise": 0.02, "weight_decay": 0.02, "seed": 5},
    "batches": {"batch_size": 4, "step_size": 0.05, "seed": 3},
    "all": {"loss": "logistic", "momentum": 0.5, "weight_decay": 0.1, "noise": 0.01, "batch_size": 4, "step_size": 0.1},
}
ways = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)


def network(**options):
    return am.mlp(4, [12, 10], seed=0, **options)


def trained_by_hand(gradient, w, n_steps, step_size, way):
    """Return the parameters after every step: the formula of the documentation, written as a plain loop."""
    w, velocity, path = w.copy(), np.zeros_like(w), [w.copy()]
    momentum, decay, noise = (way.get(name, 0.0) for name in ("momentum", "weight_decay", "noise"))
    seed, size = way.get("seed", 0), way.get("batch_size", len(X))
    for step in range(n_steps):
        rows = np.arange(len(X))
        if size < len(X):
            per_pass = int(np.ceil(len(X) / size))
            order = generator(seed, "batches", step // per_pass).permutation(len(X))
            rows = order[(step % per_pass) * size :][:size]
        velocity = momentum * velocity - step_size * (len(X) / len(rows) * gradient(w, rows) + decay * w)
        w = w + velocity
        if noise:
            w = w + np.sqrt(2.0 * step_size * noise) * generator(seed, "noise", step).standard_normal(len(w))
        path.append(w)
    return path


def jax_models(net, loss):
    """Return the gradients of the loss of the network, and of its expansions at w0, by JAX."""
    jax = pytest.importorskip("jax", reason="jax is not installed: pip install 'assembly-perspective[test]'")
    jax.config.update("jax_enable_x64", True)
    jnp, shapes = jax.numpy, [(64, 4), (48, 64), (1, 48)]

    def f(w, inputs):
        a, start = inputs, 0
        for i, (n, k) in enumerate(shapes):
            z = a @ w[start : start + n * k].reshape(n, k).T / jnp.sqrt(k)
            a, start = (jnp.tanh(z) if i < 2 else z), start + n * k
        return a[:, 0]

    w0 = jnp.asarray(net.parameters)

    def first(w, inputs):
        return jax.jvp(lambda at: f(at, inputs), (w0,), (w - w0,))[1]

    def linear(w, inputs):
        return f(w0, inputs) + first(w, inputs)

    def quadratic(w, inputs):
        along = jax.jvp(lambda at: jax.jvp(lambda b: f(b, inputs), (at,), (w - w0,))[1], (w0,), (w - w0,))[1]
        return linear(w, inputs) + 0.5 * along

    def gradient_of(model):
        def total(w, inputs, targets):
            u = model(w, inputs)
            return jnp.sum(0.5 * (u - targets) ** 2 if loss == "squared" else jnp.logaddexp(0.0, -targets * u))

        compiled = jax.jit(jax.grad(total))
        return lambda w, rows: np.asarray(compiled(w, X[rows], Y[rows]))

    models = {"network": f, "linearized": linear, "quadratic": quadratic}
    return {name: (gradient_of(model), model) for name, model in models.items()}


@ways
def test_fifty_steps_of_every_model_are_those_of_jax(way):
    net = am.mlp(4, [64, 48], seed=0)
    run = am.train(net, X, Y, n_steps=50, every=1, beside=("linearized", "quadratic"), record=(), X_test=X_TEST, **way)
    eta = run.settings["step_size"]
    for name, (gradient, model) in jax_models(net, way.get("loss", "squared")).items():
        path = trained_by_hand(gradient, net.parameters, 50, eta, way)
        if name == "network":
            np.testing.assert_allclose(run.parameters, path[-1], rtol=0.0, atol=1e-12)
        wanted = np.array([model(w, X) for w in path])
        np.testing.assert_allclose(run.outputs[name][:, :, 0], wanted, rtol=0.0, atol=1e-12)
        np.testing.assert_allclose(
            run.test_outputs[name][:, :, 0], np.array([model(w, X_TEST) for w in path]), rtol=0.0, atol=1e-12
        )


@ways
def test_the_table_says_what_the_outputs_are(way):
    run = am.train(
        network(), X, Y, n_steps=6, every=2, beside=("linearized",), record=(), X_test=X_TEST, y_test=Y_TEST, **way
    )
    np.testing.assert_array_equal(run["step"], [0.0, 2.0, 4.0, 6.0])
    np.testing.assert_allclose(run["time"], run.settings["step_size"] * run["step"], rtol=1e-15)

    def loss(u, y):
        return np.sum(0.5 * (u - y) ** 2 if way.get("loss") != "logistic" else np.log(1.0 + np.exp(-y * u)), axis=1)

    for name, suffix in (("network", ""), ("linearized", "_linearized")):
        np.testing.assert_allclose(run[f"loss{suffix}"], loss(run.outputs[name][:, :, 0], Y), rtol=1e-13)
        np.testing.assert_allclose(run[f"test_loss{suffix}"], loss(run.test_outputs[name][:, :, 0], Y_TEST), rtol=1e-13)
    gap = np.sqrt(np.mean((run.outputs["network"] - run.outputs["linearized"])[:, :, 0] ** 2, axis=1))
    np.testing.assert_allclose(run["gap_linearized"], gap, rtol=1e-12, atol=1e-15)


def test_what_is_recorded_is_what_the_network_says_there():
    net = network()
    run = am.train(net, X, Y, n_steps=10, every=10, tol=1e-8)
    moved, K0 = net.with_parameters(run.parameters), net.tangent_kernel(X)
    K, change = moved.tangent_kernel(X), run.parameters - net.parameters
    wanted = {
        "distance": np.linalg.norm(change),
        "largest_entry": np.abs(change).max(),
        "kernel_change": np.linalg.norm(K - K0) / np.linalg.norm(K0),
        "kernel_smallest_eigenvalue": np.linalg.eigvalsh(K)[0],
        "kernel_largest_eigenvalue": np.linalg.eigvalsh(K)[-1],
        "remainder": np.sqrt(np.mean((moved(X) - net.linearize().with_parameters(run.parameters)(X)) ** 2)),
        "hessian_norm": np.mean([float(moved.hessian(x).norm(1e-10)) for x in X[:2]]),
        "rms_cosine_layer_2": am.diagnose(moved, X[:1]).layers[1].diversity.rms_cosine,
    }
    for name, value in wanted.items():
        np.testing.assert_allclose(run[name][-1], value, rtol=1e-9, err_msg=name)
    assert {"largest_share_layer_1", "largest_share_layer_2"} < set(run.table)
    assert run["kernel_change"][0] == run["distance"][0] == run["remainder"][0] == 0.0
    assert all(run.meaning(name) for name in run.table)


def test_the_first_kernel_is_computed_once(monkeypatch):
    """By the step size, the closed form, the first record and the change since then: one, and one for every record."""
    computed = []

    def counted(left, right, *outputs):
        computed.append(outputs)
        return tangent_kernel(left, right, *outputs)

    monkeypatch.setattr("assembly.dynamics.rule.tangent_kernel", counted)
    options = {"n_steps": 2, "every": 1, "record": ("kernel",)}
    run = am.train(network(), X, Y, beside=("closed_form",), **options)
    assert len(computed) == 3
    assert run["kernel_change"][0] == 0.0 < run["kernel_change"][1]
    computed.clear()
    many = RNG.normal(size=(300, 4))  # more than are recorded: the kernel of those is another one
    run = am.train(network(), many, np.ones(300), beside=(), **options)
    assert len(computed) == 4
    values = np.linalg.eigvalsh(network().tangent_kernel(many[:256]))
    np.testing.assert_allclose(run["kernel_largest_eigenvalue"][0], values[-1], rtol=1e-12)


def test_several_outputs_and_targets():
    net = am.mlp(4, [12], n_outputs=2, seed=0)
    y = RNG.normal(size=(9, 2))
    run = am.train(net, X, y, n_steps=3, every=1, record=("kernel",), beside=("linearized", "closed_form"))
    eta, w = run.settings["step_size"], net.parameters.copy()
    J = np.array([[net.gradient(x, k) for k in range(2)] for x in X])
    K = np.einsum("ikp,jlp->ikjl", J, J).reshape(18, 18)
    np.testing.assert_allclose(eta, 1.0 / np.linalg.eigvalsh(K)[-1], rtol=1e-12)
    np.testing.assert_allclose(run["kernel_largest_eigenvalue"][0], np.linalg.eigvalsh(K)[-1], rtol=1e-12)
    u0 = net(X).ravel()
    values, vectors = np.linalg.eigh(K)
    for i, t in enumerate(run["time"]):
        wanted = y.ravel() + vectors @ (np.exp(-values * t) * (vectors.T @ (u0 - y.ravel())))
        np.testing.assert_allclose(run.outputs["closed_form"][i].ravel(), wanted, rtol=1e-10, atol=1e-12)
    for _ in range(3):
        at = net.with_parameters(w)
        slopes = at(X) - y
        w = w - eta * sum(slopes[i, k] * at.gradient(X[i], k) for i in range(9) for k in range(2))
    np.testing.assert_allclose(run.parameters, w, rtol=0.0, atol=1e-12)


def test_float32_stays_near_float64():
    runs = [am.train(network(dtype=dtype), X, Y, n_steps=50, step_size=0.05) for dtype in ("float64", "float32")]
    assert runs[1].parameters.dtype == np.float32
    for name in ("loss", "distance", "kernel_change", "hessian_norm", "remainder"):
        np.testing.assert_allclose(runs[1][name], runs[0][name], rtol=2e-3, atol=2e-5, err_msg=name)


@pytest.mark.parametrize(
    "net",
    [
        am.cnn((4,), [6], 3, seed=0),
        am.resnet(4, 10, 2, seed=0),
        am.random_dag(4, 2, 20, 3, seed=0),
        am.densenet(4, [8, 8], seed=0),
    ],
    ids=["cnn", "resnet", "random_dag", "densenet"],
)
def test_architectures_train_by_their_gradients(net):
    run, w = am.train(net, X, Y, n_steps=5, record=()), net.parameters.copy()
    for _ in range(5):
        at = net.with_parameters(w)
        slopes = at(X) - Y
        w = w - run.settings["step_size"] * sum(slope * at.gradient(x) for slope, x in zip(slopes, X, strict=True))
    np.testing.assert_allclose(run.parameters, w, rtol=0.0, atol=1e-12)


def test_own_sub_models_train_and_have_no_quadratic_model():
    part = am.submodel(square_value, square_gradient, square_product, n_inputs=4, n_parameters=4)
    net = part(seed=0)
    run = am.train(net, X, np.abs(Y), n_steps=20, record=("distance", "kernel", "remainder"))
    assert run["loss"][-1] < run["loss"][0]
    with pytest.raises(GraphError, match="sub-models of your own"):
        am.train(net, X, np.abs(Y), n_steps=2, beside=("quadratic",), record=())


@pytest.mark.parametrize("size", [9, 4])
def test_progress_tells_the_loss_of_the_last_step(size, monkeypatch):
    """Between two records it is that before the last step, of its batch; at a record that of the record."""
    seconds = count()
    monkeypatch.setattr("assembly.dynamics.train.time", SimpleNamespace(monotonic=lambda: float(next(seconds))))
    told, options = {}, {"n_steps": 8, "record": (), "beside": ("linearized",), "batch_size": size, "seed": 3}
    run = am.train(network(), X, Y, every=4, on_progress=lambda word: told.update({word.step: word.loss}), **options)
    outputs = am.train(network(), X, Y, every=1, **options).outputs["network"][:, :, 0]
    assert list(told) == list(range(9))
    for step, loss in told.items():
        if step % 4 == 0:
            assert loss == run["loss"][step // 4]
            continue
        per_pass = -(-len(X) // size)
        order = generator(3, "batches", (step - 1) // per_pass).permutation(len(X)) if size < len(X) else np.arange(9)
        rows = order[(step - 1) % per_pass * size :][:size]
        squares = 0.5 * (outputs[step - 1, rows] - Y[rows]) ** 2
        np.testing.assert_allclose(loss, len(X) / len(rows) * squares.sum(), rtol=1e-12)


# --- gradient flow ---------------------------------------------------------------------------------------------------


def test_the_flow_of_the_linearised_model_is_its_closed_form():
    net = network()
    run = am.train(
        net,
        X,
        Y,
        method="gradient_flow",
        step_size=0.5,
        n_steps=40,
        every=10,
        record=(),
        rtol=1e-10,
        X_test=X_TEST,
        beside=("linearized", "closed_form"),
    )
    for found in (run.outputs, run.test_outputs):
        np.testing.assert_allclose(found["linearized"], found["closed_form"], rtol=0.0, atol=1e-8)
    K, u0 = net.tangent_kernel(X), net(X)
    values, vectors = np.linalg.eigh(K)
    for i, t in enumerate(run["time"]):
        wanted = Y + vectors @ (np.exp(-values * t) * (vectors.T @ (u0 - Y)))
        np.testing.assert_allclose(run.outputs["closed_form"][i, :, 0], wanted, rtol=0.0, atol=1e-12)
        kernel = net.tangent_kernel(X_TEST, X)
        reached = vectors @ (np.where(values > 0, (1 - np.exp(-values * t)) / values, t) * (vectors.T @ (Y - u0)))
        np.testing.assert_allclose(
            run.test_outputs["closed_form"][i, :, 0], net(X_TEST) + kernel @ reached, rtol=0.0, atol=1e-9
        )


def test_small_steps_follow_the_flow():
    net, gaps = network(), []
    flow = am.train(
        net, X, Y, method="gradient_flow", step_size=0.1, n_steps=20, record=(), rtol=1e-9, weight_decay=0.2
    )
    for n in (1, 2, 4):
        run = am.train(net, X, Y, step_size=0.1 / n, n_steps=20 * n, record=(), weight_decay=0.2)
        gaps.append(np.abs(run.parameters - flow.parameters).max())
    np.testing.assert_allclose([gaps[0] / gaps[1], gaps[1] / gaps[2]], 2.0, rtol=0.2)  # a method of order one


def test_the_loss_falls_at_the_rate_of_the_kernel():
    net = am.mlp(4, [3000], seed=0)
    run = am.train(net, X[:4], Y[:4], n_steps=400, record=("kernel",), step_size=0.2, beside=())
    late = run["loss"][-2:]
    rate = -np.log(late[1] / late[0]) / (run["step"][-1] - run["step"][-2])
    smallest = run["kernel_smallest_eigenvalue"][-1]
    np.testing.assert_allclose(rate, -2.0 * np.log(1.0 - 0.2 * smallest), rtol=0.05)


# --- what goes wrong -------------------------------------------------------------------------------------------------


def test_divergence_is_explained_and_nothing_is_lost():
    net = network()
    limit = 2.0 / np.linalg.eigvalsh(net.tangent_kernel(X))[-1]
    with pytest.raises(DivergenceError, match=rf"eta = 40 exceeds 2 / lambda_max = {limit:.3g}: .* Try a step size of"):
        am.train(net, X, Y, step_size=40.0, n_steps=500, every=1, record=())
    with pytest.raises(DivergenceError) as caught:
        am.train(net, X, Y, step_size=40.0, n_steps=500, every=1, record=())
    history = caught.value.history
    assert history.status == "diverged"
    assert np.isfinite(history["loss"]).all()
    assert len(history) >= 1


@pytest.mark.parametrize("momentum", [0.0, 0.6])
def test_a_linear_model_is_stable_up_to_the_limit_and_not_beyond(momentum):
    net = am.mlp(4, [1], "identity", trainable_readout=False, seed=0)
    options = {"momentum": momentum, "record": (), "beside": ()}
    limit = am.train(net, X, Y, n_steps=1, **options).settings["stable_below"]
    run = am.train(net, X, Y, n_steps=400, step_size=0.98 * limit, **options)
    assert run["loss"][-1] < run["loss"][0]
    with pytest.raises(DivergenceError, match=r"exceeds 2 (\(1 \+ momentum\) )?/ lambda_max"):
        am.train(net, X, Y, n_steps=4000, step_size=1.02 * limit, **options)


def test_weight_decay_makes_the_longest_stable_step_shorter():
    net = am.mlp(4, [1], "identity", trainable_readout=False, seed=0)
    steepest = np.linalg.eigvalsh(net.tangent_kernel(X))[-1] + 5.0
    options = {"weight_decay": 5.0, "record": (), "beside": ()}
    settings = am.train(net, X, Y, n_steps=1, **options).settings
    found = settings["step_size"], settings["stable_below"]
    np.testing.assert_allclose(found, (1.0 / steepest, 2.0 / steepest), rtol=1e-12)
    am.train(net, X, Y, n_steps=400, step_size=1.96 / steepest, **options)
    with pytest.raises(DivergenceError, match=r"exceeds 2 / \(lambda_max \+ weight_decay\)"):
        am.train(net, X, Y, n_steps=4000, step_size=2.04 / steepest, **options)


@pytest.mark.parametrize("batch_size", [1, 2, 3, 5])
def test_the_default_step_is_stable_for_every_batch(batch_size):
    """Inputs at right angles: a batch of b stands for n/b times its own kernel, as large as the whole one."""
    inputs = np.eye(8) * np.sqrt(8.0)
    net = am.mlp(8, [256], seed=0)
    run = am.train(net, inputs, np.resize([1.0, -1.0], 8), batch_size=batch_size, n_steps=600, record=(), beside=())
    assert run["loss"][-1] < 0.5 * run["loss"][0]
    alone = max(np.sum(net.gradient(x) ** 2) for x in inputs)
    largest = np.linalg.eigvalsh(net.tangent_kernel(inputs))[-1]
    smallest_batch = 8 % batch_size or batch_size
    np.testing.assert_allclose(
        run.settings["stable_below"], 2.0 / min(8.0 / smallest_batch * largest, 8.0 * alone), rtol=1e-12
    )


@pytest.mark.parametrize("step_size", [1e100, 1e200])
@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_divergence_in_the_last_step_is_seen(step_size, activation):
    net = am.mlp(4, [12, 10], activation, seed=0)
    with pytest.raises(DivergenceError, match="Try a step size of"):
        am.train(net, X, Y, n_steps=1, step_size=step_size, record=())


def test_the_limit_that_is_named_is_the_one_that_counts():
    for way, words in (
        ({"loss": "logistic"}, r"exceeds 2 / \(0.25 lambda_max\) ="),
        ({"weight_decay": 0.1}, r"exceeds 2 / \(lambda_max \+ weight_decay\) ="),
        ({"momentum": 0.5}, r"exceeds 2 \(1 \+ momentum\) / lambda_max ="),
    ):
        with pytest.raises(DivergenceError, match=words):
            am.train(network(), X, Y, n_steps=300, step_size=1e9, record=(), **way)


def test_a_saturated_network_has_no_hessian_norm_and_goes_on():
    net = am.mlp(8, [64], output_activation="tanh", seed=0)
    net = net.with_parameters(200.0 * net.parameters)
    inputs = np.random.default_rng(0).normal(size=(2, 8))  # at the second the Hessian underflows
    run = am.train(net, inputs, [1.0, -1.0], n_steps=2, record=("curvature",), step_size=1e-9)
    assert np.isnan(run["hessian_norm"]).all()
    assert run.status == "finished"


def test_a_model_beside_that_diverges_is_left_out_and_named():
    net = am.mlp(4, [200], seed=0)
    limit = 2.0 / np.linalg.eigvalsh(net.tangent_kernel(X))[-1]
    run = am.train(net, X, Y, step_size=1.6 * limit, n_steps=300, every=10, record=())
    assert "The linearized model diverged at step" in run.note
    assert np.isnan(run["loss_linearized"][-1])
    assert np.isfinite(run["loss"]).all()


BAD = {
    "X": ({"X": X[:, :3]}, ShapeError, r"'X' argument must have shape \(4,\) or \(n, 4\)"),
    "net": ({"net": X}, ArgumentError, "'net' argument must be an assembly. Got ndarray"),
    "checkpoint": ({"checkpoint": 5}, ArgumentError, "'checkpoint' argument must be a path. Got 5"),
    "rows": ({"X": X[:0], "y": Y[:0]}, ShapeError, "'X' argument must have at least one row"),
    "y": ({"y": Y[:4]}, ShapeError, r"'y' argument must have shape \(9,\) or \(9, 1\)"),
    "logistic": ({"loss": "logistic", "y": 2.0 * Y}, ArgumentError, "'y' argument must hold -1 and 1 .* Got -?2"),
    "loss": ({"loss": "squard"}, UnknownNameError, "Did you mean 'squared'"),
    "method": ({"method": "flow"}, UnknownNameError, "'method' argument must be one of"),
    "n_steps": ({"n_steps": 0}, ArgumentError, "'n_steps' argument must be an int of at least 1"),
    "step_size": ({"step_size": -1.0}, ArgumentError, "'step_size' argument must be a finite number above 0"),
    "momentum": (
        {"momentum": 1.0},
        ArgumentError,
        "'momentum' argument must be a finite number of at least 0 and below 1",
    ),
    "record": ({"record": ["kernal"]}, UnknownNameError, "Did you mean 'kernel'"),
    "record text": ({"record": "kernel"}, ArgumentError, "'record' argument must be a sequence of names"),
    "flow": (
        {"method": "gradient_flow", "noise": 1.0},
        ArgumentError,
        "'noise' argument must be left out for gradient flow",
    ),
    "closed": ({"beside": ["closed_form"], "loss": "logistic"}, ArgumentError, "unless the loss is squared"),
    "decay": ({"beside": ["closed_form"], "weight_decay": 0.1}, ArgumentError, r"where there is weight_decay\. Got"),
    "closed momentum": ({"beside": ["closed_form"], "momentum": 0.1}, ArgumentError, "where there is momentum"),
    "closed batches": ({"beside": ["closed_form"], "batch_size": 3}, ArgumentError, "where there is batch_size"),
    "ragged": ({"y": [[1.0], [1.0, 2.0]]}, ArgumentError, "'y' argument must be an array of real numbers"),
    "rtol": ({"rtol": 1e-16}, ArgumentError, "'rtol' argument must be"),
    "tests": ({"y_test": Y_TEST}, ArgumentError, "'y_test' argument must be left out"),
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_bad_arguments_are_named(bad):
    changed, error, message = bad
    with pytest.raises(error, match=message):
        am.train(**{"net": network(), "X": X, "y": Y, **changed})


@pytest.mark.parametrize("name", LOSSES)
def test_losses_have_their_derivatives(name):
    loss, y = LOSSES[name], np.array([1.0, -1.0, 1.0, -1.0])
    u, h = np.array([0.3, 2.0, -4.0, -0.2]), 1e-5
    for below, above in ((loss.of, loss.slope), (loss.slope, loss.bend)):
        wanted = (below(u + h, y) - below(u - h, y)) / (2.0 * h)
        np.testing.assert_allclose(above(u, y), wanted, rtol=1e-8)
    far = np.linspace(-50.0, 50.0, 2001)
    assert loss.bend(far, np.ones_like(far)).max() == pytest.approx(loss.largest_bend, rel=1e-12)
    assert np.isfinite(loss.of(np.array([-1e3, 1e3]), np.ones(2))).all()


def test_a_batch_larger_than_the_rows_is_refused():
    with pytest.raises(
        ArgumentError, match=rf"'batch_size' argument must be at most {len(X)}, the samples there are\. Got"
    ):
        am.train(network(), X, Y, batch_size=len(X) + 1, n_steps=1)
    am.train(network(), X, Y, batch_size=len(X), n_steps=1)


def test_an_indefinite_kernel_is_told_from_a_singular_one():
    with pytest.raises(ArgumentError, match=r"indefinite, its eigenvalues .* from -1 to 2"):
        am.kernel_regression(np.diag([2.0, -1.0]), [1.0, 1.0], [[1.0, 1.0]])
    for smallest in (0.0, 1e-17, -1e-9):
        with pytest.raises(ArgumentError, match="singular up to rounding"):
            am.kernel_regression(np.diag([2.0, smallest]), [1.0, 1.0], [[1.0, 1.0]])
