"""Seven states worth seeing, and the verdict that each must get."""

import pytest

import assembly as am
from assembly.explorer.answers import OF_CULPRITS, WORDS, judged, verdict
from assembly.explorer.presets import PRESETS

TITLES = [
    "three weak layers", "one neuron in the middle", "the output bends", "one shouts", "copies of one", "uneven DAG",
    "mean field",
]  # fmt: skip


def test_the_seven_of_the_start_page():
    assert list(PRESETS) == TITLES
    assert {one.word for one in PRESETS.values()} <= set(WORDS)
    assert all(len(one.sentences) == 2 and all(s.endswith(".") for s in one.sentences) for one in PRESETS.values())


@pytest.mark.parametrize("title", TITLES)
def test_a_preset_gets_its_verdict(title):
    preset = PRESETS[title]
    found = judged(preset.state)
    assert found.word == preset.word
    assert bool(found.culprits) == (preset.word in OF_CULPRITS.values())


@pytest.mark.parametrize("title", TITLES)
@pytest.mark.parametrize(("seed", "row"), [(1, 0), (2, 3)])
def test_the_verdict_is_that_of_the_architecture_and_not_of_one_draw(title, seed, row):
    state = PRESETS[title].state.replace(seed=seed, row=row)
    assert verdict(am.diagnose(state.build(), state.x)) == PRESETS[title].word
