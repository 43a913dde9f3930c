"""A study as a file: what is built, on which data, over which widths and seeds, and what is claimed beforehand.

Every mistake in a file is reported at once, one line each, with the key, what it must be and what it was.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

import tomli_w
from pydantic import BaseModel, ConfigDict, Field, PlainValidator, ValidationError, model_validator
from pydantic_core import core_schema

from assembly import activations
from assembly.architectures.drawing import READOUTS
from assembly.architectures.layered import PARAMETRIZATIONS
from assembly.checks import check_name, suggest
from assembly.data import BUILT_IN, FILE_SUFFIXES
from assembly.diagnostics.rates import MINIMUM_REPLICATES, MINIMUM_SPAN, MINIMUM_WIDTHS
from assembly.diagnostics.verdict import DEFAULT_BAND, Bound, Claim
from assembly.errors import ArgumentError, ConfigurationError, UnknownNameError
from assembly.graph.description import SOFTMAX
from assembly.study import quantities
from assembly.study.builders import BUILDERS, WIDTH_SYMBOL, Builder, is_size
from assembly.study.mistakes import lower_first, mistakes

RECOMMENDED_SEEDS = 10
LARGEST_SEED = 2**63 - 1


@dataclass(frozen=True)
class _OneOf:
    """A type that takes one of a few names and suggests the nearest one otherwise."""

    names: tuple[str, ...]

    @property
    def description(self) -> str:
        return f"one of {', '.join(self.names)}"

    def check(self, value: object) -> str:
        if not isinstance(value, str) or value not in self.names:
            raise ValueError(suggest(value, self.names).strip() if isinstance(value, str) else "")
        return value

    def __get_pydantic_core_schema__(self, source: object, handler: object) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(self.check)


def _size(value: object) -> int | str:
    if not is_size(value) or not isinstance(value, int | str):
        raise ValueError
    return value


def _sizes(value: object) -> tuple[int | str, ...]:
    if not isinstance(value, list | tuple) or not value:
        raise ValueError
    return tuple(_size(entry) for entry in value)


def _whole_numbers(value: object) -> tuple[int, ...]:
    found = _sizes(value)
    if any(isinstance(entry, str) for entry in found):
        raise ValueError
    return tuple(int(entry) for entry in found)


def _shape(value: object) -> tuple[int, ...]:
    found = _whole_numbers(value)
    if len(found) > 2:
        raise ValueError
    return found


def _padding(value: object) -> int | str:
    if value == "same" or (isinstance(value, int) and not isinstance(value, bool) and value >= 0):
        return value
    raise ValueError


def _source(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError
    if value.replace("-", "_") in BUILT_IN:
        return value.replace("-", "_")
    if Path(value).suffix.lower() in FILE_SUFFIXES:
        return value
    raise ValueError(suggest(value, BUILT_IN).strip())


def _target(value: object) -> str | int | None:
    if value is None or isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    raise ValueError


_Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", description="letters, digits, '_', '-' and '.'")]
_Text = Annotated[str, Field(description="a text")]
_Flag = Annotated[bool, Field(description="true or false")]
_Positive = Annotated[float, Field(gt=0, allow_inf_nan=False, description="a number above 0")]
_Number = Annotated[float, Field(allow_inf_nan=False, description="a finite number")]
_Seed = Annotated[int, Field(ge=0, le=LARGEST_SEED, description="a whole number of at least 0")]
_Count = Annotated[int, Field(ge=1, description="a whole number of at least 1")]
_Seeds = Annotated[
    int,
    Field(ge=MINIMUM_REPLICATES, description=f"a whole number of at least {MINIMUM_REPLICATES} (10 are recommended)"),
]
_Widths = Annotated[
    tuple[Annotated[int, Field(ge=1)], ...],
    Field(
        strict=False,
        min_length=MINIMUM_WIDTHS,
        description=f"a list of {MINIMUM_WIDTHS} or more different whole numbers of at least 1",
    ),
]
_SIZE_TEXT = f'a whole number of at least 1, "{WIDTH_SYMBOL}", the width, or a multiple such as "2{WIDTH_SYMBOL}"'
_OneSize = Annotated[int | str | None, PlainValidator(_size), Field(description=_SIZE_TEXT)]
_Sizes = Annotated[
    tuple[int | str, ...] | None,
    PlainValidator(_sizes),
    Field(description=f"a list of layer widths, each {_SIZE_TEXT}"),
]
_Wholes = Annotated[
    tuple[int, ...] | None,
    PlainValidator(_whole_numbers),
    Field(description="a list of layer widths, each a whole number of at least 1"),
]
_Shape = Annotated[
    tuple[int, ...] | None,
    PlainValidator(_shape),
    Field(description="a list, [length] or [height, width], of whole numbers of at least 1"),
]
_Padding = Annotated[
    int | str | None, PlainValidator(_padding), Field(description='"same" or a whole number of at least 0')
]
_NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False, description="a number of at least 0")]
_Share = Annotated[float, Field(gt=0, le=1, description="a number above 0 and at most 1")]
_Fraction = Annotated[float, Field(ge=0, le=1, description="a number from 0 to 1")]
_Exponent = Annotated[float, Field(gt=0, allow_inf_nan=False, description="a number above 0")]
_Source = Annotated[
    str,
    PlainValidator(_source),
    Field(description=f"one of {', '.join(BUILT_IN)}, or the path of a {', '.join(FILE_SUFFIXES)} file"),
]
_Target = Annotated[
    str | int | None, PlainValidator(_target), Field(description="a target's name, a class index, or a column")
]
_Activation = Annotated[str | None, _OneOf(activations.NAMES)]
_OutputActivation = Annotated[str | None, _OneOf((*activations.NAMES, SOFTMAX))]
_Builder = Annotated[str, _OneOf(tuple(BUILDERS))]
_Law = Annotated[str | None, _OneOf(READOUTS)]
_Parametrization = Annotated[str | None, _OneOf(PARAMETRIZATIONS)]
_Dtype = Annotated[str | None, _OneOf(("float64", "float32"))]
_Quantity = Annotated[str, _OneOf(quantities.COLUMNS)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class DataSpecification(_Table):
    """Where the inputs come from, and how many of them are measured.

    Attributes
    ----------
    source : str
        A built-in data set or the path of a CSV, NPY or NPZ file, relative to the study file.
    target : str, int or None
        See `assembly.data.load`; None for the data set's own.
    n_measured : int
        Inputs at which every quantity is measured and averaged, the same at every width and seed.
    seed : int
        Chooses those inputs.
    shape : tuple of int or None
        Shape of one input, for convolutions: (length,) or (height, width); None for the data set's own, which is
        (length,) for all but images.
    """

    source: _Source
    target: _Target = None
    shape: _Shape = None
    n_measured: _Count = 4
    seed: _Seed = 0


class ArchitectureSpecification(_Table):
    """One family of networks, a function of the width m.

    Attributes
    ----------
    label : str
        The name of the family in results and claims.
    builder : str
        A name of `assembly.study.builders.BUILDERS`, the function of the package that builds it.
    widths : tuple of int or None
        Widths m of this architecture; None for the study's.
    hidden, activation, ..., exponent
        Keys of that builder, with its defaults; None for every key that it does not take.
    """

    label: _Name
    builder: _Builder = "mlp"
    widths: _Widths | None = Field(default=None, description="")
    hidden: _Sizes = None
    n_blocks: _Count | None = None
    keep: _Share | None = None
    channels: _Sizes = None
    kernel: _Count | None = None
    stride: _Count | None = None
    padding: _Padding = None
    pool: _Count | None = None
    n_layers: _Count | None = None
    layer_width: _OneSize = None
    in_degree: _OneSize = None
    reach: _Count | None = None
    part: _Wholes = None
    n_inner: _Count | None = None
    n_active: _Count | None = None
    n_factors: _Count | None = None
    copies_exponent: _Fraction | None = None
    exponent: _Exponent | None = None
    coefficients: _Law = None
    trainable_coefficients: _Flag | None = None
    activation: _Activation = None
    readout: _Law = None
    trainable_readout: _Flag | None = None
    bias: _Flag | None = None
    output_activation: _OutputActivation = None
    n_outputs: _Count | None = None
    parametrization: _Parametrization = None
    gamma: _NotNegative | None = None
    dtype: _Dtype = None

    @model_validator(mode="before")
    @classmethod
    def _with_defaults(cls, table: Any) -> Any:
        """Fill in the defaults of the builder."""
        name = table.get("builder", "mlp") if isinstance(table, Mapping) else None
        return {**BUILDERS[name].defaults, **table} if isinstance(name, str) and name in BUILDERS else table

    @property
    def made_by(self) -> Builder:
        """The builder itself."""
        return BUILDERS[self.builder]

    @property
    def options(self) -> dict[str, Any]:
        """The keys of the builder with their values, lists as in a file.

        Examples
        --------
        >>> ArchitectureSpecification(label="a", builder="resnet").options["n_blocks"]
        2
        """
        found = {key: getattr(self, key) for key in self.made_by.defaults}
        return {key: list(value) if isinstance(value, tuple) else value for key, value in found.items()}


class ClaimSpecification(_Table):
    """What is expected of one exponent, or of every value, fixed before the run.

    Attributes
    ----------
    architecture : str
        A label of the study.
    quantity : str
        A column of that architecture, see `assembly.study.quantities`.
    prediction, alternative : float or None
        The exponent expected, and the one it is to be told from; None for a bound.
    band : float or None
        Half width of the band around each.
    at_least, at_most : float or None
        Bounds that every network keeps, one or both; None for an exponent.
    source : str
        Where the claim comes from.
    """

    architecture: _Text
    quantity: _Text
    prediction: _Number | None = None
    alternative: _Number | None = None
    band: _Positive | None = None
    at_least: _Number | None = None
    at_most: _Number | None = None
    source: _Text = ""

    @model_validator(mode="before")
    @classmethod
    def _with_band(cls, table: Any) -> Any:
        """Fill in the band of an exponent; what is no claim stays as it was given."""
        is_exponent = isinstance(table, Mapping) and {"prediction", "alternative"} <= table.keys()
        is_bound = isinstance(table, Mapping) and not {"at_least", "at_most"}.isdisjoint(table)
        return {"band": DEFAULT_BAND, **table} if is_exponent and not is_bound else table

    def to_claim(self) -> Claim | Bound:
        """Return what `assembly.diagnostics.verdict` judges.

        Raises
        ------
        ArgumentError
            If the keys of an exponent and of a bound are mixed, or one is missing.
        """
        of_exponent = {name: getattr(self, name) for name in ("prediction", "alternative", "band")}
        given = [name for name, value in of_exponent.items() if value is not None]
        limits = [name for name in ("at_least", "at_most") if getattr(self, name) is not None]
        if limits and not given:
            return Bound(self.quantity, self.at_least, self.at_most, self.source)
        if limits or self.prediction is None or self.alternative is None or self.band is None:
            raise ArgumentError(
                "It must give 'prediction' and 'alternative' for an exponent, or 'at_least' or 'at_most' for a bound. "
                f"Got {', '.join([*given, *limits]) or 'none of them'}."
            )
        return Claim(self.quantity, self.prediction, self.alternative, self.band, self.source)


class QuickSpecification(_Table):
    """What `--quick` changes; a key that is left out changes nothing, and architectures keep widths of their own."""

    widths: _Widths | None = Field(default=None, description="")
    seeds: _Seeds | None = Field(default=None, description="")
    n_measured: _Count | None = Field(default=None, description="")
    training_steps: _Count | None = Field(default=None, description="")


class Specification(_Table):
    """A whole study.

    Attributes
    ----------
    name : str
        Also the name of the default output folder.
    title : str
        The title of the report.
    widths : tuple of int
        Widths m, ascending.
    seeds : int
        Replicates at each width, seeds 0 to seeds - 1.
    radius : float
        Distance R from the initial parameters at which remainders are measured.
    tol : float
        Relative residual of every eigenvalue.
    training_steps : int
        Steps of gradient descent before what is measured of trained networks.
    quantities : tuple of str
        What is measured, names of `assembly.study.quantities`; if left out, all that is measured without request.
    data : DataSpecification
    architectures : tuple of ArchitectureSpecification
    claims : tuple of ClaimSpecification
    quick : QuickSpecification or None
        None once it has been applied.
    """

    name: _Name
    title: _Text = ""
    widths: _Widths
    seeds: _Seeds = RECOMMENDED_SEEDS
    radius: _Positive = 1.0
    tol: Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False, description="a number above 0 and below 1")] = 1e-4
    training_steps: _Count = 400
    quantities: Annotated[
        tuple[_Quantity, ...], Field(strict=False, description="a list of quantities; `assembly list` shows them")
    ] = ()
    data: Annotated[DataSpecification, Field(description="a table, [data]")]
    architectures: Annotated[
        tuple[ArchitectureSpecification, ...],
        Field(strict=False, min_length=1, description="one or more tables, [[architectures]]"),
    ]
    claims: Annotated[tuple[ClaimSpecification, ...], Field(strict=False, description="tables, [[claims]]")] = ()
    quick: Annotated[QuickSpecification | None, Field(description="a table, [quick]")] = None

    @model_validator(mode="after")
    def _agree(self) -> Specification:
        problems = list(_disagreements(self))
        if problems:
            raise ValueError("\n".join(problems))
        return self

    @property
    def all_widths(self) -> tuple[int, ...]:
        """Every width of any architecture, ascending."""
        return tuple(sorted({width for entry in self.architectures for width in self.widths_of(entry)}))

    def widths_of(self, entry: ArchitectureSpecification) -> tuple[int, ...]:
        """Return the widths of one architecture: its own, or the study's."""
        return self.widths if entry.widths is None else entry.widths

    def architecture(self, label: str) -> ArchitectureSpecification:
        """Return the architecture of one label, or raise `UnknownNameError`."""
        for candidate in self.architectures:
            if candidate.label == label:
                return candidate
        labels = [candidate.label for candidate in self.architectures]
        raise UnknownNameError(
            f"The 'label' argument must be one of {', '.join(labels)}. Got {label!r}.{suggest(label, labels)}"
        )


