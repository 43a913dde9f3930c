"""Everything that a visitor chooses, as plain values: checked, kept in an address, turned into a network and inputs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode

import numpy as np
from numpy.typing import NDArray

from assembly import activations, data
from assembly.checks import check_count, check_name, check_number, suggest
from assembly.errors import ArgumentError, ResourceError, UnknownNameError
from assembly.explorer import uploads
from assembly.seeds import generator
from assembly.study import quantities, reading
from assembly.study.builders import BUILDERS, Builder, Size

if TYPE_CHECKING:
    from assembly.model import Assembly

POINTS, DRAWN = "points", "drawn"
N_DRAWN = 16  # inputs
LARGEST_NETWORK = 10**8  # edges
MOST_POINTS = 64
FARTHEST_POINT = 10.0
LONGEST_QUERY = 8192  # characters
_LISTS = ("hidden", "channels", "part")  # keys of builders that hold an entry for every layer,
_NUMBERS = ("n_blocks", "n_layers", "n_factors")  # and that hold their number
_NEEDS_A_MIDDLE = "bottleneck"
NARROWEST, WIDEST = 4, 4096  # of a study,
FEWEST_SEEDS, MOST_SEEDS = 3, 30
MOST_MEASURED = 16  # inputs
OF_STUDY = ("quantity", "narrowest", "widest", "seeds", "n_measured")  # what the panel Scaling measures, no network
LOOKED_AT = (
    "panel",
    "colour",
    "direction",
    "n_widths",
    "factor",
    "tour_step",
    *OF_STUDY,
)  # the numbers need none of it
QUANTITIES = {
    one.column: f"{one.text.replace(', layer {l}', ', every layer')}{' (takes long)' if one.is_on_request else ''}"
    for one in quantities.QUANTITIES
    if not one.is_status
}
_FORMULAS = {name: f"{name}: {formula}" for name, formula in activations.FORMULAS.items()}


@dataclass(frozen=True)
class Choice:
    """What one field of a `State` may be: all that a widget needs to know of it.

    Attributes
    ----------
    label : str
        The words beside the widget.
    help : str
        One line that says what it does.
    kind : str
        "name" (one of `names`), "count" (a whole number), "number", "points", or "file".
    names : mapping of str to str
        Value -> what the reader sees; empty for other kinds.
    minimum, maximum : float or None
        Of a count or a number, both allowed; None for other kinds.
    is_logarithmic : bool
        Whether a dial goes by factors.
    is_optional : bool
        Whether None is allowed, for no such thing.
    """

    label: str
    help: str
    kind: str
    names: Mapping[str, str] = field(default_factory=dict)
    minimum: float | None = None
    maximum: float | None = None
    is_logarithmic: bool = False
    is_optional: bool = False


CHOICES: dict[str, Choice] = {
    "builder": Choice(
        "Architecture", "how the neurons are put together", "name", {one.name: one.text for one in BUILDERS.values()}
    ),
    "width": Choice("Width", "m, the number of sub-models", "count", minimum=2, maximum=4096, is_logarithmic=True),
    "depth": Choice("Depth", "hidden layers, blocks or factors; of committees the layers of a part", "count",
                    minimum=1, maximum=8),
    "middle": Choice("Middle layer", "neurons of a narrow layer put in the middle", "count",
                     minimum=1, maximum=64, is_optional=True),
    "activation": Choice("Activation", "of every hidden neuron", "name", _FORMULAS),
    "output_activation": Choice("Output activation", "of the output, the identity for a plain sum", "name", _FORMULAS),
    "gamma": Choice("Scale exponent", "the output is divided by m^gamma: 1/2 as usual, 1 for mean field", "number",
                    minimum=0.0, maximum=2.0),
    "readout": Choice("Readout", "how the weights of the output are drawn", "name",
                      {"gaussian": "Gaussian numbers", "sign": "signs, +1 or -1"}),
    "file": Choice("File", "a network of your own, instead of one that is composed", "file", is_optional=True),
    "data": Choice("Data", "where the inputs come from", "name",
                   {**data.BUILT_IN, POINTS: "points of the plane, painted by hand",
                    DRAWN: "16 inputs of N(0, 1), for a network from a file"}),
    "points": Choice("Points", "inputs painted by hand with their classes, neither centred nor scaled", "points",
                     minimum=-FARTHEST_POINT, maximum=FARTHEST_POINT),
    "row": Choice("Row", "which input, counted from 0", "count", minimum=0, maximum=2**31 - 1),
    "seed": Choice("Seed", "of all random numbers", "count", minimum=0, maximum=2**31 - 1),
    "radius": Choice("Radius", "of the ball of parameters around the present ones", "number",
                     minimum=0.01, maximum=100.0, is_logarithmic=True),
    "n_widths": Choice("Widths side by side", "in training: each a quarter of the one before", "count",
                       minimum=1, maximum=3),
    "factor": Choice("Step size", "in training: times the usual one, half of what is stable when linearised", "number",
                     minimum=0.1, maximum=8.0),
    "quantity": Choice("Quantity", "in a study over widths: what is measured", "name", QUANTITIES),
    "narrowest": Choice("Narrowest width", "of a study", "count", minimum=NARROWEST, maximum=WIDEST),
    "widest": Choice("Widest width", "of a study", "count", minimum=NARROWEST, maximum=WIDEST),
    "seeds": Choice("Seeds", "of a study: networks at each width", "count", minimum=FEWEST_SEEDS, maximum=MOST_SEEDS),
    "n_measured": Choice("Inputs", "of a study: at which each network is measured", "count", minimum=1,
                         maximum=MOST_MEASURED),
    "tour_step": Choice("Step of the tour", "from one neuron to any graph", "count", minimum=1, maximum=7),
    "colour": Choice("Colour", "the quantity that colours the neurons", "name", {
        "share": "share of the layer's gradient",
        "value": "value, the activation",
        "adjoint": "adjoint, the derivative of the output in the activation",
        "curvature": "share of the top eigenvector of the Hessian",
        "tangent": "tangent, the derivative along the direction",
    }),
    "direction": Choice("Direction", "along which the parameters move", "name", {
        "random": "random", "gradient": "along the gradient",
        "worst": "where the output bends most, the top eigenvector of the Hessian",
    }),
    "panel": Choice("Panel", "what is looked at", "name", {
        "compose": "Compose", "assembly": "Assembly", "linear": "Is it linear?",
        "scaling": "Scaling", "training": "Training", "tour": "Tour",
    }),
}  # fmt: skip


def takes(builder: str) -> tuple[str, ...]:
    """Return those of depth, middle, activation, output_activation, gamma, readout that a builder has a use for.

    Examples
    --------
    >>> takes("resnet")
    ('depth', 'activation', 'output_activation', 'readout')
    """
    known = BUILDERS[check_name("builder", builder, BUILDERS)].defaults
    found = {"depth": True, "middle": "hidden" in known or "channels" in known}
    found |= {key: key in known for key in _OWN}
    return tuple(key for key, is_taken in found.items() if is_taken)


_OWN = {"activation": "tanh", "output_activation": "identity", "gamma": 0.5, "readout": "sign"}


@dataclass(frozen=True)
class State:
    """Everything a visitor chooses; `CHOICES` says what each field may be.

    Attributes
    ----------
    builder : str
        A name of `assembly.study.builders.BUILDERS`.
    width, depth : int
        m; and the layers of width m, blocks, factors, or layers of a part.
    middle : int or None
        Neurons of one more layer, put in the middle; 1 for a bottleneck that is given none.
    activation, output_activation, readout : str or None
        The usual ones, "tanh", "identity", "sign", where None is given. None where the builder does not take them.
    gamma : float or None
        Likewise; 1/2.
    file : str or None
        Key of a network that was uploaded, see `assembly.explorer.uploads`; the fields above are then of no use.
    data : str
        A name of `assembly.data.BUILT_IN`, "points", or, for the network of a file only, "drawn".
    points : tuple of (float, float, int)
        Painted inputs, used as they are, and their classes, 1 or -1. Pairs are given the class 1.
    row, seed : int
    radius : float
    n_widths : int
        Networks trained side by side, each a quarter as wide as the one before.
    factor : float
        Their step size, times the usual one.
    quantity : str
    narrowest, widest, seeds, n_measured : int
        Of a study over widths, see `assembly.explorer.scaling.Choices`.
    tour_step : int
    colour, direction, panel : str

    Raises
    ------
    ArgumentError, UnknownNameError, ConfigurationError
        If a field is not what it may be; the message names it.

    Examples
    --------
    >>> state = State(width=16, depth=2, data="wine")
    >>> state.build().width, state.inputs.shape
    (16, (178, 13))
    >>> state.replace(middle=1).options["hidden"]
    ['m', 1, 'm']
    """

    builder: str = "mlp"
    width: int = 64
    depth: int = 2
    middle: int | None = None
    activation: str | None = None
    output_activation: str | None = None
    gamma: float | None = None
    readout: str | None = None
    file: str | None = None
    data: str = "digits"
    points: tuple[tuple[float, float, int], ...] = ((1.0, 0.5, 1), (-0.5, 1.0, -1))
    row: int = 0
    seed: int = 0
    radius: float = 1.0
    n_widths: int = 2
    factor: float = 1.0
    quantity: str = "hessian_norm"
    narrowest: int = 16
    widest: int = 256
    seeds: int = 5
    n_measured: int = 2
    tour_step: int = 1
    colour: str = "share"
    direction: str = "gradient"
    panel: str = "compose"

    def __post_init__(self) -> None:
        check_name("builder", self.builder, BUILDERS)
        taken = takes(self.builder)
        for name, usual in _OWN.items():
            if name in taken and getattr(self, name) is None:
                object.__setattr__(self, name, usual)
        if self.builder == _NEEDS_A_MIDDLE and self.middle is None:
            object.__setattr__(self, "middle", 1)
        for name in CHOICES:
            value = getattr(self, name)
            if name in ("middle", "file", *_OWN) and value is None:
                continue
            if name in ("middle", *_OWN) and name not in taken:
                raise ArgumentError(
                    f"The '{name}' argument must be left out with builder {self.builder!r}, which has no use for it. "
                    f"Got {value!r}."
                )
            object.__setattr__(self, name, checked(name, value))
        if self.data == DRAWN and self.file is None:
            raise ArgumentError("The 'data' argument must be other than 'drawn' for a network that is composed.")
        if self.upload is not None and self.upload.first.n_inputs != self.n_columns:
            raise ArgumentError(
                f"The 'data' argument must have as many numbers an input as {self.upload.name!r} takes, "
                f"{self.upload.first.n_inputs}. Got {self.data!r} with {self.n_columns}."
            )
        if self.row >= self._n_rows:
            raise ArgumentError(
                f"The 'row' argument must be an int from 0 to {self._n_rows - 1}, a row of {self.data}. Got {self.row}."
            )
        for derived in self.made_by.derived.values():
            derived(self.width, self.options)

    @property
    def upload(self) -> uploads.Upload | None:
        """The network of the file, None if one is composed."""
        return None if self.file is None else uploads.held(self.file)

    @property
    def made_by(self) -> Builder:
        """The builder itself."""
        return BUILDERS[self.builder]

    @cached_property
    def options(self) -> dict[str, Any]:
        """The keys of the builder with their values, as a study file has them."""
        usual = self.made_by.defaults
        table = {key: getattr(self, key) for key in _OWN if key in usual}
        for key in (key for key in _LISTS if key in usual):
            table[key] = _layers(next(iter(usual[key])), self.depth, self.middle)
        table |= {key: self.depth for key in _NUMBERS if key in usual}
        return reading.architecture({"label": "explorer", "builder": self.builder, **table}).options

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one input: (height, width) of images, (n_inputs,) of anything else."""
        return _data(self.data).shape if self.data in data.BUILT_IN else (self.n_columns,)

    @property
    def n_columns(self) -> int:
        """Numbers of one input."""
        if self.data == DRAWN and self.upload is not None:
            return self.upload.first.n_inputs
        return 2 if self.data == POINTS else _data(self.data).inputs.shape[1]

    @property
    def size(self) -> Size:
        """What the network holds, known before it is built."""
        return self.made_by.size(self.shape, self.width, self.options)

    def equals_but_for(self, other: State, names: Iterable[str]) -> bool:
        """Return whether two states agree in every field but those named.

        Examples
        --------
        >>> State(panel="tour").equals_but_for(State(), ["panel"]), State(seed=1).equals_but_for(State(), ["panel"])
        (True, False)
        """
        return self.replace(**{name: getattr(other, name) for name in names}) == other

    @property
    def of_study(self) -> dict[str, Any]:
        """What the panel Scaling measures, by the names of its fields."""
        return {name: getattr(self, name) for name in OF_STUDY}

    @cached_property
    def inputs(self) -> NDArray[np.float64]:
        """All inputs, shape (n, n_inputs): the rows of the data set as it is prepared, or the points as they are."""
        if self.data == DRAWN:
            return drawn_inputs(self.n_columns)
        return np.array([one[:2] for one in self.points]) if self.data == POINTS else _data(self.data).inputs

    @property
    def targets(self) -> NDArray[np.float64]:
        """Targets of all inputs, shape (n,): those of the data set, or the classes of the points.

        Raises
        ------
        ArgumentError
            If the inputs are drawn and have none.
        """
        if self.data == DRAWN:
            raise ArgumentError("The 'data' argument must have targets for this. Got 'drawn', which has none.")
        return np.array([float(one[2]) for one in self.points]) if self.data == POINTS else _data(self.data).targets

    @property
    def x(self) -> NDArray[np.float64]:
        """The input chosen, shape (n_inputs,)."""
        row: NDArray[np.float64] = self.inputs[self.row]
        return row

    @property
    def _n_rows(self) -> int:
        if self.data == DRAWN:
            return N_DRAWN
        return len(self.points) if self.data == POINTS else len(_data(self.data).inputs)

    def build(self) -> Assembly:
        """Return the network, which has one output.

        Raises
        ------
        ResourceError
            If it has more than 10^8 edges, or does not fit in the memory that is free.
        ArgumentError
            If width and options do not fit together.

        Notes
        -----
        Cost: every weight is drawn once; 8 bytes for each.
        """
        if self.upload is not None:
            return self.upload.network(self.seed)
        n_edges = self.size.n_edges
        if n_edges > LARGEST_NETWORK:
            raise ResourceError(
                f"The 'width' argument must give at most {LARGEST_NETWORK:,} edges here. Got {self.width}, which "
                f"gives {n_edges:,} with builder {self.builder!r} and depth {self.depth}."
            )
        return self.made_by.build(self.shape, self.width, self.seed, self.options)

    def replace(self, **changes: Any) -> State:
        """Return a state with some fields changed, the others kept as far as they fit.

        With another builder, fields it has no use for become None, and a middle layer that only a bottleneck must have
        goes. With other data the row becomes 0. With another file the data become some that fit it.

        Parameters
        ----------
        **changes
            New values, by the names of the fields.

        Raises
        ------
        UnknownNameError, ArgumentError, ConfigurationError
            If there is no such field, or a value is not what it may be.

        Examples
        --------
        >>> State().replace(builder="resnet").gamma is None
        True
        """
        for name in changes:
            check_name("name of a field", name, CHOICES)
        kept = {name: getattr(self, name) for name in CHOICES if name not in changes}
        builder = changes.get("builder", self.builder)
        if builder != self.builder:
            taken = takes(builder)
            kept = {name: value for name, value in kept.items() if name not in ("middle", *_OWN) or name in taken}
            if self.builder == _NEEDS_A_MIDDLE:
                kept.pop("middle", None)
        if changes.get("file", self.file) != self.file and "data" not in changes:
            changes["data"] = _fitting(changes["file"], self.data)
            kept.pop("data")
        if changes.get("data", self.data) != self.data:
            kept.pop("row", None)
        return State(**kept, **changes)

    def to_query(self) -> str:
        """Return the state as the query of an address, which `from_query` reads back exactly.

        Examples
        --------
        >>> State.from_query(State(width=9, gamma=0.1).to_query()) == State(width=9, gamma=0.1)
        True
        """
        fields = {name: getattr(self, name) for name in CHOICES}
        return urlencode({name: _text(value) for name, value in fields.items() if value is not None}, safe=",;")

    @classmethod
    def from_query(cls, query: str) -> State:
        """Return the state that a query holds, with or without its "?"; fields it leaves out have their defaults.

        Raises
        ------
        UnknownNameError, ArgumentError, ConfigurationError
            If a key is unknown, given twice, or its value not what it may be; the message names it. If the query is
            longer than 8192 characters.

        Examples
        --------
        >>> State.from_query("?width=1024&middle=1").middle
        1
        """
        if len(query) > LONGEST_QUERY:
            raise ArgumentError(f"The query must have at most {LONGEST_QUERY} characters. Got {len(query)}.")
        found: dict[str, Any] = {}
        for name, text in parse_qsl(query.removeprefix("?"), keep_blank_values=True):
            if name not in CHOICES:
                raise UnknownNameError(f"The key {name[:40]!r} is unknown.{suggest(name, CHOICES)}")
            if name in found:
                raise ArgumentError(f"The '{name}' argument must be given once. Got it twice.")
            found[name] = _read(name, CHOICES[name], text)
        return cls(**found)


