"""When a page answers: a dial that is turned is followed, and nothing queues up behind a slow browser or long work."""

import pytest

from assembly.explorer import pace


class Page:
    """A page whose clock stands until it is moved: the turns it took, and what is posted to it."""

    def __init__(self, monkeypatch):
        self.now, self.state, self.answered, self.timers, self.posted = 100.0, 0, [], [], []
        monkeypatch.setattr(pace.time, "monotonic", lambda: self.now)
        monkeypatch.setattr(pace.threading, "Timer", self.timer)
        self.pace = pace.Pace(self.answer, self.posted.append)

    def timer(self, rest, run, arguments):
        self.timers.append((self.now + rest, run, arguments))
        return self

    def start(self):
        pass

    def answer(self):
        self.answered.append(self.state)
        self.pace.began(["numbers", "curve"])

    def turn(self, *states):
        for state in states:
            self.state = state
            self.pace.ask()
        self.read()

    def read(self):
        while self.posted:
            self.posted.pop(0)()

    def wait(self, seconds):
        self.now += seconds
        due = [one for one in self.timers if one[0] <= self.now]
        self.timers = [one for one in self.timers if one[0] > self.now]
        for _, run, arguments in due:
            run(*arguments)
        self.read()


@pytest.fixture
def page(monkeypatch):
    return Page(monkeypatch)


def test_the_first_state_is_answered_at_once_and_what_came_with_it_once(page):
    page.turn(1, 2, 3)
    assert page.answered == [3]
    page.wait(10.0)
    assert page.answered == [3]


def test_the_next_state_has_its_turn_when_the_browser_shows_the_whole_answer(page):
    page.turn(1)
    page.pace.showed(["numbers"])
    page.pace.seen()
    page.turn(2)
    page.turn(3)
    assert page.answered == [1]
    page.pace.showed(["curve"])
    assert page.answered == [1]
    page.pace.seen()
    assert page.answered == [1, 3]
    page.wait(10.0)
    assert page.answered == [1, 3]


def test_a_page_that_has_shown_everything_answers_at_once(page):
    page.turn(1)
    page.pace.showed(["numbers", "curve"])
    page.pace.seen()
    page.turn(2)
    assert page.answered == [1, 2]


def test_long_work_makes_way_for_what_is_newer(page):
    page.turn(1)
    page.turn(2)
    page.wait(0.9 * pace.WORK_LASTS)
    page.turn(3)
    assert page.answered == [1]
    page.wait(0.2 * pace.WORK_LASTS)
    assert page.answered == [1, 3]


def test_a_browser_that_is_behind_is_waited_for_and_one_that_is_silent_is_not(page):
    page.turn(1)
    page.pace.showed(["numbers", "curve"])
    page.turn(2)
    page.wait(0.9 * pace.BROWSER_LASTS)
    assert page.answered == [1]
    page.wait(0.2 * pace.BROWSER_LASTS)
    assert page.answered == [1, 2]


def test_one_timer_runs_however_often_the_dial_is_turned(page):
    page.turn(1)
    for state in range(2, 200):
        page.turn(state)
    assert len(page.timers) == 1