def columns(n_hidden: int, names: Iterable[str] = ()) -> list[str]:
    """Return the quantities measured for `n_hidden` layers of neurons that share no weight: those named, or the usual.

    The gradients of first-layer neurons are orthogonal by construction and their pre-activations linear in the
    parameters, so cosines and Hessians of neurons begin with layer 2.

    Examples
    --------
    >>> [name for name in columns(2) if "cosine" in name]
    ['rms_cosine_layer_2']
    """
    above = range(2, n_hidden + 1)
    return quantities.columns(range(1, n_hidden + 1), above, above, names)


def _disagreements(specification: Specification) -> Iterable[str]:
    """Yield one line for every pair of keys that do not fit together."""
    labels = [architecture.label for architecture in specification.architectures]
    for label in dict.fromkeys(label for label in labels if labels.count(label) > 1):
        yield f"The 'architectures' key must give every label once. Got {label!r} {labels.count(label)} times."
    quick = specification.quick.widths if specification.quick else None
    of_architectures = {f"architectures[{i}].widths": one.widths for i, one in enumerate(specification.architectures)}
    for key, widths in {"widths": specification.widths, "quick.widths": quick, **of_architectures}.items():
        if widths is not None and list(widths) != sorted(set(widths)):
            yield f"The '{key}' key must be ascending, each width once. Got {list(widths)}."
        elif widths is not None and widths[-1] < MINIMUM_SPAN * widths[0]:
            yield (
                f"The '{key}' key must span a decade, the widest at least {MINIMUM_SPAN} times the narrowest. "
                f"Got {list(widths)}, a factor of {widths[-1] / widths[0]:.3g}."
            )
    for i, architecture in enumerate(specification.architectures):
        yield from _conflicts(architecture, f"architectures[{i}].")
        for key, wrong in architecture.made_by.stays(architecture.options):
            yield f"The 'architectures[{i}].{key}' key {wrong}"
    seen = set()
    for i, claim in enumerate(specification.claims):
        if claim.architecture not in labels:
            yield (
                f"The 'claims[{i}].architecture' key must be a label of the study: {', '.join(labels)}. "
                f"Got {claim.architecture!r}.{suggest(claim.architecture, labels)}"
            )
            continue
        yield from _unmeasured(specification, specification.architecture(claim.architecture), i, claim.quantity)
        try:
            claim.to_claim()
        except ArgumentError as error:
            yield f"The 'claims[{i}]' key is no claim. {error}"
        if (claim.architecture, claim.quantity) in seen:
            yield f"The 'claims[{i}]' key must be the only claim on that quantity of that architecture. Got two."
        seen.add((claim.architecture, claim.quantity))


