"""Studies made of what a visitor chose: what they hold, what they refuse, and that a run is the command line's."""

import csv
import threading
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pydantic")

from assembly.cli import main
from assembly.errors import ArgumentError, ConfigurationError, ResourceError, UnknownNameError
from assembly.explorer import keeping, scaling, scaling_picture
from assembly.explorer.keeping import Places
from assembly.explorer.live_study import LiveStudy
from assembly.explorer.scaling import Choices, specified
from assembly.explorer.state import State
from assembly.study.reading import dump, load, parse

SMALL = State(width=8, depth=1, data="wine")
FEW = Choices(narrowest=4, widest=64, seeds=3, n_measured=1)
PATIENCE = 120.0


class Visitor:
    """Runs studies and keeps every frame, as a page would."""

    def __init__(self):
        self.frames = []
        self.came = threading.Condition()
        self.live = LiveStudy(lambda run: run(), self.show)

    def show(self, frame):
        with self.came:
            self.frames.append(frame)
            self.came.notify_all()

    def run(self, study, folder, **how):
        """Run to the end; return the last frame."""
        seen = len(self.frames)
        self.live.start(study, folder, **how)
        return self.wait(lambda frame: frame.status in ("paused", "whole", "failed"), seen)

    def wait(self, is_it, seen=0):
        with self.came:
            assert self.came.wait_for(lambda: any(map(is_it, self.frames[seen:])), PATIENCE)
            return next(frame for frame in self.frames[seen:] if is_it(frame))


def of_command_line(study, folder, monkeypatch, capsys):
    """Run the command on a study file; return its table and what it printed."""
    folder.mkdir(exist_ok=True)
    (folder / "study.toml").write_text(dump(study))
    words = ["assembly", "study", str(folder / "study.toml"), "--out", str(folder), "--workers", "1"]
    monkeypatch.setattr("sys.argv", words)
    with pytest.raises(SystemExit) as ending:
        main()
    assert ending.value.code in (None, 0)
    return (folder / "results.csv").read_text(), capsys.readouterr().out


# --- what a study holds ----------------------------------------------------------------------------------------------


def test_a_study_has_the_builder_and_options_of_the_state_and_reads_itself_back():
    state = State(depth=3, middle=2, activation="erf", readout="gaussian", data="wine", radius=0.5)
    study = specified([state, SMALL], Choices(widest=256, seeds=7, n_measured=3))
    entry = study.architectures[0]
    assert (entry.builder, entry.options) == ("mlp", state.options)
    assert (study.widths, study.seeds, study.data.n_measured) == ((16, 32, 64, 128, 256), 7, 3)
    assert (study.data.source, study.radius) == ("wine", SMALL.radius)
    assert parse(dump(study)) == study


def test_architectures_that_differ_have_labels_that_differ():
    states = [
        State(),
        State(depth=3),
        State(middle=1),
        State(middle=2),
        State(activation="erf"),
        State(output_activation="erf"),
        State(gamma=0.75),
        State(gamma=0.7500001),
        State(readout="gaussian"),
        State(builder="resnet"),
    ]
    labels = [scaling.label(state) for state in states]
    assert len(set(labels)) == len(labels)
    assert scaling.label(State(width=9, data="wine", seed=5)) == labels[0]


@pytest.mark.parametrize(
    ("choices", "named"),
    [
        ({"narrowest": 16, "widest": 64}, "'widest'"),
        ({"narrowest": 64, "widest": 16}, "'widest'"),
        ({"narrowest": 2}, "'narrowest'"),
        ({"widest": 8192}, "'widest'"),
        ({"widest": 256.0}, "'widest'"),
        ({"seeds": 2}, "'seeds'"),
        ({"n_measured": 0}, "'n_measured'"),
    ],
)
def test_a_wrong_choice_is_named(choices, named):
    with pytest.raises(ArgumentError, match=named):
        Choices(**choices)


def test_what_describes_the_computation_is_no_quantity_to_choose():
    with pytest.raises(UnknownNameError, match="'quantity'"):
        Choices(quantity="n_steps")


def test_widths_go_by_factors_of_two_and_end_at_the_widest():
    assert Choices(narrowest=4, widest=64).widths == (4, 8, 16, 32, 64)
    assert Choices(narrowest=4, widest=63).widths == (4, 8, 16, 32, 63)
    assert Choices(narrowest=4, widest=65).widths == (4, 8, 16, 32, 64, 65)


