import dataclasses
import json

import pytest

from assembly.study import design
from assembly.study.specification import load, override

DIGITS = load("digits")


def change(one, path, value):
    if "." in path:
        return dataclasses.replace(one, settings=dataclasses.replace(one.settings, **{path.split(".")[1]: value}))
    return dataclasses.replace(one, **{path: value})


def test_every_combination_is_there_once():
    points = design.points(DIGITS, "print")
    assert len(points) == 6 * 20 * 2
    assert len({point.key for point in points}) == len(points)
    assert len({(point.architecture, point.width, point.seed) for point in points}) == len(points)


def test_cheap_widths_come_first_and_architectures_alternate():
    points = design.points(DIGITS, "print")
    assert [point.width for point in points] == sorted(point.width for point in points)
    assert [point.architecture for point in points] == ["network", "bottleneck"] * 120


def test_points_hold_what_the_study_says():
    point = design.points(DIGITS, "print")[-1]
    assert (point.architecture, point.builder, point.width, point.seed) == ("bottleneck", "bottleneck", 1024, 19)
    assert point.settings.hidden == (1024, 1, 1024)
    assert (point.settings.data, point.settings.n_measured, point.settings.tol) == ("print", 4, 1e-4)
    keywords = point.settings.builder_keywords()
    assert keywords["widths"] == [1024, 1, 1024]
    assert (keywords["readout"], keywords["activation"], keywords["trainable_readout"]) == ("sign", "tanh", True)


def test_the_key_is_pinned():
    """Another key for the same point would throw away every result on disk."""
    point = dataclasses.replace(design.points(DIGITS, "print")[0], version="0.1.0")
    assert json.loads(point.to_json())["settings"]["hidden"] == [32, 32, 32]
    assert point.key == "95ff3c69868b36747c59f965f6e93c2fac447a91875332eeac0e6022433fbaeb"


CHANGES = {
    "architecture": "other",
    "builder": "bottleneck",
    "width": 33,
    "seed": 1,
    "version": "0.0.0",
    "settings.hidden": (32, 32),
    "settings.activation": "erf",
    "settings.readout": "gaussian",
    "settings.trainable_readout": False,
    "settings.bias": True,
    "settings.output_activation": "tanh",
    "settings.parametrization": "standard",
    "settings.gamma": 0.5,
    "settings.dtype": "float32",
    "settings.radius": 1.0000000000000002,
    "settings.tol": 1e-5,
    "settings.data": "other",
    "settings.n_measured": 5,
    "settings.data_seed": 1,
}


@pytest.mark.parametrize("field", CHANGES)
def test_every_field_changes_the_key(field):
    point = design.points(DIGITS, "print")[0]
    assert change(point, field, CHANGES[field]).key != point.key


def test_no_field_is_left_out_of_the_changes_above():
    fields = {field.name for field in dataclasses.fields(design.Point)} - {"settings"}
    fields |= {f"settings.{field.name}" for field in dataclasses.fields(design.Settings)}
    assert fields == set(CHANGES)


def test_a_longer_study_holds_the_points_of_a_shorter_one():
    short = {point.key for point in design.points(override(DIGITS, widths=[32, 64, 128], seeds=5), "print")}
    assert short < {point.key for point in design.points(DIGITS, "print")}


def test_row_order_is_architecture_then_width_then_seed():
    points = sorted(design.points(DIGITS, ""), key=lambda point: design.row_order(DIGITS, point))
    assert [point.architecture for point in points] == ["network"] * 120 + ["bottleneck"] * 120
    assert [(point.width, point.seed) for point in points[:21]] == [*((32, seed) for seed in range(20)), (64, 0)]