def _conflicts(architecture: ArchitectureSpecification, prefix: str = "") -> Iterable[str]:
    """Yield one line for every key that does not belong to the builder or does not fit another key."""
    builder = architecture.made_by
    for key in sorted(architecture.model_fields_set - {"label", "builder", "widths", *builder.defaults}):
        takers = [one.name for one in BUILDERS.values() if key in one.defaults]
        yield (
            f"The '{prefix}{key}' key must be left out with builder {builder.name!r}, whose keys are "
            f"{', '.join(builder.defaults)}; it is taken by {', '.join(takers)}."
        )
    for key, wrong in builder.problems(architecture.options):
        yield f"The '{prefix}{key}' key {wrong}"


def _unmeasured(
    specification: Specification, architecture: ArchitectureSpecification, i: int, quantity: str
) -> Iterable[str]:
    """Yield a line if a claim is on something that is not measured, as far as that is known without a network."""
    builder = architecture.made_by
    if builder.n_hidden is not None:
        known = columns(builder.n_hidden(architecture.options), quantities.COLUMNS)
    else:  # which layers there are is seen when a network is built
        known = [quantity] if quantities.is_known(quantity) else list(quantities.COLUMNS)
    if quantity not in known:
        yield (
            f"The 'claims[{i}].quantity' key must be a quantity measured for {architecture.label!r}; "
            f"`assembly list` shows them. Got {quantity!r}.{suggest(quantity, known)}"
        )
    elif quantities.pattern(quantity) not in quantities.asked_for(specification.quantities):
        yield (
            f"The 'claims[{i}].quantity' key must be one of the study's quantities, "
            f"{', '.join(specification.quantities) or 'the usual ones: name it under quantities'}. Got {quantity!r}."
        )


