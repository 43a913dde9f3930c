"""A picture in a page: a figure element with its text alternative, and identifiers of its own."""

import re

from assembly.plots.graph import draw_assembly
from assembly.plots.page import show


def test_a_picture_carries_its_text_and_the_colours_of_the_page():
    html = show(draw_assembly([3, 4, 1]), "small", "A network", "Three inputs & four neurons.")._repr_html_()
    assert html.startswith('<figure class="assembly-picture"><svg ')
    assert html.endswith("</svg></figure>")
    assert 'aria-label="A network"' in html
    assert "<desc>Three inputs &amp; four neurons.</desc>" in html
    assert "var(--ink, " in html


def test_two_pictures_of_a_page_share_no_identifier():
    figure = draw_assembly([3, 4, 1])
    first, second = (set(re.findall(r'\bid="([^"]+)"', show(figure, name, "", "").html)) for name in ("one", "two"))
    assert first
    assert not first & second
    assert all(identifier.startswith("one-") for identifier in first)
