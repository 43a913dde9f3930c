import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse.linalg import eigsh

import assembly as am
import cases
import contracts
import naive
import strategies
from assembly.calculus import dense, hessian, spectrum
from assembly.errors import ArgumentError, ConvergenceWarning, NonFiniteError, ShapeError

everywhere = pytest.mark.parametrize("case", cases.CASES, ids=str)


@pytest.fixture(scope="module")
def oracle():
    import jax_oracle  # skips the test, with its reason, where JAX is not installed

    return jax_oracle


def entries(H):
    return H @ np.eye(H.shape[0], dtype=H.dtype)


@everywhere
def test_every_entry_and_the_gradient_agree_with_jax(case, oracle):
    net, x = case.assembly(), case.x()
    gradient, wanted = oracle.derivatives(case.network(), case.w, x, case.output)
    assert contracts.error(entries(net.hessian(x, case.output)), wanted) < 1e-13
    assert contracts.error(case.hessian(), wanted) < 1e-8  # the finite differences that the other tests stand on
    assert contracts.error(net.gradient(x, case.output), gradient) < 1e-13


@pytest.mark.parametrize("case", [*cases.CASES, *cases.FLOAT32], ids=str)
def test_operator_contract(case):
    contracts.check_hessian(case.assembly(), case.network(), case.x(), case.output, case.hessian())


@pytest.mark.parametrize("case", [*cases.CASES, *cases.FLOAT32], ids=str)
def test_norm_eigenvalues_and_eigenvectors_against_eigvalsh(case):
    contracts.check_eigenvalues(case.assembly(), case.x(), case.hessian(), case.output)


@everywhere
def test_exact_spectrum(case):
    contracts.check_spectrum(case.assembly(), case.x(), case.hessian(), case.output)


@pytest.mark.parametrize("name", ["tanh-1", "tanh-3", "tanh-output", "committee-2-bias", "sparse-with-skips"])
def test_the_checks_can_fail(name):
    case = cases.BY_NAME[name]
    net, x, true = case.assembly(), case.x(), case.hessian()
    wrong = true.copy()
    wrong.flat[np.abs(wrong).argmax()] *= 1.0 + 1e-6
    with pytest.raises(AssertionError):
        contracts.check_hessian(net, case.network(), x, case.output, wrong)
    with pytest.raises(AssertionError):
        contracts.check_eigenvalues(net, x, true * (1.0 + 1e-7), case.output)
    with pytest.raises(AssertionError):
        contracts.check_spectrum(net, x, true + 1e-6 * np.linalg.norm(true) * np.eye(len(true)), case.output)


@strategies.QUICK
@given(graph=strategies.graphs(), data=st.data())
def test_any_graph(graph, data):
    inputs, neurons = graph
    net, (network, _) = am.from_neurons(inputs, neurons), naive.from_neurons(inputs, neurons)
    x = data.draw(strategies.samples(len(inputs)))
    wanted = naive.hessian(network, net.parameters, x)
    scale = np.abs(wanted).max()
    if scale > 1e-4:  # below, the differences of the twin carry no digits
        contracts.check_hessian(net, network, x, wanted=wanted, tolerance=1e-6)
        contracts.check_eigenvalues(net, x, entries(net.hessian(x)))
        contracts.check_spectrum(net, x, entries(net.hessian(x)))


@strategies.QUICK
@given(options=strategies.mlps(), data=st.data())
def test_any_layered_network(options, data):
    case = cases.mlp("any", **options)
    net, x = case.assembly(), data.draw(strategies.samples(options["n_inputs"]))
    output = options["n_outputs"] - 1
    wanted = naive.hessian(case.network(), case.w, x, output)
    assert np.abs(entries(net.hessian(x, output)) - wanted).max() < 1e-8
    exact = entries(net.hessian(x, output))
    if np.abs(exact).max() > 1e-6:
        contracts.check_eigenvalues(net, x, exact, output)
        contracts.check_spectrum(net, x, exact, output)


