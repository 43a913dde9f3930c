"""The drawing of a scene for a notebook and for a page; the extra `explorer` is imported when one is made."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from assembly.errors import ArgumentError

if TYPE_CHECKING:
    from assembly.explorer.graph_component import GraphComponent
    from assembly.explorer.graph_widget import GraphWidget
    from assembly.explorer.scene import Scene


def notebook_view(scene: Scene) -> GraphWidget:
    """Return a scene as a widget for a notebook.

    Its traits are `scene`, the dict of a `Scene`; `selected`, layer and position of the neuron that was opened, empty
    before; and `theme`, one of "auto", "light" and "dark". Each may be set and observed; a `selected` that is no neuron
    of the scene is refused with an `ArgumentError`.

    Raises
    ------
    ArgumentError
        If the extra `explorer` is not installed.

    Examples
    --------
    >>> import assembly as am
    >>> from assembly.explorer.scene import scene
    >>> view = notebook_view(scene(am.mlp(n_inputs=2, widths=[3], seed=0), [1.0, -0.5]))
    >>> view.selected, len(view.scene["layers"])
    ([], 3)
    """
    _check_installed("anywidget")
    from assembly.explorer.graph_widget import GraphWidget

    return GraphWidget(scene=scene.as_dict())


def page_view(scene: Scene) -> GraphComponent:
    """Return a scene as a component of a Panel page, with the parameters `scene`, `selected` and `theme`.

    They are those of `notebook_view`.

    Raises
    ------
    ArgumentError
        If the extra `explorer` is not installed.

    Examples
    --------
    >>> import assembly as am
    >>> from assembly.explorer.scene import scene
    >>> view = page_view(scene(am.mlp(n_inputs=2, widths=[3], seed=0), [1.0, -0.5]))
    >>> view.theme, len(view.scene["layers"])
    ('auto', 3)
    """
    _check_installed("panel")
    from assembly.explorer.graph_component import GraphComponent

    return GraphComponent(scene=scene.as_dict())


def _check_installed(package: str) -> None:
    if find_spec(package) is None:
        raise ArgumentError(
            f"The explorer needs {package}, which is not installed: pip install 'assembly-perspective[explorer]'."
        )
