"""A picture in a page: what a notebook shows, with a text alternative and the colours of the page."""

from __future__ import annotations

from dataclasses import dataclass

from matplotlib.figure import Figure

from assembly.plots import style


@dataclass(frozen=True)
class Picture:
    """A picture that a notebook puts into its page.

    Attributes
    ----------
    html : str
        A ``<figure>`` element with an ``<svg>`` inside.
    title : str
    """

    html: str
    title: str

    def _repr_html_(self) -> str:
        return self.html

    def __repr__(self) -> str:
        return f"Picture({self.title!r})"


def show(figure: Figure, name: str, title: str, description: str) -> Picture:
    """Return a figure as the last value of a notebook's cell, which puts it into the page.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        From a ``draw_`` function of `assembly.plots`.
    name : str
        Unlike that of any other picture in the page: its identifiers begin with it.
    title : str
        Short text alternative.
    description : str
        What the picture shows, for someone who cannot see it.

    Returns
    -------
    Picture

    Examples
    --------
    >>> from assembly.plots import graph
    >>> show(graph.draw_assembly([3, 4, 1]), "small", "A network", graph.describe_assembly([3, 4, 1]))
    Picture('A network')
    """
    svg = style.inline(style.to_svg(figure, title=title, description=description), name)
    return Picture(f'<figure class="assembly-picture">{svg}</figure>', title)