def test_points_painted_by_hand_are_no_data_of_a_study():
    with pytest.raises(ArgumentError, match="'data'"):
        specified([State(data="points")], FEW)


def test_predictions_are_those_of_the_studies_of_the_package():
    study = specified([State(depth=4), State(depth=4, middle=1), State(builder="mean_field")], Choices())
    declared = {(one.architecture, one.quantity): one.prediction for one in study.claims}
    shipped = {
        (one.architecture, one.quantity): one.prediction
        for name in ("digits", "architectures")
        for one in load(name).claims
    }
    for quantity in ("hessian_norm", "hessian_over_gradient_squared"):
        assert declared["mlp-4", quantity] == shipped["network", quantity]
        assert declared["mlp-4-middle-1", quantity] == shipped["bottleneck", quantity]
        assert declared["mean_field-2", quantity] == shipped["mean-field", quantity]


@pytest.mark.parametrize("state", [State(activation="relu"), State(middle=32), State(gamma=0.9)])
def test_what_no_study_speaks_of_has_no_prediction(state):
    assert specified([state], Choices()).claims == ()


# --- files of others -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "error", "named"),
    [
        (lambda text: text.replace('"wine"', '"/etc/passwd.csv"'), ArgumentError, "data.source"),
        (lambda text: text.replace("seeds = 3", "seeds = 1000000000"), ResourceError, "seeds"),
        (lambda text: text.replace("    64,", "    1000000000,"), ResourceError, "widths"),
        (
            lambda text: text.replace("training_steps = 400", "training_steps = 10000000"),
            ResourceError,
            "training_steps",
        ),
        (lambda text: text.replace('    "m",', '    "m",\n    100000000,'), ResourceError, "hidden"),
        (lambda text: text.replace('    "m",', '    "m",' * 40), ResourceError, "hidden"),
        (lambda text: text.replace("seeds = 3", "seed = 3"), ConfigurationError, "seed"),
        (lambda text: "x" * 2**17, ArgumentError, "bytes"),
        (lambda text: "[", ConfigurationError, "TOML"),
    ],
)
def test_a_file_that_is_sent_is_data_and_no_larger_than_a_page_runs(change, error, named):
    text = dump(specified([SMALL], FEW))
    assert keeping.uploaded(text.encode()) == specified([SMALL], FEW)
    assert change(text) != text
    start = time.monotonic()
    with pytest.raises(error, match=named):
        keeping.uploaded(change(text).encode())
    assert time.monotonic() - start < 5.0


def test_bytes_that_are_no_text_are_refused():
    with pytest.raises(ArgumentError, match="UTF-8"):
        keeping.uploaded(b"\xff\xfe\x00")


def test_only_a_visitor_of_the_machine_itself_names_a_folder(tmp_path):
    study = specified([SMALL], FEW)
    stranger, owner = Places(owns_machine=False), Places(owns_machine=True)
    with pytest.raises(ArgumentError, match="'folder'"):
        stranger.of(study, str(tmp_path))
    with pytest.raises(ArgumentError, match="'folder'"):
        stranger.reopened(str(tmp_path))
    assert owner.of(study, str(tmp_path)) == tmp_path
    (tmp_path / "letters.txt").write_text("dear all")
    with pytest.raises(ArgumentError, match="letters"):
        owner.of(study, str(tmp_path))
    with pytest.raises(ArgumentError, match="'folder'"):
        owner.of(study, "a\0b")


def test_a_temporary_folder_is_shared_by_studies_that_share_points_and_goes_with_the_page():
    places = Places(owns_machine=False)
    first = places.of(specified([SMALL], FEW))
    assert places.of(specified([SMALL, State(middle=1, data="wine")], Choices(widest=256))) != first
    assert (
        places.of(specified([SMALL, State(middle=1, data="wine")], Choices(widest=512, seeds=9, n_measured=1))) == first
    )
    assert places.of(specified([SMALL], Choices("gradient_norm", n_measured=1))) != first
    assert places.of(specified([SMALL.replace(radius=2.0)], Choices(n_measured=1))) != first
    first.mkdir()
    places.close()
    assert not first.parent.exists()


