import numpy as np
import pytest

import assembly as am
from assembly import memory
from assembly.errors import ResourceError


def test_what_does_not_fit_is_refused_with_both_numbers_and_a_cure(monkeypatch):
    monkeypatch.setattr(memory, "available_memory", lambda: 2**30)
    memory.check_fits("A network", 2**30, "use smaller widths")
    with pytest.raises(ResourceError, match=r"^A network needs about 3 GiB, 1 GiB are free: use smaller widths\.$"):
        memory.check_fits("A network", 3 * 2**30, "use smaller widths")


def test_small_things_and_unknown_machines_are_let_through(monkeypatch):
    monkeypatch.setattr(memory, "available_memory", lambda: 0)
    memory.check_fits("A network", memory.NEVER_CHECKED - 1, "")
    with pytest.raises(ResourceError):
        memory.check_fits("A network", memory.NEVER_CHECKED, "")
    monkeypatch.setattr(memory, "available_memory", lambda: None)
    memory.check_fits("A network", 2**60, "")


def test_this_machine_has_memory():
    assert memory.available_memory() is None or 2**20 < memory.available_memory() < 2**50


@pytest.mark.parametrize("options", [{}, {"trainable_readout": False}], ids=str)
def test_a_network_too_large_is_refused_before_anything_is_allocated(monkeypatch, options):
    monkeypatch.setattr(memory, "available_memory", lambda: 2**27)
    monkeypatch.setattr(np, "full", lambda *args: pytest.fail("factors were allocated first"))
    with pytest.raises(
        ResourceError, match=r"100,000,010,100,000,010 weights needs about .* use smaller widths or dtype"
    ):
        am.mlp(1, [10**8, 10**9, 10], **options)
