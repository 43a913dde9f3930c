"""What a forecast says is what happens: bytes against what is allocated, seconds against passes that are counted."""

import time
import tracemalloc

import numpy as np
import pytest

import assembly as am
from assembly import forecasting, memory
from assembly.architectures.drawing import undrawn
from assembly.errors import ArgumentError, ResourceError
from cases import BY_NAME, CASES

WIDE = {"n_inputs": 64, "widths": [512, 512, 512], "activation": "tanh"}
JOBS = {
    "gradient": (lambda ahead: ahead.gradient(), lambda net, X: net.gradient(X[0])),
    "norm": (lambda ahead: ahead.hessian_norm(1e-4), lambda net, X: net.hessian(X[0]).norm(1e-4)),
    "norms": (lambda ahead: ahead.hessian_norm(1e-4, n=16), lambda net, X: net.hessian_norms(X[:16], 1e-4)),
    "kernel": (lambda ahead: ahead.tangent_kernel(64), lambda net, X: net.tangent_kernel(X)),
    "gram": (lambda ahead: ahead.gram(3), lambda net, X: net.layers[3].gram(X[0])),
}
BUILDERS = [
    (am.mlp, WIDE),
    (am.mlp, {**WIDE, "bias": True, "trainable_readout": False, "dtype": "float32"}),
    (am.resnet, {"n_inputs": 64, "width": 256, "n_blocks": 2}),
    (am.cnn, {"shape": (8, 8), "channels": [16, 32], "kernel": 3}),
    (am.random_dag, {"n_inputs": 64, "n_layers": 4, "layer_width": 1000, "in_degree": 50}),
    (am.committee, {"part": lambda seed: am.mlp(4, [8, 8], seed=seed), "n_parts": 6}),
]
NAMES = ["mlp", "mlp32", "resnet", "cnn", "random_dag", "committee"]


@pytest.fixture
def passes(monkeypatch):
    """Every trial takes a second, and nothing else takes time."""
    monkeypatch.setattr(forecasting, "_best", lambda run: 1.0)
    monkeypatch.setattr(forecasting, "SECONDS_PER_CALL", 0.0)
    monkeypatch.setattr(forecasting, "SECONDS_PER_STEP", 0.0)


def bytes_of(task):
    """The most that is allocated beyond what there was."""
    tracemalloc.start()
    try:
        found = task()
        return found, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


# --- a network that is not built -------------------------------------------------------------------------------------


def test_a_billion_weights_are_forecast_without_being_there():
    ahead, peak = bytes_of(lambda: am.forecast(am.mlp, 64, [16_384] * 5, "tanh", dtype="float32"))
    assert ahead.n_parameters == 64 * 16_384 + 4 * 16_384**2 + 16_384
    assert ahead.weights == pytest.approx(4 * ahead.n_parameters, rel=1e-3)
    assert peak < 2**24
    am.forecast(am.mlp, 8, [8, 8], dtype="float32").hessian_norm()  # compiles
    cost, peak = bytes_of(lambda: ahead.hessian_norm(1e-4))
    assert peak < 2**27
    assert 0.0 < cost.seconds < 3600.0
    assert cost.n_bytes < 1.05 * ahead.weights


@pytest.mark.parametrize(("builder", "options"), BUILDERS, ids=NAMES)
def test_a_network_is_forecast_the_same_before_and_after_it_is_built(passes, builder, options):
    before, after = am.forecast(builder, **options), am.forecast(builder(**options))
    assert (before.n_parameters, before.weights) == (after.n_parameters, after.weights)
    for job in ("gradient", "hessian_norm"):
        assert getattr(before, job)() == getattr(after, job)()


def test_weights_are_left_out_only_inside(monkeypatch):
    with undrawn():
        empty = am.mlp(2, [3])
    assert not empty.parameters.any()
    assert empty.parameters.strides == (0,)
    assert am.mlp(2, [3]).parameters.all()


def test_what_does_not_fit_is_refused_before_a_weight_is_drawn(monkeypatch):
    monkeypatch.setattr(memory, "available_memory", lambda: 2**30)
    for build in (am.mlp, lambda *sizes: am.forecast(am.mlp, *sizes)):
        with pytest.raises(ResourceError, match="A network of 1,073,807,360 weights needs about 8 GiB, 1 GiB are free"):
            build(1, [2**15, 2**15])


# --- bytes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("builder", "options"), BUILDERS, ids=NAMES)
def test_the_bytes_of_a_network_are_those_it_holds(builder, options):
    net, peak = bytes_of(lambda: builder(**options))
    blocks = net._body.program.blocks
    arrays = [value for block in blocks for value in vars(block).values() if isinstance(value, np.ndarray)]
    held = net.parameters.nbytes + sum(array.nbytes for array in arrays)
    assert am.forecast(net).weights == held
    assert held <= peak


