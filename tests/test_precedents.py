"""What the studies of the package claim of an architecture: of all such ones, and of no other."""

import pytest

from assembly.study.precedents import claims_on
from assembly.study.reading import load, named_studies
from assembly.study.specification import ArchitectureSpecification


def predicted(quantity="hessian_norm", **options):
    claims = claims_on(ArchitectureSpecification(label="it", **options), [quantity])
    return {one.quantity: one.prediction for one in claims}.get(quantity)


@pytest.mark.parametrize(
    ("options", "exponent"),
    [
        ({"builder": "mlp", "hidden": ["m"] * 6}, -0.5),
        ({"builder": "mlp", "hidden": ["m"], "activation": "softplus", "readout": "gaussian"}, -0.5),
        ({"builder": "mlp", "hidden": ["m", 3, "m"]}, 0.0),
        ({"builder": "bottleneck", "hidden": ["m", "m", 8, "m"]}, 0.0),
        ({"builder": "bottleneck", "hidden": [512, "m", 512]}, -0.5),
        ({"builder": "mlp", "hidden": ["m", "m"], "output_activation": "tanh"}, 0.0),
        ({"builder": "resnet", "n_blocks": 5}, -0.5),
        ({"builder": "committee", "part": [4, 4], "gamma": 0.75}, -0.75),
        ({"builder": "mean_field"}, -1.0),
        ({"builder": "tied", "copies_exponent": 0.5}, -0.25),
    ],
)
def test_a_claim_holds_for_all_architectures_of_its_kind(options, exponent):
    assert predicted(**options) == exponent


@pytest.mark.parametrize(
    "options",
    [
        {"builder": "mlp", "hidden": ["m"], "activation": "relu"},
        {"builder": "mlp", "hidden": ["m", 9, "m"]},
        {"builder": "mlp", "hidden": ["m", 1]},
        {"builder": "mlp", "hidden": ["2m", "m"]},
        {"builder": "mlp", "hidden": ["m"], "gamma": 1.0},
        {"builder": "mlp", "hidden": ["m"], "output_activation": "sin"},
        {"builder": "mlp", "hidden": ["m"], "parametrization": "standard"},
        {"builder": "tied", "copies_exponent": 0.3},
        {"builder": "resnet", "output_activation": "tanh"},
    ],
)
def test_of_what_no_study_speaks_nothing_is_claimed(options):
    assert predicted(**options) is None


def test_a_claim_on_a_layer_needs_the_layer():
    deep, shallow = {"builder": "mlp", "hidden": ["m"] * 3}, {"builder": "mlp", "hidden": ["m"] * 2}
    claims = claims_on(ArchitectureSpecification(label="it", **shallow), ["rms_cosine_layer_{l}"])
    assert [one.quantity for one in claims] == ["rms_cosine_layer_2"]
    claims = claims_on(ArchitectureSpecification(label="it", **deep), ["rms_cosine_layer_{l}"])
    assert [one.quantity for one in claims] == ["rms_cosine_layer_2", "rms_cosine_layer_3"]


def test_what_is_not_measured_is_not_claimed():
    claims = claims_on(ArchitectureSpecification(label="it", builder="mlp"), ["remainder_top_eigenvector"])
    assert {one.quantity for one in claims} == {"remainder_top_eigenvector"}


def test_every_study_of_the_package_finds_its_own_claims_again():
    for study in map(load, named_studies()):
        for claim in study.claims:
            entry = study.architecture(claim.architecture)
            found = {one.quantity: one for one in claims_on(entry, study.quantities)}
            if entry.activation != "relu" and claim.quantity in found:
                assert found[claim.quantity].prediction == claim.prediction
