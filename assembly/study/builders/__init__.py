"""The builders that a study file can name, each with its keys, its picture and what its networks cost."""

from __future__ import annotations

from assembly.study.builders import committees, graphs, layered
from assembly.study.builders.builder import COMMON, WIDTH_SYMBOL, Builder, Size, at_width, grows, is_size

BUILDERS: dict[str, Builder] = {
    builder.name: builder for builder in (*layered.BUILDERS, *graphs.BUILDERS, *committees.BUILDERS)
}

__all__ = ["BUILDERS", "COMMON", "WIDTH_SYMBOL", "Builder", "Size", "at_width", "grows", "is_size"]
