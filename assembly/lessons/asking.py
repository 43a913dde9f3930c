"""Asking a question of a lesson, and checking an answer."""

from __future__ import annotations

from assembly.checks import check_name
from assembly.lessons.catalogue import LESSONS
from assembly.lessons.question import Question, Reply


def ask(lesson: str, question: str) -> str:
    """Return a question of a lesson, and what an answer is.

    Parameters
    ----------
    lesson : str
        "01" to "10".
    question : str
        Its name, as in the lesson.

    Raises
    ------
    UnknownNameError
        If there is no such lesson or question.

    Examples
    --------
    >>> import assembly as am
    >>> print(am.lessons.ask("01", "rank"))
    What is the rank of the Hessian of one neuron in its weights, where it is not zero? (a number)
    """
    found = _find(lesson, question)
    return f"{found.words} ({found.kind})"


def check(lesson: str, question: str, answer: object) -> Reply:
    """Check an answer to a question of a lesson: right, or what to look at again.

    Parameters
    ----------
    lesson : str
        "01" to "10".
    question : str
        Its name, as in the lesson.
    answer : float or str

    Returns
    -------
    Reply

    Raises
    ------
    UnknownNameError
        If there is no such lesson or question, or none of its answers has this name.
    ArgumentError
        If the answer must be a finite number and is none.

    Examples
    --------
    >>> import assembly as am
    >>> am.lessons.check("01", "rank", 64)
    Not yet. Write down two columns of the matrix: how do they differ?
    """
    return _find(lesson, question).reply(answer)


def _find(lesson: str, question: str) -> Question:
    questions = LESSONS[check_name("lesson", lesson, LESSONS)].questions
    return questions[check_name("question", question, questions)]
