"""One pool of threads: everything is done once, in order, by at most so many threads, and BLAS stands aside."""

import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from assembly import threads


@pytest.fixture
def two(monkeypatch):
    monkeypatch.setattr(threads, "_available", lambda: 2)


def blas_threads():
    return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]


def test_pieces_cover_everything_once():
    for n in (1, 7, 8, 4096, 4099):
        parts = threads.pieces(n, 2**30)
        assert np.concatenate([np.arange(n)[part] for part in parts]).tolist() == list(range(n))
        assert len(parts) == min(8, n)
    assert threads.pieces(10, 2**24 - 1) == [slice(0, 10)]


def test_results_come_in_order_from_two_threads(two):
    meet = threading.Barrier(2, timeout=30.0)

    def task(i):
        if i < 2:
            meet.wait()  # deadlocks unless two threads are at work
        return i * i, threading.get_ident()

    results = threads.run(task, range(20))
    assert [square for square, _ in results] == [i * i for i in range(20)]
    assert len({thread for _, thread in results}) == 2


def test_one_thread_where_one_is_allowed_and_inside_a_task(two):
    with threads.limited(1):
        assert threads.n_threads() == 1
        assert {threads.run(lambda _: threading.get_ident(), range(9))[0]} == {threading.get_ident()}
        assert len(set(threads.run(lambda _: threading.get_ident(), range(9)))) == 1
    nested = threads.run(lambda _: threads.run(lambda _: threading.get_ident(), range(9)), range(4))
    assert all(len(set(inner)) == 1 for inner in nested)
    assert threads.n_threads() == 2


def test_the_first_error_is_raised_and_nothing_else_begins(two):
    begun = []

    def task(i):
        begun.append(i)
        if i == 1:
            raise ValueError("one")
        time.sleep(0.02)

    with pytest.raises(ValueError, match="one"):
        threads.run(task, range(200))
    assert len(begun) < 100
    assert threads.run(lambda i: i, range(4)) == [0, 1, 2, 3]


def test_blas_has_one_thread_while_anybody_is_inside(two):
    before = blas_threads()
    with threads.one_blas_thread():
        with threads.one_blas_thread():
            assert set(blas_threads()) == {1}
        assert set(blas_threads()) == {1}
    assert blas_threads() == before
    assert all(set(found) == {1} for found in threads.run(lambda _: blas_threads(), range(3)))
    assert blas_threads() == before


def test_blas_is_held_by_whichever_thread_asks():
    """Of OpenBLAS threadpoolctl heeds the first thread that asked alone, while that lives."""
    before, found = blas_threads(), []

    def hold():
        with threads.one_blas_thread():
            found.append(set(blas_threads()))

    hold()
    for _ in range(2):
        other = threading.Thread(target=hold)
        other.start()
        other.join()
    assert found == [{1}, {1}, {1}]
    assert blas_threads() == before
    entered, leave = threading.Event(), threading.Event()

    def stay():
        with threads.one_blas_thread():
            entered.set()
            leave.wait(30.0)

    with threads.one_blas_thread():  # begun by this thread, ended by the other
        other = threading.Thread(target=stay)
        other.start()
        assert entered.wait(30.0)
    assert set(blas_threads()) == {1}
    leave.set()
    other.join()
    assert blas_threads() == before


def test_the_environment_limits_the_threads(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert threads.n_threads() == 1
    monkeypatch.setenv("OMP_NUM_THREADS", "nonsense")
    assert threads.n_threads() == len(os.sched_getaffinity(0))


FORK = """
import os
from assembly import threads
threads._available = lambda: 2
threads.run(lambda i: i, range(4))
child = os.fork()
if child == 0:
    os._exit(0 if threads.run(lambda i: i, range(4)) == [0, 1, 2, 3] else 1)
raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_forked_child_has_a_pool_of_its_own():
    """In a process that holds nothing else: other libraries have their own opinion of forks."""
    subprocess.run([sys.executable, "-W", "ignore", "-c", FORK], check=True, timeout=60)


HELD_WHILE_FORKED = """
import os
from threadpoolctl import threadpool_info
import numpy
from assembly import threads
def counts():
    return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]
before = counts()
with threads.one_blas_thread():
    child = os.fork()
if child == 0:
    with threads.one_blas_thread():
        held = counts()
    os._exit(0 if counts() == before and set(held) == {1} else 1)
raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""

AFTER_THE_MAIN_THREAD = """
import threading, time
from assembly import threads
threads._available = lambda: 2
threads.run(lambda i: i, range(4))
def late():
    threading.main_thread().join()
    time.sleep(0.1)
    print(threads.run(lambda i: i, range(4)))
threading.Thread(target=late).start()
"""


@pytest.mark.parametrize("script", [HELD_WHILE_FORKED, AFTER_THE_MAIN_THREAD], ids=["fork", "late"])
def test_blas_in_a_child_and_work_after_the_end(script):
    subprocess.run([sys.executable, "-W", "ignore", "-c", script], check=True, timeout=60, capture_output=True)


LOADED_LATER = """
import sys
from threadpoolctl import threadpool_info
from assembly import threads
assert "numpy" not in sys.modules
with threads.one_blas_thread():
    import numpy
with threads.one_blas_thread():
    counts = {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}
raise SystemExit(0 if counts == {1} else 1)
"""


def test_a_library_that_is_loaded_later_is_held_too():
    subprocess.run([sys.executable, "-c", LOADED_LATER], check=True, timeout=60)
