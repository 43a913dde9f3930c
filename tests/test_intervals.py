import numpy as np
import pytest

from assembly import activations
from assembly.bounds import intervals
from assembly.bounds.intervals import ranges, suprema, variations
from assembly.errors import ArgumentError, ShapeError, UnknownNameError

SMOOTH = [name for name in activations.NAMES if name != "relu"]
LONG = np.longdouble
POINTS = np.linspace(0.0, 1.0, 17).astype(LONG)
PI = LONG("3.14159265358979323846264338327950288")


def erf(z):
    """By the series whose terms are all positive, in extended precision."""
    a = np.minimum(np.abs(z), LONG(6.6))
    term = total = a
    square = 2 * a * a
    for n in range(1, 170):
        term = term * square / (2 * n + 1)
        total = total + term
    return np.sign(z) * 2 / np.sqrt(PI) * np.exp(-a * a) * total


def logistic(z):
    """s and its four derivatives, as polynomials in s (1 - s)."""
    e = np.exp(-np.abs(z))
    f = e / (1 + e) ** 2
    s = np.where(z >= 0, 1 / (1 + e), e / (1 + e))
    odd = np.where(z >= 0, -1, 1) * (1 - e) / (1 + e)
    return s, f, f * odd, f * (1 - 6 * f)


def jets(name, z, order):
    """sigma and three derivatives in extended precision, those that need erf only for the order asked for."""
    z = np.asarray(z, dtype=LONG)
    one, none = np.ones_like(z), np.zeros_like(z)
    if name == "tanh":
        t, c = np.tanh(z), 1 / np.cosh(np.clip(z, -5000, 5000)) ** 2
        return t, c, -2 * t * c, c * (4 - 6 * c)
    if name == "erf":
        g = 2 / np.sqrt(PI) * np.exp(-(z**2))
        return erf(z) if order == 0 else none, g, -2 * z * g, (4 * z**2 - 2) * g
    if name in ("sigmoid", "softplus"):
        s = logistic(z)
        return s if name == "sigmoid" else (np.logaddexp(z, none), *s[:3])
    if name == "gelu":
        phi = (1 + erf(z / np.sqrt(LONG(2)))) / 2 if order < 2 else none
        g = np.exp(-(z**2) / 2) / np.sqrt(2 * PI)
        return z * phi, phi + z * g, (2 - z**2) * g, (z**3 - 4 * z) * g
    if name == "swish":
        s = logistic(z)
        return z * s[0], s[0] + z * s[1], 2 * s[1] + z * s[2], 3 * s[2] + z * s[3]
    if name in ("sin", "cos"):
        wave = (np.sin(z), np.cos(z), -np.sin(z), -np.cos(z))
        return wave if name == "sin" else (*wave[1:], wave[0])
    if name == "exp":
        return (np.exp(z),) * 4
    return (z, one, none, none) if name == "identity" else (z * z, 2 * z, 2 * one, none)


def reference(name, z, order):
    """sigma^(k) in extended precision; no formula of ours."""
    return jets(name, z, order)[order]


def drawn(n=150, seed=0):
    """Intervals of every length around 0 and in the tails, points among them."""
    rng = np.random.default_rng(seed)
    lo = rng.normal(size=n) * rng.choice([0.0, 0.1, 1.0, 5.0, 25.0], n)
    return lo, lo + rng.exponential(size=n) * rng.choice([0.0, 1e-13, 1e-7, 0.01, 1.0, 5.0, 40.0], n)


def extreme(name, order, lo, hi, measure):
    """The largest `measure` of sigma^(k) on a grid of every interval, zoomed in five times in each of eight windows."""
    edges = lo[:, None].astype(LONG) + (hi - lo)[:, None] * np.linspace(0.0, 1.0, 9).astype(LONG)
    first, last = edges[:, :-1], np.minimum(edges[:, 1:], hi[:, None])
    start, end, best = first, last, np.full(first.shape, -np.inf, dtype=LONG)
    for _ in range(5):
        z = start[..., None] + (end - start)[..., None] * POINTS
        found = measure(reference(name, z, order))
        best = np.maximum(best, found.max(axis=-1))
        middle = np.take_along_axis(z, np.argmax(found, axis=-1)[..., None], axis=-1)[..., 0]
        step = (end - start) / (len(POINTS) - 1)
        start, end = np.maximum(first, middle - step), np.minimum(last, middle + step)
    return best.max(axis=1)


