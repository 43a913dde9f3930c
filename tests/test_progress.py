import io
import signal
import sys
import threading
import time
from contextlib import suppress

import numpy as np
import pytest

import assembly as am
from assembly import progress
from assembly.architectures import dag
from assembly.calculus.lanczos import extreme_eigenpairs


class Clock:
    def __init__(self):
        self.now = 100.0

    def monotonic(self):
        return self.now


class Stream(io.StringIO):
    def __init__(self, terminal):
        super().__init__()
        self.terminal = terminal

    def isatty(self):
        return self.terminal


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    return clock


def listen(monkeypatch, terminal=False):
    stream = Stream(terminal)
    monkeypatch.setattr(sys, "stderr", stream)
    return stream


def screen(written):
    """Return what a terminal shows after some text: a carriage return goes back to the start of the line."""
    shown, column = [], 0
    for letter in written:
        if letter == "\r":
            column = 0
        else:
            shown[column : column + 1] = letter
            column += 1
    return "".join(shown).rstrip()


def test_a_line_from_the_fifth_second_on_and_then_every_ten_seconds(monkeypatch, clock):
    stream = listen(monkeypatch)
    with progress.progress("counting") as shown:
        for second in range(31):
            clock.now = 100.0 + second
            shown.tell(f"{second} of 31", second / 31)
    assert stream.getvalue().splitlines() == [
        "counting: 5 of 31, about 26 s left",
        "counting: 15 of 31, about 16 s left",
        "counting: 25 of 31, about 6 s left",
    ]


def test_without_a_known_end_the_time_so_far_is_told(monkeypatch, clock):
    stream = listen(monkeypatch)
    with progress.progress("iteration") as shown:
        clock.now += 300.0
        shown.tell("step 7, residual about 1e-02")
    assert stream.getvalue() == "iteration: step 7, residual about 1e-02, 5 min so far\n"


def test_at_the_end_nothing_is_left(monkeypatch, clock):
    stream = listen(monkeypatch)
    with progress.progress("counting") as shown:
        clock.now += 300.0
        shown.tell("31 of 31", 1.0)
    assert stream.getvalue() == "counting: 31 of 31\n"


def test_nothing_is_said_of_what_is_short(monkeypatch, clock):
    stream = listen(monkeypatch)
    with progress.progress("counting") as shown:
        clock.now += 4.9
        shown.tell("99 of 100", 0.99)
    assert stream.getvalue() == ""


def test_a_terminal_has_one_line_that_is_overwritten_and_cleared(monkeypatch, clock):
    stream = listen(monkeypatch, terminal=True)
    monkeypatch.setenv("COLUMNS", "80")
    with progress.progress("counting") as shown:
        clock.now += 6.0
        shown.tell("a long way to go", 0.01)
        assert screen(stream.getvalue()) == "counting: a long way to go, about 10 min left"
        clock.now += 0.4
        shown.tell("too soon", 0.5)
        assert "too soon" not in stream.getvalue()
        clock.now += 0.2
        shown.tell("short", 0.5)
        assert screen(stream.getvalue()) == "counting: short, about 7 s left"
    assert "\n" not in stream.getvalue()
    assert screen(stream.getvalue()) == ""


def test_a_line_is_cut_where_a_terminal_would_wrap_it(monkeypatch, clock):
    stream = listen(monkeypatch, terminal=True)
    monkeypatch.setenv("COLUMNS", "20")
    with progress.progress("counting") as shown:
        clock.now += 6.0
        shown.tell("a long way to go")
        assert screen(stream.getvalue()) == "counting: a long wa"


def test_the_line_is_cleared_when_the_operation_is_interrupted(monkeypatch, clock):
    stream = listen(monkeypatch, terminal=True)

    def stop_half_way():
        with progress.progress("counting") as shown:
            clock.now += 6.0
            shown.tell("half", 0.5)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stop_half_way()
    assert "counting" in stream.getvalue()
    assert screen(stream.getvalue()) == ""


@pytest.mark.parametrize("fails", [False, True])
def test_while_another_display_has_the_terminal_nothing_is_said(monkeypatch, clock, fails):
    stream = listen(monkeypatch)
    with suppress(ValueError), progress.silenced(), progress.progress("counting") as shown:
        clock.now += 60.0
        shown.tell("half", 0.5)
        if fails:
            raise ValueError
    assert stream.getvalue() == ""
    with progress.progress("counting") as shown:
        clock.now += 60.0
        shown.tell("half", 0.5)
    assert stream.getvalue() == "counting: half, about 60 s left\n"


def test_units_are_counted(monkeypatch, clock):
    stream = listen(monkeypatch)
    with progress.counted("building", 4000, "edges") as advance:
        for _ in range(4):
            clock.now += 4.0
            advance(1000)
    assert stream.getvalue() == "building: 2,000 of 4,000 edges, about 8 s left\n"