# --- what it takes ---------------------------------------------------------------------------------------------------


def test_a_study_that_is_too_long_is_refused_before_anything_is_measured(tmp_path):
    study = specified([State(depth=6, data="digits")], Choices("kernel_change_trained", 256, 4096, 30, 16))
    cost = scaling.forecast(study)
    assert cost.seconds > scaling.LONGEST_RUN
    assert "smaller" in cost.refusal
    frame = Visitor().run(study, tmp_path / "long")
    assert frame.status == "failed"
    assert frame.sentence.startswith("This takes")
    assert not (tmp_path / "long").exists()


def test_a_network_beyond_the_page_is_refused():
    with pytest.raises(ResourceError, match="edges"):
        scaling.forecast(specified([State(builder="densenet", depth=8)], Choices(widest=4096)))


# --- the run ---------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_run_that_is_paused_and_resumed_has_the_table_of_the_command_line(tmp_path, monkeypatch, capsys):
    study = specified([SMALL, State(depth=2, middle=1, data="wine")], Choices(narrowest=4, widest=64, seeds=5))
    visitor = Visitor()
    folder = tmp_path / "page"
    visitor.live.start(study, folder)
    visitor.wait(lambda frame: frame.n_done >= 3)
    visitor.live.stop()
    paused = visitor.wait(lambda frame: frame.status == "paused")
    assert 3 <= paused.n_done < 50
    assert not visitor.live.is_running
    kept = {(row["architecture"], row["width"], row["seed"]): row for row in paused.result.rows}
    shown = visitor.run(study, folder, measures=False)
    assert shown.result.rows == paused.result.rows
    whole = visitor.run(study, folder)
    assert (whole.status, whole.n_done, whole.result.n_reused) == ("whole", 50, len(kept))
    assert all(kept[row["architecture"], row["width"], row["seed"]] == row for row in whole.result.rows if
               (row["architecture"], row["width"], row["seed"]) in kept)  # fmt: skip
    on_the_way = [frame for frame in visitor.frames if frame.status == "measuring"]
    assert all(len(frame.result.rows) == frame.n_done > 0 for frame in on_the_way)
    table, printed = of_command_line(study, tmp_path / "command", monkeypatch, capsys)
    assert (folder / "results.csv").read_text() == table
    assert scaling_picture.table_text(whole.result) == table
    for finding in whole.findings:
        if finding.claim is not None:
            assert finding.sentence.split("; ")[0] in " ".join(printed.split())


@pytest.mark.slow
def test_the_command_line_goes_on_with_what_the_page_began(tmp_path, monkeypatch, capsys):
    study = specified([SMALL], FEW)
    visitor = Visitor()
    visitor.live.start(study, tmp_path)
    visitor.wait(lambda frame: frame.n_done >= 1)
    visitor.live.stop()
    paused = visitor.wait(lambda frame: frame.status in ("paused", "whole"))
    _, printed = of_command_line(load(tmp_path / "study.toml"), tmp_path, monkeypatch, capsys)
    if paused.status == "paused":
        assert f"{paused.n_done} taken from an earlier run" in printed
    reopened, folder = Places(owns_machine=True).reopened(str(tmp_path))
    assert (reopened, folder) == (study, tmp_path)
    assert visitor.run(reopened, folder, measures=False).n_done == 15


@pytest.mark.slow
def test_a_folder_of_another_study_is_refused_with_a_sentence_for_a_page(tmp_path):
    visitor = Visitor()
    visitor.run(specified([SMALL], FEW), tmp_path, measures=False)
    frame = visitor.run(specified([SMALL.replace(radius=2.0)], FEW), tmp_path)
    assert frame.status == "failed"
    assert "another study (other radius)" in frame.sentence
    assert "--" not in frame.sentence


def test_others_wait_for_their_turn_but_what_is_kept_is_shown_at_once(tmp_path, monkeypatch):
    turns = threading.BoundedSemaphore(1)
    monkeypatch.setattr("assembly.explorer.live_study._AT_ONCE", turns)
    monkeypatch.setattr("assembly.study.engine._run_on_processes", in_process)
    monkeypatch.setattr("assembly.study.measure.measure", lambda point, samples: {"hessian_norm": 1.0})
    visitor, study = Visitor(), specified([SMALL], FEW)
    turns.acquire()
    shown = visitor.run(study, tmp_path, measures=False)
    assert (shown.status, shown.n_points) == ("paused", 15)
    visitor.live.start(study, tmp_path)
    visitor.wait(lambda frame: "other studies" in frame.sentence)
    assert visitor.frames[-1].n_done == 0
    turns.release()
    visitor.wait(lambda frame: frame.status == "whole")
    assert turns.acquire(timeout=PATIENCE)


