"""What a study knows of a builder: its keys, where the width m enters, its picture, and what a network of it costs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise, takewhile
from typing import TYPE_CHECKING, Any

import assembly
from assembly.study.quantities import LARGEST_GRAM

if TYPE_CHECKING:
    from assembly.model import Assembly

WIDTH_SYMBOL = "m"
Shape = tuple[int, ...]
Options = Mapping[str, Any]

_SIZE = re.compile(rf"(?P<times>[1-9][0-9]*)?{WIDTH_SYMBOL}")
COMMON: dict[str, Any] = {
    "activation": "tanh",
    "readout": "sign",
    "trainable_readout": True,
    "output_activation": "identity",
    "n_outputs": 1,
    "dtype": "float64",
}


def is_size(entry: object) -> bool:
    """Return whether a value stands for a number of neurons: 1 or more, "m", or a multiple such as "2m".

    Examples
    --------
    >>> [is_size(entry) for entry in (8, "m", "2m", 0, "m2", True)]
    [True, True, True, False, False, False]
    """
    if isinstance(entry, str):
        return _SIZE.fullmatch(entry) is not None
    return isinstance(entry, int) and not isinstance(entry, bool) and entry >= 1


def at_width(entry: int | str, width: int) -> int:
    """Return the number of neurons that an entry stands for at one width.

    Examples
    --------
    >>> at_width(8, 64), at_width("m", 64), at_width("2m", 64)
    (8, 64, 128)
    """
    found = _SIZE.fullmatch(entry) if isinstance(entry, str) else None
    return int(entry) if found is None else int(found["times"] or 1) * width


def all_at_width(entries: Sequence[int | str], width: int) -> list[int]:
    """Return `at_width` of every entry."""
    return [at_width(entry, width) for entry in entries]


def grows(entry: Any) -> bool:
    """Return whether a value, or one of a list of them, depends on the width."""
    return any(grows(one) for one in entry) if isinstance(entry, list | tuple) else isinstance(entry, str)


@dataclass(frozen=True)
class Size:
    """What a network holds, as a forecast: exact for layered ones, expected numbers where chance decides.

    Attributes
    ----------
    n_weights : int
        Numbers kept as weights, frozen ones included.
    n_edges : int
        Products in a pass over the network.
    n_listed : int
        Edges that are stored one by one (sparse and tied ones), each with its place.
    n_nodes : int
        Neurons, inputs and outputs included.
    n_gram : int
        Numbers in the Gram matrices of its layers, which cosines between gradients need.
    n_shared : int
        Weights that several edges read; coordinates of their own in the iteration for the Hessian norm.
    """

    n_weights: int
    n_edges: int
    n_listed: int
    n_nodes: int
    n_gram: int
    n_shared: int = 0


def dense_size(sizes: Sequence[int]) -> Size:
    """Return the size of fully connected layers, inputs first and outputs last.

    Examples
    --------
    >>> dense_size([3, 8, 8, 1])
    Size(n_weights=96, n_edges=96, n_listed=0, n_nodes=20, n_gram=512, n_shared=0)
    """
    n_weights = sum(below * above for below, above in pairwise(sizes))
    return Size(n_weights, n_weights, 0, sum(sizes), gram_numbers(sizes[1:-1]))


def gram_numbers(hidden: Sequence[int], *, has_skips: bool = False) -> int:
    """Return how many numbers the cosines of some hidden layers need at once, as far up as they are measured.

    One matrix for each layer, with skips for each pair of layers, and working copies of the largest.
    """
    measured = list(takewhile(lambda size: size <= LARGEST_GRAM, hidden))
    kept = 2 * sum(measured) ** 2 if has_skips else sum(size**2 for size in measured)
    return kept + 6 * max(measured, default=0) ** 2


def _no_problems(options: Options) -> Iterable[tuple[str, str]]:
    return ()


@dataclass(frozen=True)
class Builder:
    """A function of the package that builds one family of networks, as a study file names it.

    Attributes
    ----------
    name : str
        Of the public function, ``assembly.<name>``.
    text : str
        What it builds, in one line.
    width_rule : str
        How the width m enters.
    picture : str
        A few lines of plain text.
    defaults : mapping of str to object
        The keys it takes in a study file, with their defaults.
    arguments : callable
        ``arguments(shape, width, options)`` returns the arguments of the function but for the seed; `shape` is that of
        one input.
    size : callable
        ``size(shape, width, options)`` returns the `Size` of the network.
    growing : tuple of str
        Keys that may hold "m"; one of them must. None where m enters by itself.
    n_hidden : callable, optional
        Number of hidden layers, for builders whose columns are known before a network is built.
    problems : callable
        ``problems(options)`` yields a key and what is wrong with it, for keys that do not fit together.
    derived : mapping of str to callable
        Numbers that follow from the width and the options and that a reader should see.
    """

    name: str
    text: str
    width_rule: str
    picture: str
    defaults: Mapping[str, Any]
    arguments: Callable[[Shape, int, Options], dict[str, Any]]
    size: Callable[[Shape, int, Options], Size]
    growing: tuple[str, ...] = ()
    n_hidden: Callable[[Options], int] | None = None
    problems: Callable[[Options], Iterable[tuple[str, str]]] = _no_problems
    derived: Mapping[str, Callable[[int, Options], int]] = field(default_factory=dict)

    def build(self, shape: Shape, width: int, seed: int, options: Options) -> Assembly:
        """Return the network of one width and seed."""
        net: Assembly = getattr(assembly, self.name)(**self.arguments(shape, width, options), seed=seed)
        return net

    def stays(self, options: Options) -> Iterable[tuple[str, str]]:
        """Yield a key and what is wrong with it if nothing in the options grows with the width."""
        if self.growing and not any(grows(options[key]) for key in self.growing):
            value, must = options[self.growing[0]], f'be "{WIDTH_SYMBOL}"'
            if isinstance(value, list):
                must = f'hold "{WIDTH_SYMBOL}" at least once'
            yield self.growing[0], f"must {must}, or nothing grows with the width. Got {value}."


def common(options: Options) -> dict[str, Any]:
    """Return those of the options that all networks of neurons take."""
    return {key: options[key] for key in COMMON}
