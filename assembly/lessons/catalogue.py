"""The lessons, in their order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from assembly.lessons import (
    lesson_01,
    lesson_02,
    lesson_03,
    lesson_04,
    lesson_05,
    lesson_06,
    lesson_07,
    lesson_08,
    lesson_09,
    lesson_10,
)
from assembly.lessons.question import Question


@dataclass(frozen=True)
class Lesson:
    """One lesson of docs/learn.

    Attributes
    ----------
    title : str
    explorer : str
        The state at which `assembly explore --lesson` opens, as in its address.
    questions : mapping of str to Question
    """

    title: str
    explorer: str
    questions: Mapping[str, Question]


_MODULES = (
    lesson_01,
    lesson_02,
    lesson_03,
    lesson_04,
    lesson_05,
    lesson_06,
    lesson_07,
    lesson_08,
    lesson_09,
    lesson_10,
)
LESSONS: Mapping[str, Lesson] = {
    module.__name__[-2:]: Lesson(module.TITLE, module.EXPLORER, module.QUESTIONS) for module in _MODULES
}