class MemberSpecification(_Table):
    """One study of a suite.

    Attributes
    ----------
    claim : str
        What stands before its rows in the table of the suite, such as the number of a claim.
    study : str
        Name of a study, or the path of its file, relative to the suite's.
    """

    claim: _Text = ""
    study: _Text


class SuiteSpecification(_Table):
    """Studies that are run one after the other into one report.

    Attributes
    ----------
    name : str
        Also the name of the default output folder.
    title : str
        The title of the report.
    members : tuple of MemberSpecification
    """

    name: _Name
    title: _Text = ""
    members: Annotated[
        tuple[MemberSpecification, ...],
        Field(strict=False, min_length=1, description="one or more tables, [[members]]"),
    ]


# --- reading ---------------------------------------------------------------------------------------------------------


def named_studies() -> dict[str, str]:
    """Return the studies that come with the package, name to title."""
    return _titles("studies")


def named_suites() -> dict[str, str]:
    """Return the suites of studies that come with the package, name to title."""
    return _titles("suites")


def _titles(folder: str) -> dict[str, str]:
    files = {name: _shipped(folder) / f"{name}.toml" for name in _names(folder)}
    return {name: str(tomllib.loads(path.read_text("utf-8")).get("title", "")) for name, path in files.items()}


def _names(folder: str) -> list[str]:
    return sorted(path.name.removesuffix(".toml") for path in _shipped(folder).iterdir() if path.name.endswith(".toml"))


