"""How often the intervals of fitted exponents hold the exponent that was planted, over simulated studies.

    python benchmarks/rate_coverage.py                 every table: about two minutes of one core
    python benchmarks/rate_coverage.py --repeats 50    a first look

The exponent is -1/2 in every study; what differs is the scatter between its networks. "held" is the part of the studies
whose 95 % interval holds the exponent, in per cent, "width" the mean width of the interval, "error" the root mean
square error of the exponent. The standard error of a "held" of 95 is 1.1 over 400 studies. A star marks what `fit_rate`
and `compare_rates` do; the rest was tried and is here for comparison.
"""

import argparse
import time
from statistics import NormalDist

import numpy as np

from assembly.diagnostics.rates import compare_rates, log_factor_model
from assembly.diagnostics.rates.centres import centres
from assembly.diagnostics.rates.lines import line, weights
from assembly.diagnostics.rates.replicates import Replicates
from assembly.diagnostics.rates.resampling import expanded, percentile_interval, resampled
from assembly.seeds import generator

EXPONENT = -0.5
CONFIDENCE = 0.95
N_RESAMPLES = 500
TOGETHER = 25  # studies that share their resamples: few, so that the error of a quantile averages out
WIDTHS = {4: (32, 80, 200, 512), 7: (32, 64, 128, 256, 512, 1024, 2048)}
SEEDS = (3, 5, 10, 20)


def falling(n_widths):
    """Scatter from 20 % at the narrowest width to 5 % at the widest, as of the Hessian norm of the digits."""
    return np.geomspace(0.2, 0.05, n_widths)[:, np.newaxis]


def shared(rng, shape):
    """Replicate k shifted alike at every width: a nested design."""
    return 0.2 * rng.standard_normal((shape[0], 1, shape[2])) + 0.1 * rng.standard_normal(shape)


SCATTER = {
    "5 %": lambda rng, shape: 0.05 * rng.standard_normal(shape),
    "20 %": lambda rng, shape: 0.2 * rng.standard_normal(shape),
    "40 %": lambda rng, shape: 0.4 * rng.standard_normal(shape),
    "20 to 5 %": lambda rng, shape: falling(shape[1]) * rng.standard_normal(shape),
    "heavy tails": lambda rng, shape: 0.2 * rng.standard_t(3, shape),
    "Gumbel": lambda rng, shape: np.log1p(0.15 * np.maximum(rng.gumbel(size=shape), -5.0)),
    "outliers": lambda rng, shape: 0.1 * rng.standard_normal(shape) + (rng.random(shape) < 0.1),
    "shared": shared,
}
INDEPENDENT = tuple(label for label in SCATTER if label != "shared")


def planted(rng, scatter, n_widths, counts, log_power=0.0):
    """Replicates of `TOGETHER` studies."""
    widths = np.array(WIDTHS[n_widths])
    centre = EXPONENT * np.log(widths) + log_power * np.log(np.log(widths))
    values = np.exp(centre[:, np.newaxis] + scatter(rng, (TOGETHER, n_widths, max(counts))))
    return Replicates(WIDTHS[n_widths], tuple(values[:, i, :n] for i, n in enumerate(counts)), 0)


def fits(replicates, seed, *, nested=False):
    """Estimate, lower and upper end for each study, by method; what is not estimated is NaN."""
    x, found = replicates.log_widths, centres(replicates.samples)
    drawn = resampled(replicates, seed, N_RESAMPLES, nested=nested)
    flat = {"equal": 1.0, "counts": np.array([sample.shape[1] for sample in replicates.samples], dtype=float)}
    weight, weight_drawn = weights(x, found), weights(x, drawn)
    median, drawn_median = line(x, found.log_median, weight), line(x, drawn.log_median, weight_drawn)
    mean, drawn_mean = line(x, found.log_mean, weight), line(x, drawn.log_mean, weight_drawn)
    wide = line(x, expanded(drawn, found, replicates), weight_drawn).slope
    results = {
        name: (
            line(x, found.log_median, value * np.ones_like(found.log_median)).slope,
            *percentiles(line(x, drawn.log_median, value * np.ones_like(drawn.log_median)).slope),
        )
        for name, value in flat.items()
    }
    return results | {
        "median*": (median.slope, *percentiles(drawn_median.slope)),
        "median, BCa": (median.slope, *bca(replicates, median.slope, drawn_median.slope, "log_median")),
        "mean": (mean.slope, *percentiles(drawn_mean.slope)),
        "mean*": (mean.slope, *percentiles(wide)),
        "mean, BCa": (mean.slope, *bca(replicates, mean.slope, drawn_mean.slope, "log_mean")),
        "differs*": (mean.slope - median.slope, *percentiles(wide - drawn_median.slope)),
        "bends*": (median.drift, *percentiles(drawn_median.drift)),
    }


