"""The drawing of a scene as a notebook widget; needs anywidget."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anywidget
import traitlets

from assembly.explorer.colours import THEMES
from assembly.explorer.scene import COLOURS, check_place


class GraphWidget(anywidget.AnyWidget):
    """A scene drawn in a notebook; `assembly.explorer.graph_view.notebook_view` says what its traits are."""

    _esm = Path(__file__).with_name("graph_view.js")
    scene = traitlets.Dict().tag(sync=True)
    selected = traitlets.List(traitlets.Int()).tag(sync=True)
    theme = traitlets.Enum(THEMES, default_value="auto").tag(sync=True)

    @traitlets.validate("selected")
    def _of_the_scene(self, proposal: Any) -> list[int]:
        place = list(proposal["value"])
        check_place(self.scene, place)
        return place


class AssemblyWidget(GraphWidget):
    """An assembly in a notebook; `assembly.explore` makes one and says what its traits are."""

    colour = traitlets.Enum(COLOURS, default_value=COLOURS[0]).tag(sync=True)
    colours = traitlets.List().tag(sync=True)
    words = traitlets.List().tag(sync=True)
    row = traitlets.Int(0)
    n_rows = traitlets.Int(1)

    @traitlets.validate("row")
    def _in_range(self, proposal: Any) -> int:
        row = int(proposal["value"])
        if not 0 <= row < self.n_rows:
            raise traitlets.TraitError(f"The 'row' trait must be an int from 0 to {self.n_rows - 1}. Got {row}.")
        return row
