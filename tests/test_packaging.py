"""What is declared in setup.cfg is what the package imports: nothing missing for a new user, nothing in vain."""

from __future__ import annotations

import ast
import configparser
import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
IMPORTED_AS = {"scikit-learn": "sklearn", "tomli-w": "tomli_w", "panel-material-ui": "panel_material_ui"}
COMES_WITH = {
    "markupsafe": "jinja2",
    "pydantic_core": "pydantic",
    "param": "panel",
    "traitlets": "anywidget",
    "tornado": "bokeh",
}  # and is pinned by it
# the extras `parquet`, `torch` and `explorer`
OPTIONAL = {"pandas", "pyarrow", "torch", "panel", "panel_material_ui", "bokeh", "anywidget"}
USED_BY_PANDAS = {"pyarrow"}


def declared(text: str) -> set[str]:
    names = re.findall(r"^([A-Za-z][A-Za-z0-9_-]*)", text, re.MULTILINE)
    return {IMPORTED_AS.get(name, name) for name in names}


def imported() -> set[str]:
    names = set()
    for path in (ROOT / "assembly").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                names.add(node.module.split(".")[0])
    outside = names - set(sys.stdlib_module_names) - {"assembly"}
    return {COMES_WITH.get(name, name) for name in outside}


def setup() -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(ROOT / "setup.cfg")
    return parser


def test_every_import_is_declared_and_every_declaration_imported():
    required = declared(setup()["options"]["install_requires"])
    assert "numpy" in required
    assert imported() - OPTIONAL == required


def test_extras_hold_what_is_optional():
    extras = setup()["options.extras_require"]
    assert set().union(*(declared(extras[name]) for name in ("parquet", "torch", "explorer"))) == OPTIONAL
    assert imported() & OPTIONAL == OPTIONAL - USED_BY_PANDAS


def test_the_test_extra_holds_what_tests_import():
    extras = setup()["options.extras_require"]
    available = declared(extras["test"]) | OPTIONAL | declared(setup()["options"]["install_requires"])
    own = {path.stem for folder in ("tests", "benchmarks") for path in (ROOT / folder).iterdir()}
    for path in (ROOT / "tests").glob("*.py"):
        tree = ast.parse(path.read_text("utf-8"))
        names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        names |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        outside = {name.split(".")[0] for name in names} - set(sys.stdlib_module_names) - own - {"assembly"}
        assert outside <= available, path.name
