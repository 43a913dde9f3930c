"""Without PyTorch, the examples that need it are left out; `tests/test_torch.py` skips itself."""

from importlib.util import find_spec

import pytest

HAS_TORCH = find_spec("torch") is not None
collect_ignore_glob = [] if HAS_TORCH else ["assembly/torch_*"]


def pytest_collection_modifyitems(items):
    """Skip the example of `to_torch`."""
    for item in items:
        if item.name == "assembly.model.Assembly.to_torch" and not HAS_TORCH:
            item.add_marker(pytest.mark.skip(reason="PyTorch is not installed"))


@pytest.fixture
def without_pictures(monkeypatch):
    """Leave the pictures out of reports, where only their words and numbers are looked at."""
    monkeypatch.setattr("assembly.study.report.draw_pictures", lambda result, findings: [])