@pytest.mark.parametrize("widths", [[96], [64, 48], [40, 32, 24]])
@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_norm_and_top_pair_agree_with_eigsh_on_wider_networks(widths, activation):
    net = am.mlp(8, widths, activation, seed=11)
    x = np.random.default_rng(0).normal(size=8)
    H = net.hessian(x)
    v0 = np.random.default_rng(0).normal(size=H.shape[0])
    values = eigsh(H, k=2, which="LM", tol=1e-10, v0=v0, return_eigenvectors=False)
    estimate = H.norm()
    assert estimate.converged
    assert estimate.residual <= 1e-6
    assert estimate.value == pytest.approx(np.abs(values).max(), rel=1e-8)
    top, coordinates = H.top_pair()
    vector = H.node_space.Z_transposed(coordinates)
    assert abs(top.value) == estimate.value
    assert np.linalg.norm(vector) == pytest.approx(1.0, rel=1e-12)
    rest = np.linalg.norm(H @ vector - top.value * vector) / abs(top.value)
    assert rest == pytest.approx(top.residual, abs=1e-9)
    assert rest <= 1e-6


def test_looser_tolerance_takes_fewer_steps_and_keeps_its_promise():
    H = am.mlp(8, [64, 64], seed=0).hessian(np.ones(8))
    truth, steps = float(H.norm(1e-10)), []
    for tol in (1e-1, 1e-2, 1e-4, 1e-8):
        estimate = H.norm(tol)
        assert estimate.converged
        assert estimate.residual <= tol
        assert abs(estimate.value - truth) <= tol * truth
        steps.append(estimate.n_steps)
    assert steps == sorted(steps)
    assert steps[0] < steps[-1]


def test_repeated_eigenvalues_are_repeated():
    """Four equal neurons below three equal ones: the permutations make the spectrum degenerate."""
    case = cases.BY_NAME["symmetric"]
    listed = case.assembly().hessian(case.x()).eigenvalues(k=27)
    truth = naive.eigenvalues(case.hessian())
    real = np.abs(truth) > 1e-9
    _, counts = np.unique(np.round(truth[real], 7), return_counts=True)
    assert counts.max() >= 3
    _, found = np.unique(np.round(listed.value[: real.sum()], 7), return_counts=True)
    np.testing.assert_array_equal(found, counts)


def test_tied_first_layer_of_a_wide_network_repeats_its_eigenvalues_in_the_closed_form():
    net = am.mlp(3, [400], "tanh")
    tied = net.with_parameters(np.concatenate([np.tile([0.3, -1.0, 0.7], 400), np.ones(400)]))
    values = tied.hessian([1.0, 2.0, -1.0]).eigenvalues(k=800).value
    np.testing.assert_allclose(values[:400], values[0], rtol=1e-14)
    np.testing.assert_allclose(values[400:], values[400], rtol=1e-14)
    assert values[0] * values[400] < 0.0


@pytest.mark.parametrize("m", [64, 1024])
def test_relu_spectrum_is_symmetric_about_zero(m):
    """One hidden ReLU layer has cross blocks only: +-|x| / sqrt(m d) once per active neuron, and nothing else."""
    x = np.random.default_rng(m).normal(size=5)
    net = am.mlp(5, [m], "relu", seed=0)
    n_active = int(np.sum(net.evaluate(x).pre[0, net.layers[1].nodes] > 0.0))
    wanted = np.linalg.norm(x) / np.sqrt(5 * m)
    H = net.hessian(x)
    values = np.sort(H.eigenvalues(2 * n_active + 1).value)
    np.testing.assert_allclose(values[:n_active], -wanted, rtol=1e-12)
    np.testing.assert_allclose(values[n_active + 1 :], wanted, rtol=1e-12)
    assert values[n_active] == 0.0
    assert H.norm() == am.Estimate(pytest.approx(wanted, rel=1e-12), 0.0, True, 0)


def test_relu_spectrum_symmetric_about_zero_by_iteration(monkeypatch):
    """The same without the closed form: a power iteration would converge to nothing here."""
    x = np.random.default_rng(1).normal(size=5)
    H = am.mlp(5, [512], "relu", seed=0).hessian(x)
    monkeypatch.setattr(hessian.one_hidden_layer, "applies_to", lambda program, curvature: False)
    assert H.norm().converged
    assert H.norm().n_steps > 0
    assert float(H.norm()) == pytest.approx(np.linalg.norm(x) / np.sqrt(5 * 512), rel=1e-12)
    two = H.eigenvalues(2)
    assert two.converged
    assert two.value[0] == pytest.approx(-two.value[1], rel=1e-12)


