"""A page with nothing on it but the drawing of a scene, and a model of ten lines behind it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

SOURCE = Path(__file__).parents[1] / "assembly" / "explorer" / "graph_view.js"
MODEL = """
const state = STATE, listeners = {};
window.model = {
  saves: 0,
  get: (name) => state[name],
  set: (name, value) => { state[name] = value; (listeners["change:" + name] || []).forEach((call) => call()); },
  save_changes: () => { window.model.saves += 1; },
  on: (event, call) => { (listeners[event] = listeners[event] || []).push(call); },
  off: (event, call) => { listeners[event] = (listeners[event] || []).filter((known) => known !== call); },
};
window.cleanup = view.render({ model: window.model, el: document.getElementById("here") });
"""


def page_of(scene: dict[str, Any], theme: str = "light", selected: tuple[int, ...] = (), **more: Any) -> str:
    """Return the text of the page; more traits belong to the widget of a notebook."""
    state = json.dumps({"scene": scene, "theme": theme, "selected": list(selected), **more})
    code = SOURCE.read_text("utf-8").replace("export default", "const view =")
    paper = "#0d1117" if theme == "dark" else "#ffffff"
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Scene</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1"></head>'
        f'<body style="margin:8px;background:{paper}"><main id="here"></main>'
        f'<script type="module">{code}{MODEL.replace("STATE", state)}</script></body></html>'
    )
