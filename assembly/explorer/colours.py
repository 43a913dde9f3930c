"""Numbers as colours that are told apart by all colour vision, on a light page and on a dark one.

Much stands out from the page, and little is near to it. Amounts, which are not negative, take on a dark page cividis
(J. R. Nunez, C. R. Anderton, R. S. Renslow, 2018, Optimizing colormaps with consideration for color vision deficiency,
PLOS ONE 13) and on a light one YlGnBu (C. A. Brewer, 2003, A transition in improving maps: the ColorBrewer example,
Cartography and Geographic Information Science 30). Signed numbers go from blue over the page to orange.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LIGHT, DARK = "light", "dark"
THEMES = ("auto", LIGHT, DARK)  # "auto" is what the browser prefers
_AMOUNTS = {
    LIGHT: ["#ffffd9", "#edf8b1", "#c7e9b4", "#7fcdbb", "#41b6c4", "#1d91c0", "#225ea8", "#253494", "#081d58"],
    DARK: [
        "#00224e",
        "#123570",
        "#3b496c",
        "#575d6d",
        "#707173",
        "#8a8678",
        "#a59c74",
        "#c3b369",
        "#e1cc55",
        "#fee838",
    ],
}
_SIGNED = {
    LIGHT: ["#08306b", "#4a90c9", "#f3f3f1", "#e08a3c", "#7f2704"],
    DARK: ["#9ecbff", "#3f7fbf", "#2c3138", "#c26f22", "#ffc58a"],
}
NOTHING = {LIGHT: "#eceff2", DARK: "#22272e"}


def hex_colours(values: NDArray[np.float64], limit: float, *, signed: bool, theme: str) -> list[str]:
    """Return a colour for every number, linear from 0 to `limit`, or from ``-limit`` if `signed`.

    Parameters
    ----------
    values : ndarray of shape (n,)
        Those beyond the limit take the colour at it, NaN that of nothing.
    limit : float
        At least 0; at 0 every number is in the middle, or at the lower end.
    signed : bool
    theme : str
        "light" or "dark".

    Returns
    -------
    list of str
        As "#rrggbb".

    Examples
    --------
    >>> hex_colours(np.array([0.0, 2.0, np.nan]), 1.0, signed=False, theme="dark")
    ['#00224e', '#fee838', '#22272e']
    """
    ramp = (_SIGNED if signed else _AMOUNTS)[theme]
    stops = np.array([[int(colour[i : i + 2], 16) for i in (1, 3, 5)] for colour in ramp], dtype=np.float64)
    with np.errstate(invalid="ignore"):
        share = np.clip(values / limit if limit > 0.0 else np.zeros_like(values), -1.0, 1.0)
        place = np.clip((share + 1.0) / 2.0 if signed else share, 0.0, 1.0)
    known = np.nan_to_num(place)
    knots = np.linspace(0.0, 1.0, len(ramp))
    mixed = np.stack([np.interp(known, knots, channel) for channel in stops.T], axis=1).round().astype(int)
    has_none = np.isnan(values)
    return [
        NOTHING[theme] if none else f"#{red:02x}{green:02x}{blue:02x}"
        for none, (red, green, blue) in zip(has_none, mixed.tolist(), strict=True)
    ]