@pytest.mark.parametrize("max_steps", [1, 2, 3, 5])
def test_too_few_steps_are_never_a_silent_number(max_steps):
    H = am.mlp(8, [64, 64], seed=0).hessian(np.ones(8))
    estimate = H.norm(tol=1e-10, max_steps=max_steps)
    assert not estimate.converged
    assert estimate.residual > 1e-10
    assert estimate.n_steps <= max_steps + 1
    assert estimate.value <= float(H.norm()) * (1.0 + 1e-12)  # Ritz values lie inside the spectrum
    with pytest.warns(ConvergenceWarning, match=r"not converged after \d+ steps: .*raise max_steps or tol"):
        assert float(estimate) == estimate.value
    several = am.mlp(8, [200, 200], seed=0).hessian(np.ones(8))
    with pytest.warns(ConvergenceWarning):
        np.asarray(several.eigenvalues(3, tol=1e-10, max_steps=4))
    with pytest.warns(ConvergenceWarning):
        several.eigenvectors(3, tol=1e-10, max_steps=4)
    assert not several.eigenvalues(3, tol=1e-10, max_steps=4).converged
    assert not H.top_pair(tol=1e-10, max_steps=max_steps)[0].converged


def test_same_seed_same_numbers_other_seed_same_answer():
    H = am.mlp(8, [40, 40], seed=0).hessian(np.ones(8))
    assert H.norm(seed=1) == H.norm(seed=1)
    assert H.norm(seed=1).residual != H.norm(seed=2).residual
    assert H.norm(seed=1).value == pytest.approx(H.norm(seed=2).value, rel=1e-10)


def test_dense_and_lanczos_eigenvalues_agree(monkeypatch):
    H = am.mlp(6, [20, 20], seed=2).hessian(np.ones(6))
    exact, vectors = H.eigenvalues(8), H.eigenvectors(8)
    monkeypatch.setattr(dense, "LARGEST_SIZE", 0)
    iterated, other = H.eigenvalues(8, tol=1e-9), H.eigenvectors(8, tol=1e-9)
    assert exact.n_steps == 0
    assert iterated.n_steps > 8
    assert iterated.converged
    np.testing.assert_allclose(iterated.value, exact.value, rtol=1e-10)
    np.testing.assert_allclose(np.abs(np.sum(vectors * other, axis=1)), 1.0, rtol=1e-9)


# The stochastic spectrum


@pytest.fixture
def large(monkeypatch):
    """A network whose spectrum is estimated, beside its dense Hessian."""
    monkeypatch.setattr(dense, "LARGEST_SIZE", 0)
    H = am.mlp(6, [16, 12], seed=0).hessian(np.linspace(-1.0, 1.5, 6))
    return H, entries(H)


def test_trace_of_the_stochastic_spectrum(large):
    """Within 5 standard errors of 64 probes; false alarms: 2 P(t_63 > 5) < 5e-6, and the seed is fixed."""
    H, matrix = large
    found = H.spectrum(n_probes=64, n_steps=2, seed=1)
    assert not found.exact
    assert found.trace_standard_error > 0.0
    assert abs(found.trace - np.trace(matrix)) < 5.0 * found.trace_standard_error
    spread = np.sqrt(2.0 * np.sum(matrix**2) / 64)  # of v^T H v for Gaussian v
    assert found.trace_standard_error == pytest.approx(spread, rel=0.45)  # 0.45 is 5 standard deviations of its chi
    assert abs(found.trace - np.trace(matrix)) > 0.0