def load(source: str | Path) -> Specification:
    """Read a study by name, or from a TOML file.

    Parameters
    ----------
    source : str or Path
        A name of `named_studies`, or the path of a file that ends in ``.toml``. Paths of data in it are relative to it.

    Raises
    ------
    UnknownNameError
        If `source` is neither a known name nor the path of a TOML file.
    ConfigurationError
        If the file cannot be read, is no TOML, or holds a misspelt key or a wrong value; all of them, one line each.

    Examples
    --------
    >>> load("digits").widths
    (32, 64, 128, 256, 512, 1024)
    """
    name, studies, suites = str(source), _names("studies"), _names("suites")
    if name in studies:
        return parse((_shipped("studies") / f"{name}.toml").read_text("utf-8"), origin=f"{name}.toml")
    if name in suites:
        raise UnknownNameError(f"The study {name!r} is a suite of several; load_suite reads it.")
    path = Path(source)
    if path.suffix.lower() != ".toml":
        names = [*studies, *suites]
        raise UnknownNameError(
            f"The study must be one of {', '.join(names)} or the path of a .toml file. Got {name!r}."
            f"{suggest(name, names)}"
        )
    return parse(_text_of(path), origin=path.name, folder=path.resolve().parent)


def load_suite(source: str | Path) -> tuple[SuiteSpecification, list[Specification]] | None:
    """Read a suite by name, or from a TOML file, with its studies; None if `source` is a study or unknown.

    Raises
    ------
    UnknownNameError
        If the suite names an unknown study.
    ConfigurationError
        If the file, or one of its studies, cannot be read or holds a mistake; if two studies share a name.

    Examples
    --------
    >>> suite, studies = load_suite("claims")
    >>> suite.members[0].study, studies[0].name, load_suite("digits")
    ('claim-01-independent', 'claim-01-independent', None)
    """
    name, path = str(source), Path(source)
    if name in _names("suites"):
        text, origin = (_shipped("suites") / f"{name}.toml").read_text("utf-8"), f"{name}.toml"
    elif name not in _names("studies") and path.suffix.lower() == ".toml":
        text, origin = _text_of(path), path.name
    else:
        return None
    table = _table(text, origin)
    if "members" not in table:
        return None
    try:
        suite = SuiteSpecification.model_validate(table)
    except ValidationError as error:
        lines = mistakes(error, table, SuiteSpecification)
        raise ConfigurationError("\n".join(f"{origin}: {lower_first(line)}" for line in lines)) from None
    studies = [load(_beside(path, member.study)) for member in suite.members]
    names = [study.name for study in studies]
    for twice in (name for i, name in enumerate(names) if name in names[:i]):
        raise ConfigurationError(f"{origin}: the 'members' key must hold every study once. Got {twice!r} twice.")
    return suite, studies


