"""A study: what is built, on which data, over which widths and seeds, and what is claimed beforehand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from assembly.checks import suggest
from assembly.diagnostics.rates import MINIMUM_SPAN
from assembly.diagnostics.verdict import DEFAULT_BAND, Bound, Claim
from assembly.errors import ArgumentError, UnknownNameError
from assembly.study import keys, quantities
from assembly.study.builders import BUILDERS, Builder

RECOMMENDED_SEEDS = 10


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

    source: keys.Source
    target: keys.Target = None
    shape: keys.Shape = None
    n_measured: keys.Count = 4
    seed: keys.Seed = 0


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

    label: keys.Name
    builder: keys.Builder = "mlp"
    widths: keys.Widths | None = Field(default=None, description="")
    hidden: keys.Sizes = None
    n_blocks: keys.Count | None = None
    keep: keys.Share | None = None
    channels: keys.Sizes = None
    kernel: keys.Count | None = None
    stride: keys.Count | None = None
    padding: keys.Padding = None
    pool: keys.Count | None = None
    n_layers: keys.Count | None = None
    layer_width: keys.OneSize = None
    in_degree: keys.OneSize = None
    reach: keys.Count | None = None
    part: keys.Wholes = None
    n_inner: keys.Count | None = None
    n_active: keys.Count | None = None
    n_factors: keys.Count | None = None
    copies_exponent: keys.Fraction | None = None
    exponent: keys.Exponent | None = None
    coefficients: keys.Law = None
    trainable_coefficients: keys.Flag | None = None
    activation: keys.Activation = None
    readout: keys.Law = None
    trainable_readout: keys.Flag | None = None
    bias: keys.Flag | None = None
    output_activation: keys.OutputActivation = None
    n_outputs: keys.Count | None = None
    parametrization: keys.Parametrization = None
    gamma: keys.NotNegative | None = None
    dtype: keys.Dtype = None

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

    architecture: keys.Text
    quantity: keys.Text
    prediction: keys.Number | None = None
    alternative: keys.Number | None = None
    band: keys.Positive | None = None
    at_least: keys.Number | None = None
    at_most: keys.Number | None = None
    source: keys.Text = ""

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

    widths: keys.Widths | None = Field(default=None, description="")
    seeds: keys.Seeds | None = Field(default=None, description="")
    n_measured: keys.Count | None = Field(default=None, description="")
    training_steps: keys.Count | None = Field(default=None, description="")


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

    name: keys.Name
    title: keys.Text = ""
    widths: keys.Widths
    seeds: keys.Seeds = RECOMMENDED_SEEDS
    radius: keys.Positive = 1.0
    tol: Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False, description="a number above 0 and below 1")] = 1e-4
    training_steps: keys.Count = 400
    quantities: Annotated[
        tuple[keys.Quantity, ...], Field(strict=False, description="a list of quantities; `assembly list` shows them")
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
        yield from conflicts(architecture, f"architectures[{i}].")
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


def conflicts(architecture: ArchitectureSpecification, prefix: str = "") -> Iterable[str]:
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

    claim: keys.Text = ""
    study: keys.Text


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

    name: keys.Name
    title: keys.Text = ""
    members: Annotated[
        tuple[MemberSpecification, ...],
        Field(strict=False, min_length=1, description="one or more tables, [[members]]"),
    ]