def test_quadrature_reproduces_the_moments_of_each_probe(large):
    """The measure of one probe v has the moments v^T H^j v: no statistics, hence no false alarm."""
    H, matrix = large
    found = H.spectrum(n_probes=1, n_steps=40, seed=3)
    rng_probe = spectrum.generator(3, "spectrum", 0).standard_normal(len(matrix))
    probe = rng_probe * np.sqrt(len(matrix)) / np.linalg.norm(rng_probe)
    scale = np.linalg.norm(matrix, 2)
    power = probe
    for j in range(1, 12):
        power = matrix @ power / scale
        assert found.counts @ (found.values / scale) ** j == pytest.approx(probe @ power, abs=1e-6)
    assert np.isnan(found.trace_standard_error)


def test_stochastic_spectrum_counts_every_parameter_and_no_probe_more(large):
    H, matrix = large
    found = H.spectrum(n_probes=6, n_steps=30)
    assert found.counts.sum() == pytest.approx(len(matrix), rel=1e-12)
    assert found.counts.min() >= -1e-9
    assert np.all(np.diff(found.values) >= 0.0)
    top = np.abs(np.linalg.eigvalsh(matrix)).max()
    assert np.abs(found.values).max() <= top * (1.0 + 1e-10)
    chain = {f"v{i}": ("tanh", {f"v{i - 1}" if i else "x": 1.5}) for i in range(12)}  # rank = n_parameters
    assert am.from_neurons(["x"], chain).hessian([1.0]).spectrum(n_probes=3, n_steps=9).counts.min() >= -1e-9


def test_second_moment_of_the_stochastic_spectrum(large):
    """Mean over 64 probes of |H v|^2 against |H|_F^2; the bound is 5 standard errors, 2 |H^2|_F^2 / 64 the variance."""
    H, matrix = large
    found = H.spectrum(n_probes=64, n_steps=3, seed=2)
    wanted = np.sum(matrix**2)
    spread = np.sqrt(2.0 * np.sum((matrix @ matrix) ** 2) / 64)
    assert abs(found.counts @ found.values**2 - wanted) < 5.0 * spread
    assert spread < 0.1 * wanted  # or the line above says little


def test_density_integrates_to_the_counts_of_an_interval():
    case = cases.BY_NAME["tanh-3"]
    found = case.assembly().hessian(case.x()).spectrum()
    grid = np.linspace(-3.0, 3.0, 6001)
    assert np.trapezoid(found.density(grid, 0.02), grid) == pytest.approx(len(case.w), rel=1e-9)
    truth = np.sort(np.linalg.eigvalsh(case.hessian()))[::-1]
    cut = 0.5 * (truth[2] + truth[3])
    above = np.linspace(cut, cut + 3.0, 6001)
    assert truth[2] - truth[3] > 0.02
    assert np.trapezoid(found.density(above, 1e-3), above) == pytest.approx(3.0, abs=1e-6)
    with pytest.raises(ArgumentError, match=r"'width' argument must be a finite number above 0"):
        found.density(grid, 0.0)


# The operator as scipy sees it, sub-models with a part of the parameters, and errors


def test_it_is_a_symmetric_scipy_operator():
    case = cases.BY_NAME["tanh-3"]
    H = case.assembly().hessian(case.x())
    V = np.random.default_rng(0).normal(size=(len(case.w), 3))
    np.testing.assert_allclose(H @ V, case.hessian() @ V, atol=1e-9)
    np.testing.assert_array_equal(H.T @ V[:, 0], H @ V[:, 0])
    np.testing.assert_array_equal(H.H @ V[:, 0], H @ V[:, 0])
    np.testing.assert_allclose((2.0 * H) @ V[:, 0], 2.0 * (H @ V[:, 0]))


def neuron_beside_others():
    """A neuron with neighbours in its own layer and below that it does not use: its parents are not neighbours."""
    neurons = {
        "a": ("tanh", ["x"]),
        "b": ("tanh", ["x", "y"]),
        "c": ("sin", ["y"]),
        "d": ("tanh", ["a", "c"]),
        "e": ("tanh", ["b", "c", "d"]),
    }
    net = am.from_neurons(["x", "y"], neurons)
    network, owned = naive.restricted(naive.from_neurons(["x", "y"], neurons)[0], ["d"])
    neuron = net.layers[2].neurons[0]
    np.testing.assert_array_equal(neuron.parameter_index, owned)
    return neuron, network


