"""Weights are drawn chunk by chunk: the same numbers whoever draws, nothing drawn twice, nothing kept beside them."""

import tracemalloc

import numpy as np
import pytest

import assembly as am
from assembly import threads
from assembly.architectures import drawing
from assembly.seeds import generator


@pytest.fixture
def chunk(monkeypatch):
    monkeypatch.setattr(drawing, "CHUNK", 1000)
    monkeypatch.setattr(threads, "_available", lambda: 2)
    return 1000


def drawn(n, law="gaussian", deviation=1.0, dtype=np.float64, seed=3):
    out = np.full(n, np.nan, dtype)
    drawing.draw(out, deviation, law, seed, ("widths", 7), 2)
    return out


@pytest.mark.parametrize("law", drawing.READOUTS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_the_same_numbers_for_any_number_of_threads(law, dtype, chunk):
    together = drawn(5300, law, 0.5, dtype)
    with threads.limited(1):
        np.testing.assert_array_equal(drawn(5300, law, 0.5, dtype), together)
    assert np.isfinite(together).all()
    assert set(np.abs(together)) == {0.5} or law == "gaussian"


@pytest.mark.parametrize("n", [0, 1, 999, 1000, 1001, 2000, 2500])
def test_a_longer_block_begins_with_a_shorter_one_up_to_whole_chunks(n, chunk):
    """The first chunk is the stream that blocks of one chunk have always had."""
    whole = generator(3, "weights", "float64", "widths", 7, 2).standard_normal(chunk)
    np.testing.assert_array_equal(drawn(n)[:chunk], whole[:n])
    np.testing.assert_array_equal(drawn(n), drawn(3000)[:n])


def test_chunks_blocks_and_seeds_have_numbers_of_their_own(chunk):
    """24,000 numbers, no two alike: in double precision two of them meet with a chance of about 1e-7."""
    other = np.empty(8000)
    drawing.draw(other, 1.0, "gaussian", 3, ("widths", 7), 3)
    numbers = np.concatenate([drawn(8000), drawn(8000, seed=4), other])
    assert len(np.unique(numbers)) == 24_000
    parts = drawn(8000).reshape(8, chunk)
    correlations = np.corrcoef(parts)[~np.eye(8, dtype=bool)]
    assert np.abs(correlations).max() < 5.5 / np.sqrt(chunk)  # 28 pairs: a false alarm in 10^6


def test_mean_variance_and_fourth_moment(chunk):
    """Each within 5 standard errors: a false alarm in 5 * 10^5 seeds, and the seed is fixed."""
    x = drawn(200_000, deviation=2.0) / 2.0
    for power, wanted, variance in ((1, 0.0, 1.0), (2, 1.0, 2.0), (4, 3.0, 96.0)):
        assert abs(np.mean(x**power) - wanted) < 5.0 * np.sqrt(variance / len(x))


@pytest.mark.parametrize("law", drawing.READOUTS)
def test_single_precision_is_the_same_network_rounded(law, chunk, monkeypatch):
    monkeypatch.setattr(drawing, "AT_ONCE", 300)
    double = drawn(2500, law, 0.3)
    np.testing.assert_array_equal(drawn(2500, law, 0.3, np.float32), double.astype(np.float32))
    assert (double.astype(np.float32) != double).any()


@pytest.mark.parametrize("name", ["mlp", "resnet", "random_dag"])
def test_one_seed_is_one_network_in_either_precision(name):
    options = {
        "mlp": {"widths": [9, 8]},
        "resnet": {"width": 9, "n_blocks": 2},
        "random_dag": {"n_layers": 3, "layer_width": 20, "in_degree": 4},
    }
    double, single = (getattr(am, name)(6, **options[name], seed=2, dtype=dtype) for dtype in ("float64", "float32"))
    np.testing.assert_array_equal(single.parameters, double.parameters.astype(np.float32))
    assert [one.source for one in single.graph.connections] == [one.source for one in double.graph.connections]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_numbers_are_drawn_in_their_place(dtype, monkeypatch):
    """In float32 a few numbers of float64 for each of two threads are all that is held beside them."""
    monkeypatch.setattr(threads, "_available", lambda: 2)
    out = np.empty(2**22 + 2**21, dtype)
    tracemalloc.start()
    drawing.draw(out, 0.5, "gaussian", 0, (), 0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.1 * out.nbytes
    assert 0.49 < out[2**22 :].std() < 0.51


def test_weights_of_a_network_come_chunk_by_chunk(monkeypatch):
    whole = am.mlp(30, [60, 50], seed=1, readout="sign").parameters
    monkeypatch.setattr(drawing, "CHUNK", 1700)
    cut = am.mlp(30, [60, 50], seed=1, readout="sign").parameters
    first, second = slice(0, 1700), slice(1800, 3500)  # the blocks begin at 0, 1800 and 4800
    for same in (first, second, slice(4800, None)):
        np.testing.assert_array_equal(cut[same], whole[same])
    assert not np.isin(cut[1700:1800], whole).any()
    assert not np.isin(cut[3500:4800], whole).any()
