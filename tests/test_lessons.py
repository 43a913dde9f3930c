"""The questions of the lessons: right answers are accepted, the usual wrong ones are refused with their own hint."""

import re

import pytest

import assembly as am
from assembly.errors import ArgumentError, UnknownNameError
from assembly.lessons import LESSONS, Choice, Number

ALL = [(number, name) for number, lesson in LESSONS.items() for name in lesson.questions]
asked = pytest.mark.parametrize(("lesson", "name"), ALL)


def right_and_wrong(question):
    if isinstance(question, Number):
        return question.value, dict(question.wrong)
    return question.name, dict(question.wrong)


@asked
def test_the_right_answer_is_accepted_and_says_why(lesson, name):
    question = LESSONS[lesson].questions[name]
    right, _ = right_and_wrong(question)
    reply = am.lessons.check(lesson, name, right)
    assert reply.right
    assert repr(reply) == f"Right. {question.why}"


@asked
def test_three_usual_wrong_answers_are_refused_each_with_its_own_hint(lesson, name):
    _, wrong = right_and_wrong(LESSONS[lesson].questions[name])
    assert len(wrong) >= 3
    assert len(set(wrong.values())) == len(wrong)
    for answer, hint in wrong.items():
        reply = am.lessons.check(lesson, name, answer)
        assert not reply.right
        assert repr(reply) == f"Not yet. {hint}"


@asked
def test_no_hint_gives_the_answer_away(lesson, name):
    question = LESSONS[lesson].questions[name]
    right, wrong = right_and_wrong(question)
    hints = [*wrong.values(), *([question.hint] if isinstance(question, Number) else [])]
    for hint in hints:
        if isinstance(question, Choice):
            assert right.lower() not in hint.lower()
        else:
            said = {float(number) for number in re.findall(r"(?<![\w^./])-?\d+(?:\.\d+)?(?![\w^/])", hint)}
            assert right not in said or abs(right) <= 1.0


@pytest.mark.parametrize(
    ("lesson", "name"), [one for one in ALL if isinstance(LESSONS[one[0]].questions[one[1]], Number)]
)
def test_any_other_number_gets_the_general_hint(lesson, name):
    question = LESSONS[lesson].questions[name]
    assert repr(am.lessons.check(lesson, name, 123456.75)) == f"Not yet. {question.hint}"
    for answer in ("many", None, float("nan"), [1.0]):
        with pytest.raises(ArgumentError, match="'answer' argument must be a finite number"):
            am.lessons.check(lesson, name, answer)


def test_unknown_names_are_refused_with_the_nearest():
    with pytest.raises(UnknownNameError, match="'lesson' argument must be one of 01, 02"):
        am.lessons.check("11", "slope", 0.0)
    with pytest.raises(UnknownNameError, match="Did you mean 'slope'"):
        am.lessons.check("03", "slop", 0.0)
    with pytest.raises(UnknownNameError, match="'answer' argument must be one of"):
        am.lessons.check("03", "copies", "vanishes")


def test_a_question_is_asked_with_what_an_answer_is():
    assert am.lessons.ask("03", "slope").endswith("have in m? (a number)")
    assert am.lessons.ask("03", "copies").endswith(
        "(one of 'falls like 1/m', 'falls like 1/sqrt(m)', 'grows like sqrt(m)', 'stays')"
    )


@pytest.mark.parametrize("number", LESSONS)
def test_the_explorer_opens_at_the_network_of_a_lesson(number):
    pytest.importorskip("panel", reason="the extra 'explorer' is not installed")
    from assembly.explorer.state import State

    state = State.from_query(LESSONS[number].explorer)
    assert state.build().n_outputs == 1
    assert state.panel in ("linear", "assembly", "scaling")


def test_an_unknown_lesson_is_refused_on_one_line():
    from typer.testing import CliRunner

    from assembly import cli

    result = CliRunner().invoke(cli.app, ["explore", "--lesson", "7", "--no-browser"])
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert "'--lesson' option must be one of 01, 02" in line