def test_a_sub_model_among_others_holds_its_own_parameters_alone():
    neuron, network = neuron_beside_others()
    x = [0.4, -1.3]
    H = neuron.hessian(x)
    assert H.shape[0] == H.node_space.program.n_parameters == network.n_parameters
    wanted = naive.hessian(network, neuron.parameters, x)
    contracts.check_gradient(neuron, network, x)
    contracts.check_hessian(neuron, network, x, wanted=wanted)
    contracts.check_eigenvalues(neuron, x, wanted)
    contracts.check_spectrum(neuron, x, wanted)


def test_stochastic_spectrum_of_a_sub_model_among_others(monkeypatch):
    monkeypatch.setattr(dense, "LARGEST_SIZE", 0)
    neuron, network = neuron_beside_others()
    found = neuron.hessian([0.4, -1.3]).spectrum(n_probes=20, n_steps=9)
    assert not found.exact
    assert found.counts.sum() == pytest.approx(network.n_parameters)
    assert found.counts.min() >= -1e-9


def test_a_sub_model_without_parameters_has_norm_zero():
    neuron = am.mlp(2, [3]).layers[0].neurons[1]
    H = neuron.hessian([1.0, 2.0])
    assert H.shape == (0, 0)
    assert H.norm() == am.Estimate(0.0, 0.0, True, 0)


def test_a_linear_sub_model_has_norm_zero():
    net = am.mlp(3, [4], "identity", trainable_readout=False)
    assert net.hessian([1.0, 2.0, 3.0]).norm() == am.Estimate(0.0, 0.0, True, 0)
    deep = am.mlp(3, [4], seed=0).layers[1].neurons[0].pre
    H = deep.hessian([1.0, 2.0, 3.0])
    assert H.norm().value == 0.0
    assert H.norm().converged
    np.testing.assert_array_equal(H.eigenvalues(k=3).value, 0.0)
    np.testing.assert_array_equal(H.eigenvectors(k=2), 0.0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda H: H.norm(tol=0.0), "'tol' argument must be a finite number above 0 and below 1. Got 0.0"),
        (lambda H: H.eigenvalues(k=2, tol=2), "'tol' argument must be a finite number above 0 and below 1. Got 2"),
        (lambda H: H.norm(max_steps=0), "'max_steps' argument must be an int of at least 1. Got 0"),
        (lambda H: H.eigenvalues(k=0), "'k' argument must be an int of at least 1"),
        (lambda H: H.eigenvalues(k=13), "'k' argument must be at most n_parameters = 12. Got 13"),
        (lambda H: H.spectrum(n_probes=0), "'n_probes' argument must be an int of at least 1"),
        (lambda H: H.spectrum(n_steps=1.5), "'n_steps' argument must be an int"),
    ],
)
def test_errors_of_the_operator(call, message):
    with pytest.raises(ArgumentError, match=message.replace(".", r"\.")):
        call(am.mlp(3, [3]).hessian([1.0, 2.0, 3.0]))


def test_errors_of_the_call():
    net = am.mlp(3, [3])
    with pytest.raises(ArgumentError, match=r"'output' argument must be below n_outputs = 1\. Got 1"):
        net.hessian([1.0, 2.0, 3.0], output=1)
    with pytest.raises(ShapeError, match=r"'x' argument must be one sample of shape \(3,\)\. Got shape \(1, 3\)"):
        net.hessian([[1.0, 2.0, 3.0]])


def test_basis_shrinks_where_memory_is_short_and_the_answer_stays(monkeypatch):
    H = am.mlp(8, [64, 64], seed=0).hessian(np.ones(8))
    plenty = H.norm(1e-9)
    monkeypatch.setattr(hessian, "BASIS_BYTES", 1)
    scarce = H.norm(1e-9)
    assert scarce.converged
    assert scarce.n_steps > plenty.n_steps
    assert scarce.value == pytest.approx(plenty.value, rel=1e-10)


