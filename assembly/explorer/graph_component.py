"""The drawing of a scene as a component of a page; needs panel."""

from __future__ import annotations

from pathlib import Path

import param
from panel.custom import AnyWidgetComponent

from assembly.errors import ArgumentError
from assembly.explorer.colours import THEMES
from assembly.explorer.scene import check_place


class GraphComponent(AnyWidgetComponent):
    """A scene drawn on a Panel page; `assembly.explorer.graph_view.page_view` says what its parameters are."""

    _esm = Path(__file__).with_name("graph_view.js")
    scene = param.Dict(default={}, doc="A scene as a dict.")
    selected = param.List(default=[], item_type=int, doc="Layer and position of the neuron that was opened.")
    theme = param.Selector(default="auto", objects=list(THEMES), doc="Colours of the page.")

    @param.depends("selected", watch=True)
    def _check_selected(self) -> None:
        try:
            check_place(self.scene, self.selected)
        except ArgumentError:
            self.selected = []
            raise
