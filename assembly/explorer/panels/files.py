"""A network of the visitor's own: chosen as files, read by the worker, kept while the page lives."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from functools import partial
from html import escape
from pathlib import Path
from typing import Any

import panel_material_ui as pmui
import param
from panel.custom import AnyWidgetComponent

from assembly.errors import DataError, ResourceError
from assembly.explorer import uploads
from assembly.explorer.components import Words, failure
from assembly.explorer.jobs import Failure, Frames, Jobs, Stop
from assembly.explorer.state import State
from assembly.explorer.uploads import LARGEST_FILES, Upload

_READ = "network of a file"
_LABEL = (
    f"A network of your own: a JSON file as am.save writes it or written by hand, with its NPZ file if it has one; "
    f"{LARGEST_FILES // 2**20} MiB at most"
)


class FilePicker(AnyWidgetComponent):  # type: ignore[misc]
    """A button that lets a visitor choose files; they arrive in `chosen`."""

    label = param.String()
    accept = param.String(".json,.npz")
    most = param.Integer(LARGEST_FILES)
    chosen = param.Dict(default={})

    _esm = Path(__file__).parents[1] / "file_picker.js"


class Files:
    """The files of a page.

    Parameters
    ----------
    post : callable
        Runs a function on the thread of the page, called from the worker.
    change : callable
        Called with the fields that a visitor changed.
    """

    def __init__(self, post: Callable[[Callable[[], None]], object], change: Callable[..., None]) -> None:
        self._change = change
        self._own: dict[str, Upload] = {}
        self._jobs = Jobs(post, self._show)
        self.picker = FilePicker(label=_LABEL, sizing_mode="stretch_width", margin=(0, 10))
        self.picker.param.watch(lambda event: self._chosen(event.new), "chosen")
        self.words = Words(is_live=True)
        self.remove = pmui.Button(label="Compose a network instead", variant="outlined", visible=False)
        self.remove.on_click(lambda _: change(file=None))
        self.view = pmui.Column(self.picker, self.words, self.remove, sizing_mode="stretch_width")

    def sync(self, state: State) -> None:
        """Say where the network comes from."""
        upload = state.upload
        self.remove.visible = upload is not None
        self.words.html = "" if upload is None else _told(upload)

    def owns(self, key: str) -> bool:
        """Whether a network was given to this page."""
        return key in self._own

    def close(self) -> None:
        """Forget the files."""
        self._jobs.close()
        self._own.clear()

    def _chosen(self, chosen: Mapping[str, Any]) -> None:
        self.words.html = '<p class="waiting">reading the file ...</p>'
        self._jobs.submit({_READ: partial(_read, chosen)})

    def _show(self, frames: Frames) -> None:
        found = frames[_READ]
        if isinstance(found, Failure):
            self.words.html = failure(found.sentence)
        elif found is not None:
            self._own[found.key] = found
            self._change(file=found.key)


def _read(chosen: Mapping[str, Any], stop: Stop) -> Upload:
    """Return the network of the files that a browser sent; nothing of what it sent is taken on trust."""
    names, contents = chosen.get("names"), chosen.get("read")
    n_bytes = chosen.get("n_bytes")
    if isinstance(n_bytes, int) and n_bytes > LARGEST_FILES:
        raise ResourceError(uploads.too_large(n_bytes))
    if not isinstance(names, list) or not isinstance(contents, list) or len(names) != len(contents):
        raise DataError("The files did not arrive: choose them again.")
    try:
        files = {str(name): base64.b64decode(one, validate=True) for name, one in zip(names, contents, strict=True)}
    except (TypeError, ValueError, binascii.Error):
        raise DataError("The files cannot be read by the browser: choose them again.") from None
    return uploads.read(files)


def _told(upload: Upload) -> str:
    net = upload.first
    held = f"{net.n_inputs:,} inputs, {len(net.layers) - 2:,} hidden layers, {net.n_parameters:,} parameters"
    return (
        f'<p data-file="{escape(upload.key)}">The network comes from the file <b>{escape(upload.name)}</b>: {held}. '
        f"Its width is {net.width:,} and does not change: a file holds one width.</p><p>The address of this page names "
        "the file and cannot hold it. Opened elsewhere, or once this page is closed, it asks for the file again.</p>"
    )
