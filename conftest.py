"""Without PyTorch or the extra `explorer`, the examples that need them are left out; the tests skip themselves."""

from importlib.util import find_spec

import pytest

HAS_TORCH = find_spec("torch") is not None
HAS_EXPLORER = all(find_spec(name) is not None for name in ("panel", "anywidget"))
collect_ignore_glob = [] if HAS_TORCH else ["assembly/torch_*"]
collect_ignore_glob += [] if HAS_EXPLORER else ["assembly/explorer/graph_*"]


def pytest_collection_modifyitems(items):
    """Skip the example of `to_torch`."""
    for item in items:
        if item.name == "assembly.model.Assembly.to_torch" and not HAS_TORCH:
            item.add_marker(pytest.mark.skip(reason="PyTorch is not installed"))


@pytest.fixture
def without_pictures(monkeypatch):
    """Leave the pictures out of reports, where only their words and numbers are looked at."""
    monkeypatch.setattr("assembly.study.report.draw_pictures", lambda result, findings: [])