def percentiles(draws):
    """Central part of the draws, which run along the last axis."""
    return percentile_interval(np.moveaxis(draws, -1, 0), CONFIDENCE)


def bca(replicates, estimate, draws, centre):
    """Bias-corrected and accelerated interval; acceleration by the jackknife over the networks of each width."""
    x, normal = replicates.log_widths, NormalDist()
    influence = []
    for i, sample in enumerate(replicates.samples):
        others = []
        for k in range(sample.shape[1]):
            without = (*replicates.samples[:i], np.delete(sample, k, axis=1), *replicates.samples[i + 1 :])
            found = centres(without)
            others.append(line(x, getattr(found, centre), weights(x, found)).slope)
        share = (len(others) - 1) / len(others)
        influence += list(share * (np.mean(others, axis=0) - np.array(others)))
    square, cube = (np.sum(np.array(influence) ** power, axis=0) for power in (2, 3))
    acceleration = cube / (6.0 * np.maximum(square, 1e-300) ** 1.5)
    ties = 0.5 * (draws == estimate[:, np.newaxis])
    below = ((draws < estimate[:, np.newaxis]) + ties).mean(axis=1).clip(0.5 / N_RESAMPLES, 1.0 - 0.5 / N_RESAMPLES)
    ends = []
    for study, part in enumerate(below):
        tails = [normal.inv_cdf(part) + normal.inv_cdf(0.5 + side * CONFIDENCE / 2) for side in (-1, 1)]
        levels = [normal.cdf(normal.inv_cdf(part) + tail / (1.0 - acceleration[study] * tail)) for tail in tails]
        ends.append(np.quantile(draws[study], levels))
    return np.array(ends).T