@pytest.mark.parametrize(
    ("net", "x"),
    [
        (am.Assembly([am.mlp(3, [6, 6], seed=0)], [1.0], scale=1e7), [1.0, -0.5, 0.3]),
        (am.Assembly([am.mlp(3, [6, 6], seed=0)], [1.0], scale=1e-7), [1.0, -0.5, 0.3]),
        (am.mlp(3, [20, 20], "relu", seed=0), [1e6, -5e5, 3e5]),
        (am.mlp(3, [8, 8, 8], "quadratic", seed=0), [10.0, -5.0, 3.0]),
        (am.mlp(3, [60, 60], seed=0, gamma=3.0), [1.0, -0.5, 0.3]),
    ],
    ids=["small", "large", "far", "quadratic", "gamma"],
)
def test_all_eigenvalues_at_every_scale_of_input_and_output(net, x):
    """s and t have different units: no rank may be decided between them."""
    H = net.hessian(x)
    found = H.eigenvalues(k=4)
    assert found.converged
    assert abs(found.value[0]) == pytest.approx(float(H.norm(1e-9)), rel=1e-8)
    spectrum = H.spectrum()
    assert spectrum.exact
    matrix = H @ np.eye(H.shape[0])
    assert spectrum.counts @ spectrum.values**2 == pytest.approx(np.sum(matrix**2), rel=1e-8)


@pytest.mark.parametrize("scale", [1.0, 1e8])
def test_stochastic_spectrum_does_not_depend_on_the_scale_of_the_output(scale):
    net = am.Assembly([am.mlp(4, [160, 160], seed=0)], [1.0], scale=scale)
    H = net.hessian([1.0, 2.0, 3.0, 4.0])
    found = H.spectrum(n_probes=4, n_steps=30)
    squares = [np.sum((H @ v) ** 2) for v in np.random.default_rng(0).normal(size=(200, H.shape[0]))]
    # 200 probes: standard error below 3 %; four probes of the quadrature scatter more; both seeds are fixed
    assert found.counts @ found.values**2 == pytest.approx(np.mean(squares), rel=0.3)
    assert found.counts[found.values == 0.0].sum() == pytest.approx(H.shape[0] - 646, abs=60)


def test_a_vector_with_nan_is_refused():
    H = am.mlp(2, [3]).hessian([1.0, 2.0])
    with pytest.raises(am.errors.NonFiniteError, match=r"'v' argument must be finite\. Got nan at index 0"):
        H @ np.full(H.shape[0], np.nan)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("case", [*cases.CASES, *cases.FLOAT32], ids=str)
def test_a_number_that_is_not_finite_is_found_wherever_it_stands(case, wrong):
    H = case.assembly().hessian(case.x(), case.output)
    for i in range(H.shape[0]):
        v = np.zeros(H.shape[0])
        v[i] = wrong
        with pytest.raises(NonFiniteError, match=rf"'v' argument must be finite\. Got {wrong} at index {i}\."):
            H @ v


def test_two_infinities_do_not_hide_each_other():
    H = am.mlp(2, [3]).hessian([1.0, 1.0])
    v = np.zeros(H.shape[0])
    v[:2] = np.inf, -np.inf
    with pytest.raises(NonFiniteError, match=r"Got inf at index 0\."):
        H @ v


def test_a_product_that_overflows_between_the_nodes_is_refused():
    """Sums at the nodes of at most 1e38, which large weights above them then multiply."""
    net = am.mlp(2, [3, 3], "softplus", dtype="float32").with_parameters(np.full(18, 100.0, np.float32))
    v = np.zeros(18, np.float32)
    v[0] = 1e38
    with pytest.raises(NonFiniteError, match="overflows float32: scale v down"):
        net.hessian([0.01, 0.01]) @ v


def test_a_product_that_overflows_is_refused():
    H = am.mlp(2, [3], dtype="float32").hessian([10.0, 10.0])
    v = np.full(H.shape[0], 3e38, np.float32)
    with pytest.raises(NonFiniteError, match="overflows float32: scale v down"):
        H @ v


def test_a_complex_vector_is_refused():
    H = am.mlp(2, [3]).hessian([1.0, 2.0])
    with pytest.raises(am.errors.ArgumentError, match="real vectors"):
        H @ np.full(H.shape[0], 1.0j)


