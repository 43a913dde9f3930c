"""What a study returns: one row per finished point, and the points that failed, none dropped."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assembly.checks import check_name

if TYPE_CHECKING:
    from assembly.study.design import Point
    from assembly.study.specification import Specification


@dataclass(frozen=True)
class StudyResult:
    """Every number of a study, and how it was come by.

    Attributes
    ----------
    specification : Specification
        The study as it was run, every default written out.
    rows : list of dict
        One per finished point, in the order of results.csv (architecture, then width, then seed). Keys: `architecture`
        (str), `width`, `seed` (int), and the quantities of that architecture (float; NaN where a quantity did not
        converge or does not exist).
    failures : list of (Point, str)
        Points without a row, each with one line that says why.
    n_reused, n_computed : int
        Rows taken from an earlier run of the same folder, and rows computed by this one.
    seconds : float
        Wall time of this run.
    notes : tuple of str
        Sentences the reader must see beside the numbers, such as "fewer than 10 seeds".
    folder : Path or None
        Where the results are on disk.
    data : str
        One line on the data: name, numbers of rows and columns, target.
    """

    specification: Specification
    rows: list[dict[str, Any]]
    failures: list[tuple[Point, str]]
    n_reused: int
    n_computed: int
    seconds: float
    notes: tuple[str, ...] = ()
    folder: Path | None = None
    data: str = ""

    def values(self, architecture: str, quantity: str) -> tuple[list[int], list[list[float]]]:
        """Return the widths of one architecture, ascending, and the replicates of one quantity at each width.

        Parameters
        ----------
        architecture : str
            A label of the specification.
        quantity : str
            A column of that architecture.

        Returns
        -------
        widths : list of int
            Only widths with at least one row that has the quantity.
        replicates : list of list of float
            One list per width, ordered by seed; NaN where the quantity did not converge.

        Raises
        ------
        UnknownNameError
            If no row of that architecture, or no such quantity, exists.
        """
        rows = [row for row in self.rows if row["architecture"] == architecture]
        check_name("architecture", architecture, dict.fromkeys(row["architecture"] for row in self.rows))
        known = dict.fromkeys(key for row in rows for key in row)
        check_name("quantity", quantity, [key for key in known if key not in ("architecture", "width", "seed")])
        widths = sorted({int(row["width"]) for row in rows if quantity in row})
        return widths, [
            [
                float(row.get(quantity, float("nan")))
                for row in sorted((row for row in rows if row["width"] == width), key=lambda row: int(row["seed"]))
            ]
            for width in widths
        ]
