"""What can be asked: a number or a name, with what to look at again for answers that are often given."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from assembly.checks import check_name, check_number


@dataclass(frozen=True)
class Reply:
    """What is said to an answer.

    Attributes
    ----------
    right : bool
    words : str
        Why it is so, if it is right; what to look at again otherwise, without giving the answer away.
    """

    right: bool
    words: str

    def __repr__(self) -> str:
        return f"{'Right.' if self.right else 'Not yet.'} {self.words}"


class Question(ABC):
    """A question with one right answer.

    Attributes
    ----------
    words : str
        The question.
    why : str
        Said to the right answer.
    """

    words: str
    why: str

    @abstractmethod
    def reply(self, answer: object) -> Reply:
        """Return what is said to an answer.

        Raises
        ------
        ArgumentError, UnknownNameError
            If it is no answer at all: not a finite number, or none of the names.
        """

    @property
    @abstractmethod
    def kind(self) -> str:
        """What an answer is, in words."""


@dataclass(frozen=True)
class Number(Question):
    """A question that a number answers.

    Attributes
    ----------
    value : float
    within : float
        Largest difference of a right answer.
    wrong : sequence of (float, str)
        Numbers often given, as near, and what to look at again.
    hint : str
        Said to any other number.

    Examples
    --------
    >>> half = Number("What is 1 / 2?", 0.5, 0.01, [(2.0, "That is 2 / 1.")], why="By definition.", hint="Divide.")
    >>> half.reply(0.5)
    Right. By definition.
    >>> half.reply(2)
    Not yet. That is 2 / 1.
    >>> half.reply(7)
    Not yet. Divide.
    """

    words: str
    value: float
    within: float
    wrong: Sequence[tuple[float, str]]
    why: str
    hint: str

    def reply(self, answer: object) -> Reply:
        """See `Question.reply`."""
        given = check_number("answer", answer)
        if math.isclose(given, self.value, rel_tol=0.0, abs_tol=self.within):
            return Reply(True, self.why)
        near = [hint for value, hint in self.wrong if math.isclose(given, value, rel_tol=0.0, abs_tol=self.within)]
        return Reply(False, near[0] if near else self.hint)

    @property
    def kind(self) -> str:
        """What an answer is, in words."""
        return "a number"


@dataclass(frozen=True)
class Choice(Question):
    """A question that one of several names answers.

    Attributes
    ----------
    name : str
        The right one.
    wrong : mapping of str to str
        The others, and what to look at again.

    Examples
    --------
    >>> larger = Choice("Which is larger?", "two", {"one": "Count."}, why="1 < 2.")
    >>> larger.kind
    "one of 'one', 'two'"
    >>> larger.reply("one")
    Not yet. Count.
    """

    words: str
    name: str
    wrong: Mapping[str, str]
    why: str

    def reply(self, answer: object) -> Reply:
        """See `Question.reply`."""
        given = check_name("answer", answer, self._names())
        return Reply(True, self.why) if given == self.name else Reply(False, self.wrong[given])

    @property
    def kind(self) -> str:
        """What an answer is, in words."""
        return f"one of {', '.join(map(repr, self._names()))}"

    def _names(self) -> list[str]:
        return sorted([self.name, *self.wrong])
