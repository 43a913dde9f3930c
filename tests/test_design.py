import dataclasses
import json

import pytest

from assembly import data
from assembly.study import design
from assembly.study.reading import load, override, parse
from study_cases import STUDY, table

DIGITS = load("digits")


def change(one, path, value):
    if "." in path:
        return dataclasses.replace(one, settings=dataclasses.replace(one.settings, **{path.split(".")[1]: value}))
    return dataclasses.replace(one, **{path: value})


def test_every_combination_is_there_once():
    points = design.points(DIGITS, table())
    assert len(points) == 6 * 20 * 2
    assert len({point.key for point in points}) == len(points)
    assert len({(point.architecture, point.width, point.seed) for point in points}) == len(points)


def test_cheap_widths_come_first_and_architectures_alternate():
    points = design.points(DIGITS, table())
    assert [point.width for point in points] == sorted(point.width for point in points)
    assert [point.architecture for point in points] == ["network", "bottleneck"] * 120


def test_points_hold_what_the_study_says():
    point = design.points(DIGITS, table())[-1]
    assert (point.architecture, point.builder, point.width, point.seed) == ("bottleneck", "bottleneck", 1024, 19)
    options = point.settings.options
    assert (options["hidden"], options["readout"], options["trainable_readout"]) == (["m", 1, "m"], "sign", True)
    assert (point.settings.data, point.settings.n_measured, point.settings.tol) == ("print", 4, 1e-4)
    assert (point.settings.shape, point.settings.quantities) == ((6,), ())


def test_the_shape_of_the_inputs_is_the_studys_or_that_of_the_data():
    study = parse(STUDY.replace("n_measured", "shape = [2, 3]\nn_measured"))
    assert {point.settings.shape for point in design.points(study, table())} == {(2, 3)}
    (shape,) = {point.settings.shape for point in design.points(DIGITS, data.load("digits"))}
    assert shape == (8, 8)


def test_an_architecture_may_have_widths_of_its_own():
    study = parse(STUDY.replace('label = "network"', 'label = "network"\nwidths = [16, 32, 64, 256]'))
    found = {(point.architecture, point.width) for point in design.points(study, table())}
    assert found == {("network", w) for w in (16, 32, 64, 256)} | {("bottleneck", w) for w in (8, 16, 32, 80)}


def test_the_key_is_pinned():
    """Another key for the same point would throw away every result on disk."""
    point = dataclasses.replace(design.points(DIGITS, table())[0], version="0.1.0")
    assert json.loads(point.to_json())["settings"]["options"]["hidden"] == ["m", "m", "m"]
    assert point.key == "a971abea1c683fa91aaa6e509ee743d3ccd667fe0f1f04da17e8c1c916c39c04"


CHANGES = {
    "architecture": "other",
    "builder": "bottleneck",
    "width": 33,
    "seed": 1,
    "version": "0.0.0",
    "settings.options": DIGITS.architectures[0].options | {"hidden": ["m", "m"]},
    "settings.shape": (2, 3),
    "settings.quantities": ("hessian_norm",),
    "settings.radius": 1.0000000000000002,
    "settings.tol": 1e-5,
    "settings.data": "other",
    "settings.n_measured": 5,
    "settings.data_seed": 1,
    "settings.training_steps": 7,
}


@pytest.mark.parametrize("field", CHANGES)
def test_every_field_changes_the_key(field):
    point = design.points(DIGITS, table())[0]
    assert change(point, field, CHANGES[field]).key != point.key


def test_no_field_is_left_out_of_the_changes_above():
    fields = {field.name for field in dataclasses.fields(design.Point)} - {"settings"}
    fields |= {f"settings.{field.name}" for field in dataclasses.fields(design.Settings)}
    assert fields == set(CHANGES)


def test_a_longer_study_holds_the_points_of_a_shorter_one():
    short = {point.key for point in design.points(override(DIGITS, widths=[32, 64, 128, 512], seeds=5), table())}
    assert short < {point.key for point in design.points(DIGITS, table())}


def test_row_order_is_architecture_then_width_then_seed():
    points = sorted(design.points(DIGITS, table("")), key=lambda point: design.row_order(DIGITS, point))
    assert [point.architecture for point in points] == ["network"] * 120 + ["bottleneck"] * 120
    assert [(point.width, point.seed) for point in points[:21]] == [*((32, seed) for seed in range(20)), (64, 0)]
