"""The guided tour: what is right is what the library says, and the usual wrong answers get a hint of their own."""

import pytest

from assembly.errors import ArgumentError, UnknownNameError
from assembly.explorer import tour
from assembly.explorer.answers import StoppedError, judged, numbers
from assembly.explorer.state import State
from assembly.explorer.tour import STEPS
from assembly.lessons.question import Choice

steps = pytest.mark.parametrize("position", range(1, 8))


def made(position):
    step = STEPS[position - 1]
    return step.made(step.state, step.question, lambda: False)


def answers_of(question):
    return (question.name if isinstance(question, Choice) else question.value), dict(question.wrong)


def test_there_are_seven_steps_from_few_neurons_to_any_graph():
    assert [step.title for step in STEPS][::6] == ["Few neurons", "Any graph"]
    assert len(STEPS) == 7
    assert [STEPS[i].state.builder for i in (0, 2, 3, 6)] == ["mlp", "tied", "dominated", "uneven_dag"]


@steps
def test_the_right_answer_is_accepted_and_wrong_ones_get_hints(position):
    question = made(position)
    right, wrong = answers_of(question)
    assert tour.reply(position, right).right
    assert tour.reply(position, right).words == question.why
    assert len(set(wrong.values())) == len(wrong) >= 3
    for answer, hint in wrong.items():
        reply = tour.reply(position, answer)
        assert not reply.right
        assert reply.words == hint


@steps
def test_names_to_choose_from_are_those_of_the_question(position):
    question = made(position)
    if isinstance(question, Choice):
        assert sorted(STEPS[position - 1].names) == sorted([question.name, *question.wrong])
    else:
        assert STEPS[position - 1].names == ()
        assert tour.reply(position, 1e9).words == question.hint


def test_the_answers_are_those_read_off_the_page():
    first = numbers(State(width=2, depth=1, seed=5))
    assert tour.reply(1, round(first.hessian_times_radius_over_gradient, 4)).right
    narrow, wide = (numbers(State(width=width, depth=1)).hessian_norm for width in (64, 1024))
    assert 3.5 < narrow / wide < 4.5
    assert tour.reply(2, round(narrow / wide, 2)).right
    assert tour.reply(3, "diversity").right
    assert tour.reply(4, 4).right
    assert judged(STEPS[3].state).sentence.count("the layer counts as 4") == 1
    assert tour.reply(6, "layer 2, neuron 0").right
    assert tour.reply(7, 128).right


def test_what_is_no_answer_is_an_error_that_says_so():
    with pytest.raises(ArgumentError, match="'answer' argument must be a finite number"):
        tour.reply(1, "much")
    with pytest.raises(UnknownNameError, match="'answer' argument must be one of both, diversity, dominance, neither"):
        tour.reply(3, None)


def test_checking_is_stopped():
    with pytest.raises(StoppedError):
        tour.reply(5, 2.0, lambda: True)
