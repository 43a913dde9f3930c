"""The answer of a study in a terminal: a short table and a sentence for each claim."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.table import Table
from rich.text import Text

from assembly.study.findings import assess, claim_cells, convergence, exponents, spread_heading
from assembly.study.quantities import describe_any

if TYPE_CHECKING:
    from assembly.study.result import StudyResult

TONES = {"consistent": "green", "inconsistent": "red", "undecided": "yellow"}


def terminal_table(result: StudyResult) -> tuple[Table, list[str]]:
    """Return a short table of the judged quantities, and one sentence for each.

    Parameters
    ----------
    result : StudyResult

    Returns
    -------
    table : rich.table.Table
        One row for each claim under the name of its architecture; without any claim, one for each quantity. At most 80
        columns wide.
    sentences : list of str
        One for each row, then what was left out and what did not converge.
    """
    findings = assess(result)
    judged = [finding for finding in findings if finding.claim is not None]
    rows = judged or findings
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    table.add_column("quantity", max_width=28)
    spread = spread_heading(result.specification).replace("95 % ", "").replace(" for a bound", "")
    for heading in ("exponent", spread, "predicted", "verdict"):
        table.add_column(
            heading, justify="right" if heading in ("exponent", "predicted") else "left", no_wrap=heading != "predicted"
        )
    previous = None
    for finding in rows:
        cells = claim_cells(exponents(result, [finding])[0], 2)
        if finding.architecture != previous:
            previous = finding.architecture
            table.add_row(Text(previous, style="bold"), "", "", "", "")
        table.add_row(
            Text(f" {describe_any(finding.quantity).text}"),
            Text(cells["exponent"]),
            Text(cells["interval"]),
            Text(cells["prediction"] or "none"),
            Text(
                finding.verdict or ("not judged" if finding.rate else "no fit"),
                style=TONES.get(finding.verdict or "", ""),
            ),
        )
    sentences = [f"{finding.architecture}: {finding.sentence}" for finding in rows]
    if len(rows) < len(findings):
        n_more = len(findings) - len(rows)
        sentences.append(
            f"{n_more} more {'quantity is' if n_more == 1 else 'quantities are'} shown, not judged, in the report."
        )
    for status in convergence(result):
        if status["n_unconverged"]:
            sentences.append(
                f"{status['architecture']}: {status['n_unconverged']} of {status['n_norms']} Hessian norms did "
                "not converge; "
                "they are left out of the fits."
            )
    if result.failures:
        n_failed = len(result.failures)
        sentences.append(f"{n_failed} {'point' if n_failed == 1 else 'points'} failed; the report lists them.")
    return table, sentences