def check_ranges(name, order, lo, hi):
    low, high = ranges(name, lo, hi, order)
    largest = extreme(name, order, lo, hi, lambda f: f)
    smallest = -extreme(name, order, lo, hi, lambda f: -f)
    size = np.maximum(np.abs(smallest), np.abs(largest))
    error = 1e-18 * (1.0 + np.abs(lo) + np.abs(hi) + size)  # of the reference
    assert (low <= smallest + error).all()
    assert (largest - error <= high).all()
    short = hi - lo < 20.0  # on longer ones the grid may miss a peak
    assert (high - largest <= 1e-9 * size + 1e-13)[short].all()
    assert (smallest - low <= 1e-9 * size + 1e-13)[short].all()


@pytest.mark.parametrize("order", range(4))
@pytest.mark.parametrize("name", SMOOTH)
def test_ranges_hold_every_value_and_are_tight(name, order):
    lo, hi = drawn()
    check_ranges(name, order, lo, hi)
    low, high = ranges(name, lo, hi, order)
    np.testing.assert_array_equal(suprema(name, lo, hi, order), np.maximum(-low, high))


FINITE = [
    (name, order, point) for name in SMOOTH for order, points in enumerate(intervals.CRITICAL[name]) for point in points
]


@pytest.mark.parametrize(("name", "order", "point"), FINITE)
def test_every_critical_point_is_needed(name, order, point, monkeypatch):
    lo, hi = np.array([point - 0.3]), np.array([point + 0.2])
    check_ranges(name, order, lo, hi)
    kept = [tuple(p for p in points if p != point) for points in intervals.CRITICAL[name]]
    monkeypatch.setitem(intervals.CRITICAL, name, tuple(kept))
    with pytest.raises(AssertionError):
        check_ranges(name, order, lo, hi)


@pytest.mark.parametrize(("name", "order", "point"), FINITE)
def test_a_critical_point_just_outside_the_stored_one_is_covered(name, order, point):
    """The true one may lie inside an interval that the stored one misses by a unit in the last place."""
    beside = np.nextafter(point, [-np.inf, np.inf])
    for lo, hi in ((beside[1], point + 0.1), (point - 0.1, beside[0])):
        check_ranges(name, order, np.array([lo]), np.array([hi]))


@pytest.mark.parametrize("name", ["tanh", "gelu", "softplus"])
def test_without_the_widening_some_value_is_missed(name, monkeypatch):
    """So that the margins are shown to be necessary, not only sufficient."""
    monkeypatch.setattr(intervals, "LIBRARY", 0)
    monkeypatch.setattr(intervals, "_UNDERFLOW", 0.0)
    lo, hi = drawn()
    with pytest.raises(AssertionError):
        _ = [check_ranges(name, order, lo, hi) for order in range(4)]


@pytest.mark.parametrize("order", range(4))
@pytest.mark.parametrize("name", SMOOTH)
def test_variations_hold_every_difference_and_are_tight(name, order):
    lo, hi = drawn(seed=1)
    at = lo + np.random.default_rng(2).uniform(size=len(lo)) * (hi - lo)
    at = np.clip(at, lo, hi)
    base = reference(name, at, order)
    bound = variations(name, lo, hi, at, order)
    largest = extreme(name, order, lo, hi, lambda f: np.abs(f - base[:, None, None]))
    size = np.abs(base) + largest
    assert (largest - 1e-18 * (1.0 + np.abs(lo) + np.abs(hi) + size) <= bound).all()
    assert (bound - largest <= 1e-9 * largest + 1e-12 * (1.0 + size))[hi - lo < 20.0].all()