def network(state: State) -> Assembly:
    """Return the network of a state, the same object while one of the last two networks is asked for.

    What is looked at, radius, colour, direction, panel, belongs to no network: changing them builds nothing.

    Raises
    ------
    ResourceError, ArgumentError
        As `State.build`.

    Notes
    -----
    Two networks at most are kept, 0.3 GB each at three layers of 4096. They do not change, so sessions may share them.

    Examples
    --------
    >>> network(State(width=8)) is network(State(width=8, radius=2.0))
    True
    """
    if state.file is not None:
        return _network_of_file(state.file, state.seed)
    plain = {"points", "radius", "row", *LOOKED_AT}
    kept = {name: getattr(state, name) for name in CHOICES if name not in plain}
    return _network(State(**kept))


@lru_cache(maxsize=2)
def _network(state: State) -> Assembly:
    return state.build()


@lru_cache(maxsize=2)
def _network_of_file(key: str, seed: int) -> Assembly:
    return uploads.held(key).network(seed)


def drawn_inputs(n_inputs: int) -> NDArray[np.float64]:
    """Return 16 inputs of N(0, 1), each scaled to length sqrt(n_inputs), as data sets are.

    Examples
    --------
    >>> drawn_inputs(4).shape, float(np.linalg.norm(drawn_inputs(4)[3]).round(12))
    ((16, 4), 2.0)
    """
    rows = [generator(0, "inputs", i).standard_normal(n_inputs) for i in range(N_DRAWN)]
    return np.array([row * (np.sqrt(n_inputs) / np.linalg.norm(row)) for row in rows])