def test_a_silent_process_says_nothing(monkeypatch, clock):
    stream = listen(monkeypatch)
    monkeypatch.setattr(progress, "_silent", False)
    progress.silence()
    with progress.progress("counting") as shown:
        clock.now += 60.0
        shown.tell("half", 0.5)
    assert stream.getvalue() == ""


def test_nobody_listens(monkeypatch, clock):
    """Without standard error, with a closed one, and with one that breaks: the operation goes on."""
    closed, broken = Stream(True), Stream(False)
    closed.close()
    monkeypatch.setattr(broken, "write", lambda text: (_ for _ in ()).throw(BrokenPipeError()))
    for stream in (None, closed, broken):
        monkeypatch.setattr(sys, "stderr", stream)
        with progress.progress("counting") as shown:
            clock.now += 60.0
            shown.tell("half", 0.5)


def test_building_a_graph_tells_how_far_it_is(monkeypatch, capsys):
    monkeypatch.setattr(progress, "PATIENCE", 0.0)
    monkeypatch.setattr(progress, "PAUSE_BETWEEN_LINES", 0.0)
    monkeypatch.setattr(dag, "CHUNK", 100)
    am.random_dag(4, 3, [20, 20, 10], 10)
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(", about")[0] for line in lines] == [  # the first layer is dense
        f"random_dag: {n} of 380 edges" for n in (80, 180, 280, 380)
    ]
    assert lines[-2].endswith(" left")


def test_an_iteration_tells_its_step_and_residual(monkeypatch, capsys):
    monkeypatch.setattr(progress, "PATIENCE", 0.0)
    monkeypatch.setattr(progress, "PAUSE_BETWEEN_LINES", 0.0)
    H = am.mlp(4, [30, 30], seed=0).hessian([1.0, -1.0, 0.5, 0.2])
    found = H.norm(1e-6)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == found.n_steps - 1  # the last application is for the residual
    assert lines[0] == "eigenvalue iteration: step 1, 1e-06 wanted, 0 s so far"
    told = [float(line.split("about ")[1].split(",")[0]) for line in lines[10:]]
    assert told[0] > 10 * told[-1] > 0.0
    H.spectrum(n_probes=1, n_steps=3)
    assert capsys.readouterr().err == ""  # exact here
    wide = am.mlp(4, [200, 200], seed=0).hessian([1.0, -1.0, 0.5, 0.2])
    wide.spectrum(n_probes=1, n_steps=3)
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(", about")[0] for line in lines] == [f"Lanczos quadrature: step {i} of 3" for i in (1, 2, 3)]


# Ctrl-C


@pytest.fixture
def interrupt():
    """Send this process a Ctrl-C after a while, and return when it came."""
    sent = []

    def ring(*_):
        sent.append(time.monotonic())
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, ring)

    def after(seconds):
        signal.setitimer(signal.ITIMER_REAL, seconds)
        return sent

    yield after
    signal.setitimer(signal.ITIMER_REAL, 0.0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.skipif(not hasattr(signal, "SIGALRM"), reason="no alarm on this system")
def test_a_long_iteration_stops_between_steps(interrupt):
    """Eigenvalues so near each other, and a basis so short, that it would take minutes."""
    n = 200_000
    values, start = np.linspace(1.0, 2.0, n), np.random.default_rng(0).normal(size=n)
    sent = interrupt(0.5)
    with pytest.raises(KeyboardInterrupt):
        extreme_eigenpairs(
            lambda v: values * v,
            lambda v: v.copy(),
            np.ones(n),
            start,
            k=1,
            tol=1e-12,
            max_steps=10**9,
            basis_size=20,
        )
    assert time.monotonic() - sent[0] < 1.0


@pytest.mark.skipif(not hasattr(signal, "SIGALRM"), reason="no alarm on this system")
def test_a_large_graph_stops_between_chunks(interrupt, monkeypatch):
    """10^10 edges would take minutes and 120 GB; the structure of one layer of 10^7 edges is all that is allocated."""
    monkeypatch.setattr(dag, "check_fits", lambda *_: None)
    am.random_dag(4, 2, 20, 3)  # compiled beforehand
    sent = interrupt(0.5)
    with pytest.raises(KeyboardInterrupt):
        am.random_dag(4, 1000, 100_000, 100)
    assert time.monotonic() - sent[0] < 2.0


def test_what_a_check_raises_ends_the_operation_and_is_forgotten_afterwards():
    done = []

    def check():
        if len(done) == 3:
            raise KeyError("enough")

    def count():
        with progress.progress("counting") as shown:
            for i in range(10):
                done.append(i)
                shown.tell(f"{i}")

    with pytest.raises(KeyError), progress.watched(check):
        count()
    assert done == [0, 1, 2]
    with progress.progress("counting") as shown:
        shown.tell("again")


def test_a_check_belongs_to_its_thread():
    asked = []
    with progress.watched(lambda: asked.append(threading.get_ident())):
        other = threading.Thread(target=progress.Progress("counting", None).tell, args=("1",))
        other.start()
        other.join()
        assert asked == []
        progress.Progress("counting", None).tell("1")
    assert asked == [threading.get_ident()]
