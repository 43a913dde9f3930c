"""Cosines between the gradients of neurons: exact, from random directions, and copies found."""

import numpy as np
import pytest

import assembly as am
import cases
import naive
from assembly.calculus import sketch
from assembly.diagnostics.diversity import diversity, rms_cosine, share_nothing
from assembly.seeds import generator

SKETCHED = ["tanh-3", "gelu-bias", "sparse-with-skips", "cnn-1d", "cnn-2d-pool", "tied-layers", "resnet", "densenet",
            "softmax", "two-outputs-sin", "bottleneck"]  # fmt: skip


def sketched(net, inputs, n_directions, *purpose):
    last = len(net.graph.groups) - 1
    return sketch.tangents(net.evaluate(np.array(inputs)), n_directions, generator(0, *purpose), last)


@pytest.mark.parametrize("case", cases.NAMED, ids=str)
@pytest.mark.parametrize("two", [False, True])
def test_exact_against_gradients_written_out(case, two):
    net, x, z = case.assembly(), case.x(), case.x("z")
    for layer, names in zip(net.layers[1:], case.names()[1:], strict=True):
        left = naive.jacobian(case.network(), case.w, x, names)
        right = naive.jacobian(case.network(), case.w, z, names) if two else left
        sizes = np.linalg.norm(left, axis=1), np.linalg.norm(right, axis=1)
        alive = np.flatnonzero((sizes[0] > 0) & (sizes[1] > 0))
        found = diversity(net, layer.index, x, z if two else None)
        assert found.is_exact
        assert (found.n_neurons, found.standard_error) == (len(alive), 0.0)
        if len(alive) < 2:
            assert np.isnan(found.rms_cosine)
            assert found.largest_cosine is None
            continue
        cosines = (left @ right.T)[np.ix_(alive, alive)] / np.outer(sizes[0][alive], sizes[1][alive])
        off = cosines[~np.eye(len(alive), dtype=bool)]
        assert found.rms_cosine == pytest.approx(np.sqrt(np.mean(off**2)), rel=1e-6, abs=1e-12)
        assert found.largest_cosine == pytest.approx(np.abs(off).max(), rel=1e-6, abs=1e-12)
        assert found.counts.sum() == len(off)
        assert np.abs(off).max() <= found.edges[-1] * (1 + 1e-6) + 1e-12
        if found.pair is not None:
            i, j = (list(alive).index(one) for one in found.pair)
            assert abs(cosines[i, j]) == pytest.approx(found.largest_cosine, rel=1e-6)
        if not two:
            gram = left @ left.T
            rank = np.trace(gram) ** 2 / np.linalg.norm(gram) ** 2
            assert found.effective_rank == pytest.approx(rank, rel=1e-6)
            assert rms_cosine(net, layer.index, x) == pytest.approx(found.rms_cosine, rel=1e-6, abs=1e-12)


def test_the_histogram_counts_what_lies_between_its_edges():
    net, x = am.mlp(4, [12, 9], seed=2), np.ones(4)
    found = diversity(net, 2, x)
    gram = net.layers[2].gram(x)
    sizes = np.sqrt(np.diag(gram))
    off = (gram / np.outer(sizes, sizes))[~np.eye(9, dtype=bool)]  # the largest is an edge: the same to the last bit
    np.testing.assert_array_equal(found.counts, np.histogram(off, found.edges)[0])
    assert found.edges[-1] == found.largest_cosine == -found.edges[0]


