"""Who owns the cores: one pool of threads, inside which BLAS has one thread each.

Idle threads of BLAS spin for a while before they sleep, and take the cores from whoever works meanwhile. So nothing
here is left to them: work is cut into pieces, by its size alone, and the pieces are handed to the threads of one pool.
What is computed does not depend on their number, bit for bit.

The number of threads is that of the cores this process may use, or ``OMP_NUM_THREADS`` if that is less.
"""

from __future__ import annotations

import itertools
import os
import sys
import threading
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from contextvars import ContextVar, copy_context
from typing import Any, TypeVar

Result = TypeVar("Result")

N_PIECES = 8  # of work that is cut at all,
SMALLEST_BYTES = 2**24  # which reads at least this much: waking a thread takes the time of about 2 MB
_HAVE_BLAS = ("numpy", "scipy.linalg")  # modules that load one, each its own

_limit: ContextVar[int | None] = ContextVar("limit", default=None)
_inside = threading.local()


def n_threads() -> int:
    """Return how many threads work together here."""
    limit = _limit.get()
    return _available() if limit is None else min(limit, _available())


@contextmanager
def limited(n: int) -> Generator[None]:
    """Let at most `n` threads work together."""
    token = _limit.set(max(n, 1))
    try:
        yield
    finally:
        _limit.reset(token)


def pieces(n: int, n_bytes: int, most: int = N_PIECES) -> list[slice]:
    """Return how `n` things that are `n_bytes` together are divided, into `most` at most: not at all if they are small.

    Examples
    --------
    >>> pieces(1000, 8000)
    [slice(0, 1000, None)]
    >>> len(pieces(4096, 2**27))
    8
    """
    count = min(N_PIECES, most, n) if n_bytes >= SMALLEST_BYTES else 1
    return [slice(i * n // count, (i + 1) * n // count) for i in range(count)]


def run(task: Callable[..., Result], works: Sequence[Any]) -> list[Result]:
    """Return ``[task(work) for work in works]``, computed by all threads; inside a task, by that one thread.

    Raises
    ------
    Exception
        One that a task raises, when the tasks that had begun are done.
    """
    n_helpers = 0 if len(works) < 2 or getattr(_inside, "task", False) else min(n_threads(), len(works)) - 1
    if n_helpers < 1:
        return [task(work) for work in works]
    results: list[Any] = [None] * len(works)
    numbers = itertools.count()

    def take() -> None:
        _inside.task = True
        try:
            while (i := next(numbers)) < len(works):
                results[i] = task(works[i])
        except BaseException:
            next(itertools.islice(numbers, len(works), None))  # nobody begins another
            raise
        finally:
            _inside.task = False

    with one_blas_thread():
        helpers: list[Future[None]] = []
        try:
            with suppress(RuntimeError):  # the interpreter is on its way out: nobody helps
                for _ in range(n_helpers):
                    helpers.append(_pool().submit(copy_context().run, take))
            take()
        finally:
            begun = [helper for helper in helpers if not helper.cancel()]
            errors = [helper.exception() for helper in begun]
    for error in errors:
        if error is not None:
            raise error
    return results


class _Blas:
    """The BLAS libraries of this process, held to one thread as long as somebody asks for it."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.n_holders = 0
        self.libraries: list[Any] = []
        self.of: list[str] = []  # loaded, whose libraries those are
        self.held: list[tuple[Any, int]] = []  # with the number of threads they had

    def hold(self) -> None:
        with self.lock:
            self.n_holders += 1
            if self.n_holders == 1:
                before = [(library, library.get_num_threads() or 1) for library in self._found()]
                self.held = [(library, count) for library, count in before if count > 1]
                for library, _ in self.held:
                    _set(library, 1)

    def release(self) -> None:
        with self.lock:
            self.n_holders -= 1
            if self.n_holders == 0:
                self.let_go()

    def let_go(self) -> None:
        """Give every library the threads it had."""
        for library, count in self.held:
            _set(library, count)
        self.held = []

    def _found(self) -> list[Any]:
        loaded = [name for name in _HAVE_BLAS if name in sys.modules]
        if loaded != self.of:
            from threadpoolctl import ThreadpoolController

            self.of = loaded
            self.libraries = ThreadpoolController().select(user_api="blas").lib_controllers
        return self.libraries


def _set(library: Any, count: int) -> None:
    """Set the threads of a library, whichever thread asks: threadpoolctl heeds one alone, unless it forgets it."""
    forget = getattr(library, "clear_controlling_thread", None)  # of OpenBLAS
    if forget is not None:
        forget(force=True)
    library.set_num_threads(count)
    if forget is not None:
        forget(force=True)


_blas = _Blas()


@contextmanager
def one_blas_thread() -> Generator[None]:
    """Hold BLAS to one thread, for the whole process, while anybody is inside."""
    blas = _blas
    blas.hold()
    try:
        yield
    finally:
        blas.release()


_executor: ThreadPoolExecutor | None = None
_executor_lock = threading.Lock()


def _pool() -> ThreadPoolExecutor:
    global _executor
    with _executor_lock:
        if _executor is None:
            _executor = ThreadPoolExecutor(max(_available() - 1, 1), thread_name_prefix="assembly")
        return _executor


def _available() -> int:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return min(cores, int(asked)) if asked.isdecimal() and int(asked) > 0 else cores


def _start_anew() -> None:
    """A forked child has none of the threads, and nobody in it holds BLAS."""
    global _blas, _executor, _executor_lock, _inside
    _blas.let_go()
    _blas, _executor, _executor_lock, _inside = _Blas(), None, threading.Lock(), threading.local()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_anew)
