"""What is left of visitors who go without a word, while others stay."""

import os
import time
from pathlib import Path

import pytest

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
from assembly.explorer.state import State
from test_explorer_page import SOON, browser, of_library, pytestmark, shown, started, sync_api, wait_for  # noqa: F401

N_TABS = 3
pytestmark = [*pytestmark, pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="no /proc here")]


def n_threads(process):
    return len(list(Path(f"/proc/{process.pid}/task").iterdir()))


def seconds_of_work(process):
    """Return the processor time that a process has taken."""
    fields = Path(f"/proc/{process.pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def kill(tab):
    """End a tab as a crash does: nobody says goodbye."""
    with pytest.raises(sync_api.Error):
        tab.goto("chrome://crash")


def wait_until_idle(process, most):
    """Wait until a process has so many threads at most and takes less than a third of a processor for three seconds."""
    until = time.monotonic() + 1e-3 * SOON
    works = True
    while works and time.monotonic() < until:
        worked = seconds_of_work(process)
        time.sleep(3.0)
        works = n_threads(process) > most or seconds_of_work(process) - worked >= 1.0
    assert not works, f"{n_threads(process)} threads, {most} at most"


def test_killed_tabs_end_their_work_and_leave_the_server_right(browser):
    """Each of them has a bracket under way or waited for, which takes minutes."""
    with started() as (process, address):
        stays = browser.new_page()
        stays.goto(f"{address}?width=512&depth=3&data=wine")
        shown(stays)
        stays.get_by_role("slider", name="Width").focus()
        stays.keyboard.press("Home")
        wait_for(stays, "width", "2")
        sync_api.expect(stays.get_by_text("Within a distance of 1")).to_be_visible(timeout=SOON)
        before = n_threads(process)
        most = before + len(os.sched_getaffinity(0)) - 1  # the pool of threads may be made in the meantime
        tabs = [browser.new_page() for _ in range(N_TABS)]
        for seed, tab in enumerate(tabs):
            tab.goto(f"{address}?width=1024&depth=3&data=wine&seed={seed}")
            shown(tab)
        assert n_threads(process) >= before + N_TABS
        for tab in tabs:
            kill(tab)
        wait_until_idle(process, most)
        stays.keyboard.press("ArrowRight")
        wait_for(stays, "width", "3")
        assert shown(stays) == of_library(State(width=3, depth=3, data="wine"))
        stays.close()
