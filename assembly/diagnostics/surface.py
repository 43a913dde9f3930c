r"""The linearisation error over distance and width: how far a family of networks is from linear, and how surely.

For every width m, seed and radius R, averaged over the inputs,

.. math:: |f - f_{lin}| \text{ along each direction} \;\le\; \tfrac{1}{2} R^2 \sup_{|w - w_0| \le R} \|H(w)\|,

and the relative change of the tangent kernel along the same directions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assembly.checks import check_name
from assembly.diagnostics.rates import Rate, fit_rate
from assembly.errors import ArgumentError, ResultsError
from assembly.files import replaced_at_once

Values = NDArray[np.float64]

DIRECTIONS = ("random", "gradient", "top_eigenvector", "worst")
ALONG_DIRECTIONS = ("remainder", "kernel_change")
BOUNDS = ("remainder_bound", "kernel_change_bound")
OVER_RADII = (*BOUNDS, "hessian_times_radius_over_gradient")
AT_CENTRE = ("hessian_norm", "gradient_norm", "hessian_over_gradient_squared")
VERSION = 1


@dataclass(frozen=True, eq=False)
class LinearitySurface:
    """What `linearity_surface` measured; NaN where a network was not measured yet, or a number does not exist.

    Attributes
    ----------
    directions : tuple of str
    radii : tuple of float
    widths, seeds : tuple of int
    X : ndarray of shape (n, n_inputs)
        Inputs; every quantity is the mean over them, but for the kernel, which is of all of them.
    remainder, kernel_change : ndarray of shape (n_directions, n_radii, n_widths, n_seeds)
        In the unit of the output; a pure number.
    remainder_bound, kernel_change_bound : ndarray of shape (n_radii, n_widths, n_seeds)
        Proven from above: ``R^2 / 2 sup ||H||``, and that of `Assembly.kernel_change_in_ball`, which is measured with
        the direction "worst". NaN where there is no bound, as for ReLU.
    hessian_norm, gradient_norm, hessian_over_gradient_squared : ndarray of shape (n_widths, n_seeds)
        At the initial parameters. A norm is NaN where it did not converge.
    hessian_times_radius_over_gradient : ndarray of shape (n_radii, n_widths, n_seeds)
    networks : ndarray of shape (n_widths, n_seeds), str
        Fingerprint of the parameters of each network; empty where it was not measured yet.
    """

    directions: tuple[str, ...]
    radii: tuple[float, ...]
    widths: tuple[int, ...]
    seeds: tuple[int, ...]
    X: NDArray[Any]
    remainder: Values
    kernel_change: Values
    remainder_bound: Values
    kernel_change_bound: Values
    hessian_norm: Values
    gradient_norm: Values
    hessian_over_gradient_squared: Values
    hessian_times_radius_over_gradient: Values
    networks: NDArray[np.str_]

    @property
    def is_complete(self) -> bool:
        """True if every network has been measured."""
        return bool((self.networks != "").all())

    def medians(self, quantity: str = "remainder") -> Values:
        """Return the medians over the seeds, the last axis gone; NaN where nothing is known.

        Parameters
        ----------
        quantity : str
            Name of an array of the surface.

        Raises
        ------
        UnknownNameError
            If there is no such quantity.
        """
        values = self._values(quantity)
        known = ~np.isnan(values).all(axis=-1)
        found = np.full(values.shape[:-1], np.nan)
        found[known] = np.nanmedian(values[known], axis=-1)
        return found

    def rate_in_width(self, quantity: str = "remainder", *, radius: float, direction: str = "worst") -> Rate:
        """Return the exponent of a quantity in width at one radius, from the medians over the seeds.

        Parameters
        ----------
        quantity : str
            Name of an array of the surface.
        radius : float
            One of `radii`; of no account for what is measured at the initial parameters.
        direction : str
            One of `directions`; of no account for what has none.

        Raises
        ------
        UnknownNameError, ArgumentError
            If there is no such quantity, direction or radius, or `fit_rate` refuses: too few widths or seeds, or values
            of exactly 0.
        """
        values = self._values(quantity)
        if quantity in ALONG_DIRECTIONS:
            values = values[self._direction(direction)]
        if quantity not in AT_CENTRE:
            values = values[self._radius(radius)]
        return fit_rate(self.widths, values.tolist())

    def slopes_in_radius(self, quantity: str = "remainder", *, direction: str = "worst") -> Values:
        """Return d log(median) / d log(R) by least squares over the radii, for every width; about 2 for a remainder.

        Without an interval: the radii share their networks. NaN where a median is not positive or not known.

        Parameters
        ----------
        quantity : str
            "remainder", "kernel_change", or the bound of one, "remainder_bound" or "kernel_change_bound".
        direction : str
            One of `directions`; of no account for a bound.

        Raises
        ------
        UnknownNameError, ArgumentError
            If there is no such quantity or direction, or there are fewer than two radii.
        """
        check_name("quantity", quantity, [*ALONG_DIRECTIONS, *BOUNDS])
        if len(self.radii) < 2:
            raise ArgumentError(f"A slope in R needs at least two radii. Got {len(self.radii)}.")
        medians = self.medians(quantity)
        medians = medians[self._direction(direction)] if quantity in ALONG_DIRECTIONS else medians
        x = np.log(self.radii) - np.mean(np.log(self.radii))
        slopes = np.full(len(self.widths), np.nan)
        known = (medians > 0.0).all(axis=0)
        slopes[known] = x @ np.log(medians[:, known]) / (x @ x)
        return slopes

    def save(self, path: str | Path) -> Path:
        """Write everything to an ``.npz`` file in one step; a file there before is replaced, or stays as it was."""
        with replaced_at_once(Path(path)) as file:
            np.savez(file, version=VERSION, **{field.name: getattr(self, field.name) for field in fields(self)})
        return Path(path)

    @classmethod
    def load(cls, path: str | Path) -> LinearitySurface:
        """Read a file of `save`.

        Raises
        ------
        ResultsError
            If the file is no surface, or damaged.
        """
        try:
            with Path(path).open("rb") as raw, np.load(raw, allow_pickle=False) as file:
                held = {name: file[name] for name in file.files}
            found = cls._of_arrays(held)
        except FileNotFoundError:
            raise
        except Exception as error:
            raise ResultsError(f"{path} holds no linearity surface, or is damaged. Name another file.") from error
        return found

    @classmethod
    def _of_arrays(cls, held: dict[str, NDArray[Any]]) -> LinearitySurface:
        """Return the surface of the arrays of a file; raise if one is missing or another, or has another shape."""
        if held.pop("version") != VERSION:
            raise KeyError("version")
        axes: dict[str, Any] = {name: tuple(held.pop(name).tolist()) for name in cls._axes()}
        arrays: dict[str, Any] = dict(held)
        found, empty = cls(**axes, **arrays), empty_surface(**axes, X=held["X"])
        for name in arrays:
            values, wanted = getattr(found, name), getattr(empty, name)
            if values.shape != wanted.shape or values.dtype.kind != wanted.dtype.kind:
                raise ValueError(name)
        return found

    @staticmethod
    def _axes() -> tuple[str, ...]:
        return ("directions", "radii", "widths", "seeds")

    def _values(self, quantity: str) -> Values:
        values: Values = getattr(self, check_name("quantity", quantity, [*ALONG_DIRECTIONS, *OVER_RADII, *AT_CENTRE]))
        return values

    def _direction(self, direction: str) -> int:
        return self.directions.index(check_name("direction", direction, self.directions))

    def _radius(self, radius: float) -> int:
        for i, one in enumerate(self.radii):
            if math.isclose(one, radius, rel_tol=1e-12):
                return i
        known = ", ".join(f"{one:g}" for one in self.radii)
        raise ArgumentError(f"The 'radius' argument must be one of {known}. Got {radius!r}.")


def empty_surface(
    directions: tuple[str, ...],
    radii: tuple[float, ...],
    widths: tuple[int, ...],
    seeds: tuple[int, ...],
    X: NDArray[Any],
) -> LinearitySurface:
    """Return a surface on which nothing has been measured yet."""
    networks = (len(widths), len(seeds))
    arrays: dict[str, Any] = {name: np.full(networks, np.nan) for name in AT_CENTRE}
    arrays |= {name: np.full((len(radii), *networks), np.nan) for name in OVER_RADII}
    arrays |= {name: np.full((len(directions), len(radii), *networks), np.nan) for name in ALONG_DIRECTIONS}
    return LinearitySurface(directions, radii, widths, seeds, X, **arrays, networks=np.full(networks, "", dtype="U64"))
