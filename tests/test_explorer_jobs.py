"""The worker behind a page of the explorer."""

import threading
import time

import numpy  # noqa: F401  # has the BLAS that is looked at
import pytest
from threadpoolctl import threadpool_info

from assembly.errors import ArgumentError
from assembly.explorer import jobs as module
from assembly.explorer.jobs import Failure, Jobs, after_a_rest
from assembly.progress import progress

SOON = 10.0  # seconds that a thread is waited for


class Page:
    """A page that runs what is posted when it is told to, or at once; it keeps what it was shown."""

    def __init__(self, is_slow=False):
        self.is_slow, self.posted, self.shown = is_slow, [], []
        self.changed = threading.Condition()
        self.jobs = Jobs(self.post, self.show)

    def post(self, run):
        with self.changed:
            self.posted.append(run)
            self.changed.notify_all()
        if not self.is_slow:
            run()

    def show(self, frames):
        with self.changed:
            self.shown.append(frames)
            self.changed.notify_all()

    def wait(self, condition):
        with self.changed:
            assert self.changed.wait_for(condition, SOON)

    def last(self, name):
        return next((frames[name] for frames in reversed(self.shown) if name in frames), None)


@pytest.fixture
def page():
    found = Page()
    yield found
    found.jobs.close()


@pytest.fixture
def slow_page():
    found = Page(is_slow=True)
    yield found
    found.jobs.close()


def stopped_by(stop, began):
    began.set()
    while not stop():
        time.sleep(0.001)
    return "too late"