def _beside(suite: Path, study: str) -> str | Path:
    is_file = Path(study).suffix.lower() == ".toml" and not Path(study).is_absolute()
    return suite.resolve().parent / study if is_file else study


def _text_of(path: Path) -> str:
    name = str(path)
    try:
        return path.read_text("utf-8")
    except FileNotFoundError:
        raise ConfigurationError(f"The study file {name!r} does not exist: check the path.") from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"The study file {name!r} is no text in UTF-8: save it as a TOML file.") from None
    except OSError as error:
        raise ConfigurationError(f"The study file {name!r} cannot be read: {error.strerror}.") from None


def _table(text: str, origin: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{origin}: no valid TOML: {lower_first(str(error)).rstrip('.')}.") from None


def parse(text: str, origin: str = "study", folder: Path | None = None) -> Specification:
    """Read a study from TOML text.

    Parameters
    ----------
    text : str
        The contents of a study file.
    origin : str
        Its name, the first word of every error.
    folder : Path, optional
        Paths of data are taken relative to it.

    Raises
    ------
    ConfigurationError
        If the text is no TOML, or holds a misspelt key or a wrong value; all of them, one line each.

    Examples
    --------
    >>> from assembly.study.specification import dump, load
    >>> parse(dump(load("digits"))) == load("digits")
    True
    """
    specification = validate(_table(text, origin), origin)
    data = specification.data
    if folder is not None and data.source not in BUILT_IN and not Path(data.source).is_absolute():
        moved = data.model_copy(update={"source": str(folder / data.source)})
        return specification.model_copy(update={"data": moved})
    return specification


def validate(table: Mapping[str, Any], origin: str = "study") -> Specification:
    """Return the specification of a table of plain values, or raise `ConfigurationError` with every mistake."""
    try:
        return Specification.model_validate(dict(table))
    except ValidationError as error:
        lines = mistakes(error, table, Specification)
        raise ConfigurationError("\n".join(f"{origin}: {lower_first(line)}" for line in lines)) from None


def architecture(table: Mapping[str, Any]) -> ArchitectureSpecification:
    """Return one architecture from the options of a command line, or raise `ConfigurationError` with every mistake."""
    try:
        found = ArchitectureSpecification.model_validate(dict(table))
        lines = list(_conflicts(found))
    except ValidationError as error:
        lines = mistakes(error, table, ArchitectureSpecification)
    if lines:
        raise ConfigurationError("\n".join(_of_option(line) for line in lines)) from None
    return found


def _of_option(line: str, own: Sequence[str] = ("hidden", "activation")) -> str:
    """Return a sentence on a key as one on the option that gave it: one of its own, or --set."""

    def told(found: re.Match[str]) -> str:
        return f"'{'--' if found[1] in own else '--set '}{found[1]}{found[2]}' option"

    return re.sub(r"'(\w+)((?:\[\d+\])?)' key", told, line, count=1)


def override(
    specification: Specification,
    *,
    widths: Sequence[int] | None = None,
    seeds: int | None = None,
    activation: str | None = None,
    quick: bool = False,
) -> Specification:
    """Return the study with the changes of the command line.

    Parameters
    ----------
    specification : Specification
    widths : sequence of int, optional
        Of every architecture; sorted before use.
    seeds : int, optional
        Replicates at each width.
    activation : str, optional
        Of every hidden layer of every architecture.
    quick : bool
        Apply the study's ``[quick]`` table first.

    Raises
    ------
    UnknownNameError
        If `activation` is none of the package's.
    ArgumentError
        If `quick` is asked of a study without a ``[quick]`` table.
    ConfigurationError
        If a value is wrong.
    """
    table = specification.model_dump(exclude_none=True)
    table.pop("quick", None)
    if quick:
        if specification.quick is None:
            raise ArgumentError(
                f"The '--quick' option needs a [quick] table in the study {specification.name!r}: "
                "add one, or use --widths."
            )
        changes = specification.quick.model_dump(exclude_none=True)
        if "n_measured" in changes:
            table["data"] = {**table["data"], "n_measured": changes.pop("n_measured")}
        table.update(changes)
    if widths is not None:
        table["widths"] = sorted(widths)
        for entry in table["architectures"]:
            entry.pop("widths", None)
    if seeds is not None:
        table["seeds"] = seeds
    if activation is not None:
        check_name("--activation", activation, activations.NAMES)
        table["architectures"] = [{**entry, "activation": activation} for entry in table["architectures"]]
    try:
        return validate(table, origin=specification.name)
    except ConfigurationError as error:
        options = [name for name, value in (("widths", widths), ("seeds", seeds)) if value is not None]
        lines = [_of_option(line, options) if _is_on(line, options) else line for line in str(error).splitlines()]
        raise ConfigurationError("\n".join(lines)) from None


def _is_on(line: str, keys: Sequence[str]) -> bool:
    return any(f"the '{key}' key" in line or f"the '{key}[" in line for key in keys)


def dump(specification: Specification) -> str:
    """Return the study as TOML text with every default written out; `parse` gives an equal one back."""
    return tomli_w.dumps(specification.model_dump(exclude_none=True))


def _shipped(folder: str) -> Any:
    return resources.files("assembly.study") / folder