def _fitting(file: str | None, present: str) -> str:
    """Return data for a network: the present ones if they fit, some that do, or drawn ones."""
    if file is None:
        return State.data if present == DRAWN else present
    n_inputs = uploads.held(file).first.n_inputs
    columns = {name: _data(name).inputs.shape[1] for name in data.BUILT_IN} | {POINTS: 2}
    fitting = [name for name in (present, *columns) if columns.get(name) == n_inputs]
    return fitting[0] if fitting else DRAWN


@lru_cache
def _data(name: str) -> data.Data:
    return data.load(name)


def _layers(usual: int | str, depth: int, middle: int | None) -> list[int | str]:
    """Return the entries of layers, the usual one throughout but for that in the middle."""
    layers: list[int | str] = [usual] * depth
    if middle is not None:
        layers.insert((depth + 1) // 2, middle)
    return layers


def checked(name: str, value: Any) -> Any:
    """Return a value as its field keeps it, or raise an error that names the field.

    Raises
    ------
    UnknownNameError, ArgumentError
        If it is not what `CHOICES` says.

    Examples
    --------
    >>> checked("radius", 2)
    2.0
    """
    choice = CHOICES[name]
    if choice.kind == "name":
        return check_name(name, value, choice.names)
    if choice.kind == "points":
        return _points(name, value)
    if choice.kind == "file":
        return uploads.held(str(value)).key
    if choice.minimum is None or choice.maximum is None:
        raise AssertionError(name)
    if choice.kind == "count":
        return check_count(name, value, int(choice.minimum), int(choice.maximum))
    number = check_number(name, value, at_least=choice.minimum)
    if number > choice.maximum:
        raise ArgumentError(f"The '{name}' argument must be a number of at most {choice.maximum:g}. Got {value!r}.")
    return number


def _points(name: str, value: Any) -> tuple[tuple[float, float, int], ...]:
    if not isinstance(value, list | tuple) or not 1 <= len(value) <= MOST_POINTS:
        got = f"{len(value)} of them" if isinstance(value, list | tuple) else type(value).__name__
        raise ArgumentError(f"The '{name}' argument must hold 1 to {MOST_POINTS} points. Got {got}.")
    return tuple(_point(f"{name}[{i}]", one) for i, one in enumerate(value))


def _point(name: str, value: Any) -> tuple[float, float, int]:
    if not isinstance(value, list | tuple) or len(value) not in (2, 3):
        raise ArgumentError(f"The '{name}' argument must be two numbers and a class, 1 or -1. Got {value!r}.")
    first, second = (check_number(name, one, at_least=-FARTHEST_POINT) for one in value[:2])
    if max(first, second) > FARTHEST_POINT:
        raise ArgumentError(f"The '{name}' argument must be numbers of at most {FARTHEST_POINT:g}. Got {value!r}.")
    label = value[2] if len(value) == 3 else 1
    if isinstance(label, bool) or label not in (1, -1):
        raise ArgumentError(f"The '{name}' argument must be of class 1 or -1. Got {label!r}.")
    return first, second, int(label)


# --- as text ---------------------------------------------------------------------------------------------------------

_COUNT = re.compile(r"-?[0-9]{1,10}")
_NUMBER = re.compile(r"-?[0-9]{1,20}(\.[0-9]{0,20})?(e-?[0-9]{1,3})?", re.IGNORECASE)


def _text(value: Any) -> str:
    return ";".join(",".join(map(repr, one)) for one in value) if isinstance(value, tuple) else str(value)


def _read(name: str, choice: Choice, text: str) -> Any:
    """Return the value that a text stands for; one that stands for none as it is, for the check to refuse."""
    if choice.kind == "count":
        return int(text) if _COUNT.fullmatch(text) else text[:40]
    if choice.kind == "number":
        return _number(text)
    if choice.kind == "points":
        return [[_number(one) for one in point.split(",")] for point in text.split(";")]
    return text[:100] if choice.kind == "file" else text[:40]


def _number(text: str) -> float | str:
    return float(text) if _NUMBER.fullmatch(text) else text[:40]