def test_what_is_quick_leaves_the_other_cores_to_the_browser(page):
    """Idle threads of BLAS spin: an inner product keeps a core busy for milliseconds."""
    page.jobs.submit(
        {"blas": lambda stop: {one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"}}
    )
    page.wait(lambda: page.last("blas") is not None)
    assert page.last("blas") == {1}


def test_the_newest_wins_and_what_it_stopped_never_reports(page):
    began = threading.Event()
    page.jobs.submit({"old": lambda stop: stopped_by(stop, began), "next": lambda stop: "next"})
    assert began.wait(SOON)
    page.jobs.submit({"new": lambda stop: 1})
    page.wait(lambda: page.last("new") == 1)
    page.jobs.submit({"newest": lambda stop: 2})
    page.wait(lambda: page.last("newest") == 2)
    assert page.shown == [{"new": 1}, {"newest": 2}]


def test_an_answer_of_older_work_that_waits_to_be_shown_is_dropped(slow_page):
    slow_page.jobs.submit({"old": lambda stop: 1})
    slow_page.wait(lambda: slow_page.posted)
    slow_page.jobs.submit({"new": lambda stop: 2})
    finished = threading.Event()
    slow_page.jobs.submit({"newest": lambda stop: 3, "end": lambda stop: finished.set()})
    assert finished.wait(SOON)
    slow_page.posted[0]()
    assert all("old" not in frames and "new" not in frames for frames in slow_page.shown)


def test_what_goes_wrong_is_told_and_the_worker_lives_on(page):
    def refuse(stop):
        raise ArgumentError("The 'width' argument must be an int.")

    def run_out(stop):
        raise MemoryError

    page.jobs.submit({"refused": refuse, "memory": run_out, "bug": lambda stop: 1 / 0, "well": lambda stop: 4})
    page.wait(lambda: page.last("well") == 4)
    assert page.last("refused") == Failure("The 'width' argument must be an int.")
    assert "smaller width" in page.last("memory").sentence
    assert "ZeroDivisionError" in page.last("bug").sentence


def test_a_long_operation_of_the_library_ends_when_something_newer_comes(page):
    began = threading.Event()

    def iterate(stop):
        with progress("iterating") as shown:
            while True:
                began.set()
                shown.tell("on and on")

    page.jobs.submit({"long": iterate})
    assert began.wait(SOON)
    page.jobs.submit({"short": lambda stop: "done"})
    page.wait(lambda: page.last("short") == "done")
    assert page.last("long") is None


def test_work_rests_while_nobody_looks_and_goes_on_when_somebody_does():
    is_away, steps, page = threading.Event(), [], Page()
    page.jobs = Jobs(page.post, page.show, is_long=True, is_away=is_away.is_set)

    def work(stop):
        while not stop() and len(steps) < 10_000:
            steps.append(1)
            time.sleep(0.001)
            if len(steps) == 5:
                is_away.set()
        return len(steps)

    page.jobs.submit({"long": work})
    assert is_away.wait(SOON)
    time.sleep(0.3)
    assert len(steps) == 5
    is_away.clear()
    until = time.monotonic() + SOON
    while len(steps) < 10 and time.monotonic() < until:
        time.sleep(0.01)
    assert len(steps) >= 10
    is_away.set()
    page.jobs.submit({"other": lambda stop: "what was asked for last"})
    time.sleep(0.2)
    assert page.shown == []
    is_away.clear()
    page.wait(lambda: page.last("other") is not None)
    assert page.last("long") is None
    page.jobs.close()


def test_no_submission_is_lost_of_thousands_from_several_threads(page):
    """Whichever comes last must be answered, whether the worker waits, works, delivers, or has just finished."""
    last, order = [None], threading.Lock()

    def submit(visitor):
        for i in range(1000):
            with order:
                last[0] = (visitor, i)
                page.jobs.submit({"number": lambda stop, mine=(visitor, i): mine})
            if i % 50 == 0:
                time.sleep(0.001)

    visitors = [threading.Thread(target=submit, args=(visitor,)) for visitor in range(4)]
    for one in visitors:
        one.start()
    for one in visitors:
        one.join()
    page.wait(lambda: page.last("number") == last[0])
    for i in range(2000):
        page.jobs.submit({"number": lambda stop, mine=i: mine})
        if i % 3 == 0:
            page.wait(lambda mine=i: page.last("number") == mine)
    page.wait(lambda: page.last("number") == 1999)


def test_a_slow_page_gets_all_answers_in_one_frame(slow_page):
    finished = threading.Event()
    tasks = {f"answer {i}": lambda stop, i=i: i for i in range(100)}
    slow_page.jobs.submit({**tasks, "end": lambda stop: finished.set()})
    slow_page.wait(lambda: slow_page.posted)
    assert finished.wait(SOON)
    slow_page.wait(lambda: len(slow_page.jobs._frames) == 101)
    assert len(slow_page.posted) == 1
    slow_page.posted[0]()
    assert slow_page.shown == [{**{f"answer {i}": i for i in range(100)}, "end": None}]


def test_a_closed_page_ends_its_thread_and_is_shown_nothing(page):
    began = threading.Event()
    page.jobs.submit({"long": lambda stop: stopped_by(stop, began)})
    assert began.wait(SOON)
    page.jobs.close()
    page.jobs._thread.join(SOON)
    assert not page.jobs._thread.is_alive()
    page.jobs.submit({"after": lambda stop: 1})
    assert page.shown == []


def test_a_page_that_is_gone_ends_its_thread():
    def gone(run):
        raise RuntimeError("no such session")

    jobs = Jobs(gone, lambda frames: None)
    jobs.submit({"answer": lambda stop: 1})
    jobs._thread.join(SOON)
    assert not jobs._thread.is_alive()


def test_a_closed_page_makes_room_for_another(monkeypatch):
    """Two pages and one core."""
    monkeypatch.setattr(module, "_QUICK", threading.BoundedSemaphore(1))
    first, second = Page(), Page()
    began = threading.Event()
    first.jobs.submit({"long": lambda stop: stopped_by(stop, began)})
    assert began.wait(SOON)
    second.jobs.submit({"short": lambda stop: 1})
    first.jobs.close()
    second.wait(lambda: second.last("short") == 1)
    second.jobs.close()


def test_work_after_a_rest_begins_once_for_many_changes(page):
    asked = []
    for i in range(20):
        page.jobs.submit({"bracket": after_a_rest(lambda stop, i=i: asked.append(i) or i)})
        time.sleep(0.005)
    page.wait(lambda: page.last("bracket") == 19)
    assert asked == [19]


def test_long_work_of_some_pages_does_not_keep_others_from_quick_answers():
    pages = [Page() for _ in range(8)]
    ends = threading.Event()
    long = [Jobs(page.post, page.show, is_long=True) for page in pages]
    for jobs in long:
        jobs.submit({"bracket": lambda stop: ends.wait(SOON)})
    for page in pages:
        page.jobs.submit({"numbers": lambda stop: 1})
        page.wait(lambda page=page: page.last("numbers") == 1)
    assert [page.last("bracket") for page in pages] == [None] * 8
    ends.set()
    for page, jobs in zip(pages, long, strict=True):
        page.wait(lambda page=page: page.last("bracket"))
        jobs.close()
        page.jobs.close()