@pytest.mark.parametrize("job", JOBS)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_the_bytes_of_a_computation_are_those_it_takes(job, dtype):
    foretell, run = JOBS[job]
    net = am.mlp(**WIDE, dtype=dtype)
    X = np.random.default_rng(0).standard_normal((64, 64))
    run(net, X)  # compiles
    net = am.mlp(**WIDE, dtype=dtype)
    _, peak = bytes_of(lambda: run(net, X))
    cost = foretell(am.forecast(net))
    assert 1 / 1.5 < cost.n_bytes / (cost.weights + peak) < 1.5


# --- seconds ---------------------------------------------------------------------------------------------------------


def test_passes_are_counted(passes):
    """Two hidden layers: three blocks, two of them above the inputs, one of them read once a step."""
    ahead = am.forecast(am.mlp, 8, [8, 8])
    evaluation = 3.0 + 2.0 + 1.0  # pushes, pulls, activations
    assert ahead.gradient().seconds == evaluation + 3.0
    steps = forecasting.typical_steps(1e-4, 8, 8, 2)
    vectors = steps / 16.0
    assert ahead.hessian_norm(1e-4).seconds == pytest.approx(evaluation + 1.0 + steps * (1.0 + 2.0 + 3.0 + vectors))
    assert ahead.gram(2).seconds == evaluation + 1.0
    assert ahead.tangent_kernel(1).seconds == evaluation + 3.0


def test_more_inputs_take_proportionally_more(passes):
    ahead = am.forecast(am.mlp, 8, [8, 8])
    assert ahead.hessian_norm(n=1280).seconds == pytest.approx(10.0 * ahead.hessian_norm(n=128).seconds)
    assert ahead.tangent_kernel(1280).seconds == pytest.approx(10.0 * ahead.tangent_kernel(128).seconds)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_closed_form_takes_no_step(case, passes):
    if case.assembly().n_parameters:
        found = case.assembly().hessian(case.x()).norm(1e-2)
        ahead = am.forecast(case.assembly())
        takes_steps = ahead.hessian_norm(1e-6).seconds > ahead.hessian_norm(1e-2).seconds
        assert takes_steps == (found.n_steps > 0)


FAMILIES = {
    "two layers": lambda seed: (am.mlp(64, [256] * 2, seed=seed), 256, 256, 2),
    "three layers": lambda seed: (am.mlp(64, [512] * 3, seed=seed), 512, 512, 3),
    "five layers": lambda seed: (am.mlp(64, [512] * 5, seed=seed), 512, 512, 5),
    "random graph": lambda seed: (am.random_dag(64, 4, 1000, 20, seed=seed), 20, 1000, 4),
}


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("tol", [1e-2, 1e-6])
def test_steps_are_typical(family, tol):
    """The median of six networks; one network of 50 is further than a factor 1.7 from its family's forecast."""
    x, taken = np.random.default_rng(0).standard_normal(64), []
    for seed in range(6):
        net, width, size, n_hidden = FAMILIES[family](seed)
        taken.append(net.hessian(x).norm(tol).n_steps)
    assert 0.6 < np.median(taken) / forecasting.typical_steps(tol, width, size, n_hidden) < 1.7
    wanted = forecasting.typical_steps(tol, width, size, n_hidden)
    assert am.forecast(net)._steps(tol) == pytest.approx(wanted)


def test_seconds_are_of_the_order_of_those_it_takes(monkeypatch):
    """Processor time, so that a busy neighbour matters little; the factor is 1.5 where nobody disturbs."""
    monkeypatch.setattr(forecasting, "clock", time.process_time)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    net = am.mlp(64, [1024, 1024])
    X = np.random.default_rng(0).standard_normal((3, 64))
    taken = []
    for x in X:
        start = time.process_time()
        net.hessian(x).norm(1e-4)
        taken.append(time.process_time() - start)
    assert 0.25 < am.forecast(net).hessian_norm(1e-4).seconds / min(taken) < 4.0


# --- bad questions ---------------------------------------------------------------------------------------------------


def test_bad_questions():
    ahead = am.forecast(BY_NAME["tanh-3"].assembly())
    with pytest.raises(ArgumentError, match="The 'layer' argument must be below"):
        ahead.gram(99)
    for bad in (0.0, 1.0):
        with pytest.raises(ArgumentError, match="tol"):
            ahead.hessian_norm(bad)
    with pytest.raises(ArgumentError, match="'n'"):
        ahead.tangent_kernel(0)
    with pytest.raises(ArgumentError, match="is built already"):
        am.forecast(am.mlp(2, [3]), widths=[4])
    with pytest.raises(ArgumentError, match=r"must be an assembly or a builder\. Got int"):
        am.forecast(3)