def test_small_networks_in_float32_have_all_their_eigenvalues():
    """Three equal copies: the numbers are rounded to float32, the linear algebra is not."""
    one = am.mlp(3, [4, 4], seed=0, dtype="float32")
    copies = am.committee(lambda seed: one, 3, coefficients=[1.0, 1.0, 1.0])
    found = copies.hessian([1.0, -0.5, 0.3]).eigenvalues(k=6)
    exact = am.mlp(3, [4, 4], seed=0).with_parameters(one.parameters).hessian([1.0, -0.5, 0.3]).eigenvalues(k=2)
    assert found.converged
    np.testing.assert_allclose(found.value, np.repeat(exact.value, 3) / np.sqrt(3.0), rtol=1e-5)
    assert copies.hessian([1.0, -0.5, 0.3]).spectrum().exact


def test_a_spectrum_whose_probes_were_not_projected_says_so(monkeypatch):
    monkeypatch.setattr(dense, "LARGEST_SIZE", 0)
    monkeypatch.setattr(spectrum, "MAX_STEPS", 1)
    with pytest.warns(am.errors.ConvergenceWarning, match="projection of a probe"):
        am.mlp(3, [6, 6], seed=0).hessian([1.0, -0.5, 0.3]).spectrum(n_probes=1, n_steps=3)


@pytest.mark.parametrize(("dtype", "bias"), [("float64", 200.0), ("float32", 30.0), ("float32", 25.0)])
def test_a_saturated_output_is_refused_before_its_norm_underflows(dtype, bias):
    """The norm came out a hundred times too small, and converged."""
    net = am.mlp(3, [6, 6], "tanh", output_activation="softplus", bias=True, seed=0, dtype=dtype)
    moved = np.array(net.parameters)
    moved[-1] = -3.0 * bias
    with pytest.raises(am.errors.SaturationError, match="squares underflow"):
        net.with_parameters(moved).hessian([1.0, -0.5, 0.3])


def test_an_output_nearly_saturated_has_its_norm():
    net = am.mlp(3, [6, 6], "tanh", output_activation="softplus", bias=True, seed=0)
    moved = np.array(net.parameters)
    moved[-1] = -300.0
    H = net.with_parameters(moved).hessian([1.0, -0.5, 0.3])
    dense_norm = np.abs(np.linalg.eigvalsh(H @ np.eye(H.shape[0]) * 1e130)).max() / 1e130
    assert float(H.norm()) == pytest.approx(dense_norm, rel=1e-8)


def test_a_start_nearby_saves_steps_and_changes_nothing():
    net, x = am.mlp(8, [120, 120], seed=0), np.random.default_rng(0).normal(size=8)
    _, coordinates = net.hessian(x).top_pair()
    near = net.with_parameters(net.parameters + 1e-4 * np.random.default_rng(1).normal(size=net.n_parameters))
    H = near.hessian(x)
    cold, warm = H.norm(), H.norm(start=coordinates)
    assert warm.converged
    assert warm.value == pytest.approx(cold.value, rel=1e-10)
    assert warm.n_steps <= 0.85 * cold.n_steps
    assert H.top_pair(start=coordinates)[0].n_steps == warm.n_steps


def test_a_start_that_misses_the_eigenvector_finds_it_all_the_same():
    """The second eigenvector alone would never lead to the first."""
    H = am.mlp(8, [400, 400], seed=0).hessian(np.random.default_rng(0).normal(size=8))
    _, first = H.top_pair(1e-10)
    N, other = H.node_space.N, np.random.default_rng(1).normal(size=H.node_space.size)
    second = other - (first @ N(other)) * first
    for _ in range(30):  # towards the second
        second = H.node_space.M(N(second))
        second -= (first @ N(second)) * first
        second /= np.sqrt(second @ N(second))
    assert H.norm(start=second).value == pytest.approx(H.norm().value, rel=1e-9)


def test_a_start_is_checked():
    H = am.mlp(3, [60, 60], seed=0).hessian([1.0, 0.5, -0.5])
    with pytest.raises(ShapeError, match="'start'"):
        H.norm(start=np.ones(7))
    with pytest.raises(NonFiniteError, match="'start'"):
        H.top_pair(start=np.full(H.node_space.size, np.nan))
    assert H.norm(start=np.zeros(H.node_space.size)).value == H.norm().value
