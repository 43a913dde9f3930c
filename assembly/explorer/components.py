"""The two things that the page has of its own: text as HTML, and the address and preference of the browser.

Every component of the page that has JavaScript of its own is an `AnyWidgetComponent`: Panel keeps one way of calling
such code for a page, so kinds of components do not mix.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

import param
from panel.custom import AnyWidgetComponent

_PAGE = Path(__file__).with_name("page.js")
STYLE = """
:host { color: var(--mui-palette-text-primary, #1b1b1b); font-family: var(--mui-font-family, system-ui, sans-serif);
  font-size: 15px; line-height: 1.45; }
h1.hidden { position: absolute; width: 1px; height: 1px; margin: 0; overflow: hidden; clip-path: inset(50%); }
p { margin: 0.35em 0; } h2 { font-size: 1.15em; margin: 0.6em 0 0.2em; }
.verdict { font-size: 1.1em; font-weight: 600; margin: 0.2em 0; }
.first .verdict { min-height: 2.9em; }
.numbers { display: grid; grid-template-columns: repeat(12, minmax(0, 1fr)); gap: 6px; margin: 0.6em 0; }
.numbers div { grid-column: span 4; overflow-wrap: anywhere; }
.numbers div:nth-child(-n + 4) { grid-column: span 3; }
@media (max-width: 600px) {
  .first .verdict { font-size: 1em; min-height: 8.7em; }
  .numbers div:nth-child(-n + 4) { grid-column: span 6; }
}
.numbers div { border: 1px solid var(--mui-palette-divider, #ccc); border-radius: 6px; padding: 4px 8px; }
.numbers dt { font-size: 0.85em; } .numbers dd { margin: 0; font-size: 1.2em; font-variant-numeric: tabular-nums; }
.numbers small { display: block; font-size: 0.68em; line-height: 1.3; }
dl { margin: 0; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 0.9em; }
th, td { text-align: right; padding: 2px 8px; border-bottom: 1px solid var(--mui-palette-divider, #ccc); }
th:first-child, td:first-child { text-align: left; }
.scrolls { overflow-x: auto; max-height: 320px; }
pre { overflow-x: auto; font-size: 0.85em; padding: 8px; border: 1px solid var(--mui-palette-divider, #ccc); }
summary { cursor: pointer; padding: 4px 0; }
button { font: inherit; color: inherit; background: none; border: 1px solid currentColor; border-radius: 6px;
  padding: 6px 14px; cursor: pointer; min-height: 36px; }
:focus-visible { outline: 3px solid var(--mui-palette-primary-main, #0072b5); outline-offset: 2px; }
.fault { border-left: 4px solid #d55e00; padding: 4px 12px; margin: 0.4em 0; }
.waiting { opacity: 0.6; }
[aria-busy="true"] { position: relative; }
[aria-busy="true"] > .waiting { animation: bright 0.15s step-end; } /* an answer that comes at once does not flicker */
.before { position: absolute; bottom: -0.7em; right: 0; z-index: 1; margin: 0; padding: 0 8px; font-size: 0.8em;
  border: 1px solid currentColor; border-radius: 6px; background: var(--mui-palette-background-paper, #fff);
  animation: hidden 0.15s step-end; }
@keyframes bright { from { opacity: 1; } }
@keyframes hidden { from { visibility: hidden; } }
progress { width: 100%; height: 6px; accent-color: var(--mui-palette-primary-main, #0072b5); }
"""


class Words(AnyWidgetComponent):  # type: ignore[misc]
    """Text as HTML; its open tables and the focus inside stay when it changes.

    Whoever sets `html` escapes what was typed. What has to `wait` for something new, `say` shows it.
    """

    html = param.String()
    is_old = param.Boolean(doc="Whether it is of the state before: the browser dims it, and says so.")
    kind = param.String("words")
    is_live = param.Boolean(doc="Whether a change is read aloud.")

    _esm = _PAGE

    def __init__(self, **params: Any) -> None:
        super().__init__(**{"sizing_mode": "stretch_width", "stylesheets": [STYLE], "margin": (0, 10), **params})

    def wait(self) -> None:
        """Show what is said as that of the state before, until there is something new."""
        self.is_old = True

    def say(self, html: str) -> None:
        """Show something new, also where it reads as before."""
        self.param.update(html=html, is_old=False)


class Theme(AnyWidgetComponent):  # type: ignore[misc]
    """Whether the browser prefers the dark; nothing to see.

    It is linked to the page, and so nothing else: whenever the server changes a component, Panel walks through all that
    it is linked to.
    """

    is_dark = param.Boolean()
    kind = param.String("theme")

    _esm = _PAGE


class Browser(AnyWidgetComponent):  # type: ignore[misc]
    """The address in the browser, and how far it has come; nothing to see while the server answers.

    The browser asks every few seconds; a page that is given no answer says so.
    """

    query = param.String()
    shown = param.Integer(doc="How often answers were sent to the browser,")
    seen = param.Integer(doc="and how many of them it has shown.")
    asked = param.Integer(doc="How often the browser asked,")
    answered = param.Integer(doc="and which of its questions was answered last.")
    kind = param.String("browser")

    _debounce = 1  # milliseconds; 50 of every component of Panel
    _esm = _PAGE

    @param.depends("asked", watch=True)  # type: ignore[untyped-decorator]
    def _answer(self) -> None:
        self.answered = self.asked


def table(summary: str, heading: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return the table behind a picture, closed until it is asked for.

    Examples
    --------
    >>> "<td>1 &lt; 2</td>" in table("Numbers", ["a"], [["1 < 2"]])
    True
    """
    head = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in heading)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return (
        f'<details><summary>{escape(summary)}</summary><div class="scrolls" tabindex="0" role="region" '
        f'aria-label="{escape(summary)}"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
        f'<button type="button" data-saves="{escape(_file_name(summary))}">Save as CSV</button></details>'
    )


def _file_name(title: str) -> str:
    """Return the name of the CSV file of a table."""
    return f"{re.sub('[^a-z0-9]+', '-', title.lower()).strip('-')[:60]}.csv"


def failure(sentence: str) -> str:
    """Return a sentence on something that went wrong, line by line."""
    return "".join(f'<p class="fault">{escape(line)}</p>' for line in sentence.splitlines())


def at_work(sentence: str) -> str:
    """Return a sentence on work that has begun, with a sign of progress.

    Examples
    --------
    >>> at_work("This takes 5 s.")
    '<p class="work">This takes 5 s. <progress aria-label="at work"></progress></p>'
    """
    return f'<p class="work">{escape(sentence)} <progress aria-label="at work"></progress></p>'