def test_a_first_layer_with_weights_of_its_own_is_orthogonal_at_any_width():
    net = am.mlp(3, [5000, 4], bias=True, seed=0)
    found = diversity(net, 1, [1.0, 2.0, 3.0])
    assert (found.rms_cosine, found.largest_cosine, found.standard_error, found.is_exact) == (0.0, 0.0, 0.0, True)
    assert found.note == "exactly 0: no two neurons share a weight"
    assert found.counts.sum() == found.counts[len(found.counts) // 2] == 5000 * 4999
    slope = net.evaluate([1.0, 2.0, 3.0]).first[0, net.layers[1].nodes]
    assert found.effective_rank == pytest.approx((slope**2).sum() ** 2 / (slope**4).sum(), rel=1e-12)
    assert share_nothing(net, 1)
    assert not share_nothing(net, 2)
    assert not share_nothing(am.cnn([4], [2], 3), 1)
    assert not share_nothing(am.tied(lambda seed: am.mlp(3, [2], seed=seed), 4, 2), 1)


@pytest.mark.parametrize("name", SKETCHED)
def test_tangents_in_random_directions_have_the_gram_matrix_as_their_mean(name):
    """10,000 directions; each of up to 2000 entries beyond 6 standard errors by chance: 4e-6 in all."""
    case = cases.BY_NAME[name]
    net, x, z = case.assembly(), case.x(), case.x("z")
    found = sketched(net, [x, z], 10_000, name)
    for layer in net.layers[1:]:
        grams = {(0, 0): layer.gram(x), (0, 1): layer.gram(x, z), (1, 1): layer.gram(z)}
        for (i, j), gram in grams.items():
            left, right = found[i, layer.nodes], found[j, layer.nodes]
            squares = np.outer(np.diag(grams[i, i]), np.diag(grams[j, j]))
            error = np.sqrt((squares + gram**2) / 10_000)
            assert (np.abs(left @ right.T / 10_000 - gram) <= 6 * error + 1e-12).all()


def test_rows_shared_between_blocks_move_together():
    """One weight in two connections: the tangent of both along one random number."""
    weight = am.Edge(0.5, shared="w")
    net = am.from_neurons(["x"], {"a": ("identity", {"x": weight}), "b": ("identity", {"a": weight})})
    found = sketched(net, [[2.0]], 50, "shared")[0]
    a, b = found[net.layers[1].nodes[0]], found[net.layers[2].nodes[0]]
    np.testing.assert_allclose(b, 2.0 * 0.5 * a, rtol=1e-12)


@pytest.mark.parametrize("correlation", [0.0, 0.15, 0.5, 1.0])
def test_the_estimate_is_unbiased_and_its_error_is_its_scatter(correlation):
    """600 sketches. A mean beyond 4 standard errors: 6e-5. The ratio of error to scatter is itself good to 5 %."""
    rng = np.random.default_rng(int(100 * correlation))
    n, k, repeats = 30, 64, 600
    common = np.sqrt(correlation)
    estimates, errors = [], []
    for _ in range(repeats):
        shared, own = rng.normal(size=k), rng.normal(size=(n, k))
        rows = (common * shared + np.sqrt(1.0 - correlation) * own) * rng.uniform(0.1, 3.0, size=(n, 1))
        value, error = sketch.mean_square_cosine(rows, rows)
        estimates.append(value)
        errors.append(error)
    spread = np.std(estimates) / np.sqrt(repeats)
    assert abs(np.mean(estimates) - correlation**2) <= 4.0 * spread + 0.02 * correlation**2 * (1 - correlation) + 1e-12
    assert 0.88 < np.sqrt(np.mean(np.square(errors))) / np.std(estimates) < 1.65


@pytest.mark.parametrize("two", [False, True])
def test_estimated_beside_exact(two):
    """20 networks, each estimate within 4 of its standard errors: by chance otherwise once in a thousand runs."""
    far = 0
    for seed in range(20):
        net = am.mlp(5, [40, 60], seed=seed)
        x, z = np.random.default_rng(seed).normal(size=(2, 5))
        exact = diversity(net, 2, x, x + 0.1 * z if two else None)
        found = diversity(net, 2, x, x + 0.1 * z if two else None, largest_exact=0, seed=seed)
        assert not found.is_exact
        assert found.largest_cosine is None
        assert found.note == "estimated from 64 random directions"
        assert found.standard_error > 0.0
        far += abs(found.rms_cosine - exact.rms_cosine) > 4.0 * found.standard_error
        if not two:
            assert found.effective_rank == pytest.approx(exact.effective_rank, rel=0.4)
    assert far <= 1


def test_an_estimate_far_below_0_is_0_with_an_error_of_its_own(monkeypatch):
    monkeypatch.setattr(sketch, "mean_square_cosine", lambda *_: (-3e-6, 1e-6))
    found = diversity(am.mlp(5, [40, 60], seed=0), 2, np.ones(5), largest_exact=0)
    assert (found.rms_cosine, found.standard_error) == (0.0, 1e-3)


def test_what_does_not_fit_in_memory_is_estimated(monkeypatch):
    net, x = am.mlp(3, [8, 6], seed=0), [1.0, 2.0, 3.0]

    def too_large(*_):
        raise am.errors.ResourceError("no")

    monkeypatch.setattr(am.Layer, "gram", too_large)
    assert not diversity(net, 2, x).is_exact


def test_copies_are_found_and_nothing_else():
    def part(seed):
        return am.mlp(3, [2], seed=seed)

    x = [1.0, -2.0, 0.5]
    tied = am.tied(part, 12, 3)
    for largest in (4096, 0):
        found = diversity(tied, 2, x, largest_exact=largest)
        assert found.duplicates == ((0, 1, 2), (3, 4, 5), (6, 7, 8), (9, 10, 11))
    assert diversity(tied, 2, x).largest_cosine == pytest.approx(1.0, rel=1e-12)
    assert diversity(am.committee(part, 12), 2, x).duplicates == ()
    for seed in range(10):
        net = am.bottleneck(3, [40, 1, 300], seed=seed)
        assert all(diversity(net, layer, x, largest_exact=0).duplicates == () for layer in (1, 2, 3))


def test_opposite_gradients_are_parallel_too():
    pair = {"v": am.Edge(0.5, shared="v"), "x": 1.0}
    neurons = {
        "a": ("tanh", {"x": pair["v"]}),
        "b": ("tanh", {"x": am.Edge(0.5, shared="v", factor=-1.0)}),
        "c": ("tanh", {"x": 0.3}),
        "f": ("identity", {"a": 1.0, "b": 1.0, "c": 1.0}),
    }
    found = diversity(am.from_neurons(["x"], neurons), 1, [2.0])
    assert [len(group) for group in found.duplicates] == [2]
    assert found.largest_cosine == pytest.approx(1.0, rel=1e-12)


def test_pixels_of_one_channel_are_no_copies():
    """Where the image is constant the windows of a channel see the same."""
    net = am.cnn([12], [4, 4], 3, bias=True, seed=0)
    for layer in (1, 2):
        found = diversity(net, layer, np.ones(12))
        assert found.largest_cosine == pytest.approx(1.0, rel=1e-12)
        assert found.duplicates == ()


def test_parallel_rows_in_single_precision():
    rows = generator(0, "rows").standard_normal((500, 64)).astype(np.float32)
    rows[400], rows[7] = 3.0 * rows[20], -0.5 * rows[20]
    rows[5] = 0.0
    assert sketch.parallel_groups(rows, 1.2e-6) == [[7, 20, 400]]


def test_bad_arguments_are_refused():
    net = am.mlp(2, [3])
    for layer in (0, 3, 1.5):
        with pytest.raises(am.errors.ArgumentError, match="'layer' argument"):
            diversity(net, layer, [1.0, 2.0])
    with pytest.raises(am.errors.ArgumentError, match="'layer' argument"):
        rms_cosine(net, 3, [1.0, 2.0])
    with pytest.raises(am.errors.ShapeError):
        diversity(net, 1, [[1.0, 2.0]])
    with pytest.raises(am.errors.ShapeError, match="'z' argument"):
        diversity(net, 1, [1.0, 2.0], [1.0])
    with pytest.raises(am.errors.ArgumentError, match="'largest_exact' argument"):
        diversity(net, 1, [1.0, 2.0], largest_exact=-1)
