"""What an output folder holds: a study, a suite of studies, or a training, each with a report of its own."""

from __future__ import annotations

from pathlib import Path

from assembly.errors import ResultsError

RESULTS, CLAIMS, OPTIONS = "results.sqlite", "claims.csv", "options.json"  # the file that tells
WORDS = {RESULTS: "a study", CLAIMS: "a suite of studies", OPTIONS: "a training"}


def check_kind(folder: Path, mark: str) -> None:
    """Raise `ResultsError` if a folder holds another kind of results than that whose file is `mark`.

    Examples
    --------
    >>> check_kind(Path("no such folder"), RESULTS)
    """
    for other, words in WORDS.items():
        if other != mark and (folder / other).exists():
            raise ResultsError(
                f"The folder {str(folder)!r} holds {words}, whose report would be overwritten: "
                "give another folder with --out."
            )