def test_one_study_at_a_time_and_none_after_the_page_is_gone(tmp_path):
    gate = threading.Event()
    shown = []
    live = LiveStudy(lambda run: (gate.wait(PATIENCE), run()), shown.append)
    study = specified([SMALL], FEW)
    live.start(study, tmp_path, measures=False)
    with pytest.raises(ArgumentError, match="pause"):
        live.start(study, tmp_path, measures=False)
    ended = threading.Event()
    live.close(ended.set)
    gate.set()
    assert ended.wait(PATIENCE)
    live.start(study, tmp_path)
    assert not live.is_running
    assert shown == []


# --- the picture -----------------------------------------------------------------------------------------------------


def frame_of(tmp_path, monkeypatch, exponent):
    """A whole study whose quantity is an exact power of the width."""
    study = specified([SMALL], FEW)

    def measured(point, samples):
        return dict.fromkeys(("hessian_norm", "gradient_norm"), 3.0 * point.width**exponent)

    monkeypatch.setattr("assembly.study.engine._run_on_processes", in_process)
    monkeypatch.setattr("assembly.study.measure.measure", measured)
    return Visitor().run(study, tmp_path)


def in_process(function, points, samples_of, workers, stop):
    from assembly.study.engine import compute

    for point in points:
        yield compute(function, point, samples_of(point))
        if stop():
            return


def test_the_picture_holds_every_network_the_fit_and_the_predicted_slope_through_its_middle(tmp_path, monkeypatch):
    frame = frame_of(tmp_path, monkeypatch, -0.75)
    drawn = scaling_picture.picture(frame, "hessian_norm")
    (series,) = drawn.series
    widths = np.array(FEW.widths, float)
    assert sorted(series.widths) == sorted(list(FEW.widths) * 3)
    np.testing.assert_allclose(series.values, 3.0 * np.array(series.widths) ** -0.75, rtol=1e-12)
    np.testing.assert_allclose(series.line, 3.0 * widths**-0.75, rtol=1e-9)
    middle = np.exp(np.log(widths).mean())
    np.testing.assert_allclose(series.predicted, 3.0 * middle**-0.75 * (widths / middle) ** -0.5, rtol=1e-9)
    assert "-0.75 [-0.75, -0.75], predicted -1/2" in series.legend
    ((sentence, verdict),) = drawn.sentences
    assert verdict == "inconsistent"
    assert "falls like m^-0.75" in sentence
    assert [row[1:4] for row in drawn.rows] == [(str(width), "3", f"{3.0 * width**-0.75:.4g}") for width in FEW.widths]


def test_a_quantity_that_no_network_has_is_said_to_be_none(tmp_path, monkeypatch):
    monkeypatch.setattr("assembly.study.engine._run_on_processes", in_process)
    study = specified([SMALL], Choices("rms_cosine_layer_{l}", 4, 64, 3, 1))
    frame = Visitor().run(study, tmp_path)
    assert (frame.status, frame.n_done, frame.findings) == ("whole", 15, ())
    assert "no such quantity" in frame.sentence


def test_a_stop_loses_no_point_that_was_measured(tmp_path, monkeypatch):
    monkeypatch.setattr("assembly.study.engine._run_on_processes", in_process)
    visitor, measured = Visitor(), []

    def one(point, samples):
        measured.append(point.key)
        if len(measured) == 7:
            visitor.live.stop()
        return {"hessian_norm": 1.0}

    monkeypatch.setattr("assembly.study.measure.measure", one)
    paused = visitor.run(specified([SMALL], FEW), tmp_path)
    assert (paused.status, paused.n_done) == ("paused", 7)
    with Path(tmp_path, "results.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 7
    whole = visitor.run(specified([SMALL], FEW), tmp_path)
    assert (whole.status, len(measured), len(set(measured))) == ("whole", 15, 15)