def simulate(options, label, n_widths, counts, **design):
    """Per method: held in per cent, width, error."""
    rng = generator(options.seed, "studies", label, n_widths, *counts)
    sums = {}
    for block in range(-(-options.repeats // TOGETHER)):
        replicates = planted(rng, SCATTER[label], n_widths, counts)
        for name, (estimate, lower, upper) in fits(replicates, options.seed + block, **design).items():
            truth = 0.0 if name in ("differs*", "bends*") else EXPONENT
            row = [(lower <= truth) & (truth <= upper), upper - lower, (estimate - truth) ** 2]
            sums.setdefault(name, []).append(np.mean(row, axis=1))
    means = {name: np.mean(rows, axis=0) for name, rows in sums.items()}
    return {name: (100.0 * held, width, error**0.5) for name, (held, width, error) in means.items()}


def table_of_intervals(options):
    print(
        "\nIntervals: held, and width; the last two columns are false alarms of `mean_differs` and `bends` in per cent"
    )
    names = ("equal", "median*", "median, BCa", "mean", "mean*", "mean, BCa")
    print(f"{'scatter':12}{'widths':>6}{'seeds':>6}" + "".join(f"{name:>15}" for name in names) + "  differs   bends")
    for label in INDEPENDENT:
        for n_widths in WIDTHS:
            for n_seeds in SEEDS:
                found = simulate(options, label, n_widths, (n_seeds,) * n_widths)
                cells = "".join(f"{found[name][0]:8.1f}{found[name][1]:7.3f}" for name in names)
                alarms = "".join(f"{100.0 - found[name][0]:9.1f}" for name in ("differs*", "bends*"))
                print(f"{label:12}{n_widths:6}{n_seeds:6}{cells}{alarms}", flush=True)


def table_of_weights(options):
    print("\nWeights, where replicates differ: error and held")
    names = ("equal", "counts", "median*")
    print(f"{'scatter':12}{'replicates at the 7 widths':32}" + "".join(f"{name:>16}" for name in names))
    for label in ("20 %", "20 to 5 %"):
        for counts in ((10,) * 7, (20, 20, 20, 20, 10, 5, 4), (4, 5, 10, 20, 20, 20, 20)):
            found = simulate(options, label, 7, counts)
            cells = "".join(f"{found[name][2]:10.4f}{found[name][0]:6.1f}" for name in names)
            print(f"{label:12}{', '.join(map(str, counts)):32}{cells}", flush=True)


def table_of_designs(options):
    print("\nNested designs, 7 widths: held and width")
    print(f"{'scatter':28}{'seeds':>6}{'each width alone':>20}{'drawn together':>20}")
    for label in ("20 %", "shared"):
        for n_seeds in SEEDS[1:]:
            found = [simulate(options, label, 7, (n_seeds,) * 7, nested=nested)["median*"] for nested in (False, True)]
            print(
                f"{label:28}{n_seeds:6}" + "".join(f"{held:12.1f}{width:8.3f}" for held, width, _ in found), flush=True
            )
    print("\nDifference of two exponents, 7 widths: held and width of the paired interval*, and width from two fits")
    for correlation in (0.0, 0.9):
        for n_seeds in SEEDS[1:]:
            held, width, apart = paired(options, correlation, n_seeds)
            print(f"correlation {correlation:<16}{n_seeds:6}{held:12.1f}{width:8.3f}{apart:20.3f}", flush=True)


def paired(options, correlation, n_seeds):
    rng = generator(options.seed, "pairs", n_seeds)
    widths = np.array(WIDTHS[7], dtype=float)[:, np.newaxis]
    rows = []
    for k in range(options.repeats):
        first = rng.standard_normal((7, n_seeds))
        second = correlation * first + (1.0 - correlation**2) ** 0.5 * rng.standard_normal((7, n_seeds))
        values = widths**EXPONENT * np.exp(0.2 * first), widths ** (EXPONENT + 0.1) * np.exp(0.2 * second)
        found = compare_rates(WIDTHS[7], *values, seed=k, n_resamples=N_RESAMPLES)
        unpaired = compare_rates(WIDTHS[7], values[0], rng.permuted(values[1], axis=1), seed=k, n_resamples=N_RESAMPLES)
        rows.append((found.lower <= -0.1 <= found.upper, found.upper - found.lower, unpaired.upper - unpaired.lower))
    held, width, apart = np.mean(rows, axis=0)
    return 100.0 * held, width, apart


def table_of_log_factors(options):
    print("\nLog factor log(m)^b, 7 widths: part of the studies in which it is supported, and held and width of the")
    print("interval of a with it; width of that of a pure power")
    print(f"{'scatter':12}{'seeds':>6}{'b':>6}{'supported':>12}{'held':>8}{'width':>8}{'pure':>8}")
    for label in ("5 %", "20 %", "20 to 5 %"):
        for n_seeds in SEEDS[1:]:
            for log_power in (0.0, 0.5, 1.0):
                rows = []
                rng = generator(options.seed, "log factor", n_seeds)
                while len(rows) < options.repeats:
                    replicates = planted(rng, SCATTER[label], 7, (n_seeds,) * 7, log_power)
                    for study in range(TOGETHER):
                        found = log_factor_model(WIDTHS[7], [sample[study] for sample in replicates.samples])
                        held = found.lower <= EXPONENT <= found.upper
                        spans = found.upper - found.lower, found.pure_upper - found.pure_lower
                        rows.append((100.0 * found.is_supported, 100.0 * held, *spans))
                supported, held, width, pure = np.mean(rows, axis=0)
                print(
                    f"{label:12}{n_seeds:6}{log_power:6}{supported:12.1f}{held:8.1f}{width:8.3f}{pure:8.3f}", flush=True
                )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=400, help="simulated studies for each row")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    start = time.perf_counter()
    print(f"Seed {options.seed}, {options.repeats} studies a row, {N_RESAMPLES} resamples, level {CONFIDENCE:.0%}.")
    for table in (table_of_intervals, table_of_weights, table_of_designs, table_of_log_factors):
        table(options)
    print(f"\n{time.perf_counter() - start:.0f} s, {time.process_time():.0f} s of processor time")


if __name__ == "__main__":
    main()