def test_variations_on_very_short_intervals_keep_their_relative_precision():
    """Differences of values would carry an error of 1e-15, as large as the truth."""
    at = np.array([0.3, 1.0, -2.0])
    bound = variations("tanh", at - 2.0**-50, at + 2.0**-50, at, 0)
    np.testing.assert_allclose(bound, 2.0**-50 / np.cosh(at) ** 2, rtol=1e-12)


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("name", SMOOTH)
def test_the_table_of_suprema_is_that_of_the_whole_line(name, order):
    activation = activations.get(name)
    table = (activation.sup_first, activation.sup_second, activation.sup_third)[order - 1]
    whole = float(suprema(name, -np.inf, np.inf, order))
    if np.isinf(whole):
        assert table == np.inf
    else:
        assert whole * (1.0 - 1e-13) <= table <= whole * (1.0 + 1e-9)


HALF_LINES = {  # sup |sigma| over (-inf, -1] and [1, inf)
    "identity": (np.inf, np.inf),
    "tanh": (1.0, 1.0),
    "sigmoid": (1.0 / (1.0 + np.e), 1.0),
    "softplus": (np.log1p(np.exp(-1.0)), np.inf),
    "gelu": (0.15865525393145707, np.inf),
    "swish": (0.2784645427610738, np.inf),
    "sin": (1.0, 1.0),
    "quadratic": (np.inf, np.inf),
    "exp": (np.exp(-1.0), np.inf),
}


@pytest.mark.parametrize("name", HALF_LINES)
def test_infinite_ends(name):
    found = suprema(name, [-np.inf, 1.0], [-1.0, np.inf], 0)
    np.testing.assert_allclose(found, HALF_LINES[name], rtol=1e-12)


@pytest.mark.parametrize("z", [1e3, 1e16, 1e155, 1e300])
@pytest.mark.parametrize("name", SMOOTH)
def test_far_out_nothing_becomes_nan(name, z):
    for order in range(4):
        for lo, hi in ((-z, -z), (z, z), (-z, z)):
            low, high = ranges(name, lo, hi, order)
            assert low <= high


@pytest.mark.parametrize("name", ["sin", "cos"])
def test_waves_far_from_zero_are_not_missed(name):
    lo = np.random.default_rng(3).uniform(-1e6, 1e6, size=100)
    hi = lo + np.random.default_rng(4).uniform(0.0, 4.0, size=100)
    for order in range(4):
        low, high = ranges(name, lo, hi, order)
        assert (high >= extreme(name, order, lo, hi, lambda f: f)).all()
        assert (-low >= extreme(name, order, lo, hi, lambda f: -f)).all()
        assert (high < 0.99).any()


def test_codes_of_a_whole_node_vector():
    names = np.array(SMOOTH * 3)
    codes = np.array([activations.NAMES.index(name) for name in names])
    lo = np.linspace(-3.0, 2.0, 2 * len(names)).reshape(2, -1)
    found = suprema(codes, lo, lo + 1.0, 2)
    for j, name in enumerate(names):
        np.testing.assert_array_equal(found[:, j], suprema(str(name), lo[:, j], lo[:, j] + 1.0, 2))


def test_relu_is_refused_by_name():
    for codes in ("relu", [0, activations.NAMES.index("relu")]):
        with pytest.raises(ArgumentError, match="Got relu, which has a kink"):
            suprema(codes, 0.0, 1.0, 2)


def test_bad_arguments_are_named():
    with pytest.raises(UnknownNameError, match="Did you mean 'tanh'"):
        suprema("tahn", 0.0, 1.0, 1)
    with pytest.raises(ArgumentError, match=r"'order' argument must be 0, 1, 2 or 3\. Got 4"):
        suprema("tanh", 0.0, 1.0, 4)
    with pytest.raises(ArgumentError, match=r"'lo' argument must not exceed 'hi'\. Got 2\.0 and 1\.0 at index \(1,\)"):
        suprema("tanh", [0.0, 2.0], [1.0, 1.0], 1)
    with pytest.raises(ArgumentError, match="must not exceed"):
        suprema("tanh", np.nan, 1.0, 1)
    with pytest.raises(ArgumentError, match="must hold codes from 0 to 11"):
        suprema([12], 0.0, 1.0, 1)
    with pytest.raises(ShapeError, match=r"must fit together\. Got shapes \(\), \(2,\), \(3,\)"):
        suprema("tanh", np.zeros(2), np.ones(3), 1)
    with pytest.raises(ArgumentError, match=r"'at' argument must lie in \[lo, hi\]"):
        variations("tanh", 0.0, 1.0, 2.0, 1)
