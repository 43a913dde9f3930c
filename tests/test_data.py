import io
import pickle
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assembly import data
from assembly.errors import ArgumentError, DataError, UnknownNameError


@pytest.mark.parametrize(
    ("name", "shape"),
    [("digits", (1797, 64)), ("breast-cancer", (569, 30)), ("diabetes", (442, 10)), ("wine", (178, 13))],
)
def test_built_in_sets_are_standardised_then_scaled_to_the_sphere(name, shape):
    from sklearn import datasets

    loaded = data.load(name)
    raw = getattr(datasets, f"load_{name.replace('-', '_')}")().data
    centred = raw - raw.mean(axis=0)
    deviation = raw.std(axis=0)
    centred[:, deviation > 0] /= deviation[deviation > 0]
    expected = centred * np.sqrt(shape[1]) / np.linalg.norm(centred, axis=1, keepdims=True)
    assert loaded.inputs.shape == shape
    np.testing.assert_allclose(loaded.inputs, expected, atol=1e-9)
    np.testing.assert_allclose(np.linalg.norm(loaded.inputs, axis=1), np.sqrt(shape[1]), rtol=1e-14)
    assert set(loaded.targets) == {-1.0, 1.0}
    assert loaded.name in loaded.description
    assert "\n" not in loaded.description


@pytest.mark.parametrize("name", data.BUILT_IN)
def test_the_shipped_files_hold_what_scikit_learn_loads(name, monkeypatch):
    inputs, targets, names = data._shipped(name)
    expected, expected_targets, expected_names = data._through_scikit_learn(name)
    np.testing.assert_array_equal(inputs, expected)
    np.testing.assert_array_equal(targets, expected_targets)
    assert names == expected_names
    before = data.load(name)
    monkeypatch.setattr(data, "find_spec", lambda name: None)
    assert data.load(name).fingerprint == before.fingerprint
    assert data.load(name).description == before.description


def test_a_built_in_set_loads_without_the_second_that_scikit_learn_takes_to_import():
    code = "import sys; from assembly import data; data.load('digits'); print('sklearn' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


def test_digits_target_is_even_against_odd():
    from sklearn import datasets

    classes = datasets.load_digits().target
    np.testing.assert_array_equal(data.load("digits").targets, np.where(classes % 2 == 0, 1.0, -1.0))
    np.testing.assert_array_equal(data.load("digits", "even").targets, data.load("digits").targets)
    np.testing.assert_array_equal(data.load("digits", 3).targets, np.where(classes == 3, 1.0, -1.0))
    np.testing.assert_array_equal(data.load("digits", "3").targets, np.where(classes == 3, 1.0, -1.0))


def test_constant_columns_of_digits_become_zero():
    assert not data.load("digits").inputs[:, 0].any()


@pytest.mark.parametrize(
    ("name", "target"),
    [("digits", "odd"), ("digits", 10), ("digits", -1), ("wine", "even"), ("diabetes", 0), ("wine", 3)],
)
def test_unknown_targets_are_refused(name, target):
    with pytest.raises(UnknownNameError, match=f"target of {name} must be"):
        data.load(name, target)


def test_a_near_miss_is_suggested():
    with pytest.raises(UnknownNameError, match="Did you mean 'digits'"):
        data.load("digit")


def measured_inputs(*arguments, **options):
    return data.measured_samples(*arguments, **options).inputs


def test_measured_inputs_are_different_rows_fixed_by_the_seed_alone():
    wine = data.load("wine")
    chosen = measured_inputs(wine, 5, seed=3)
    np.testing.assert_array_equal(chosen, measured_inputs(wine, 5, seed=3))
    np.testing.assert_array_equal(chosen[:2], measured_inputs(wine, 2, seed=3))
    assert not np.array_equal(chosen, measured_inputs(wine, 5, seed=4))
    rows = [int(np.flatnonzero((wine.inputs == row).all(axis=1))[0]) for row in chosen]
    assert len(set(rows)) == 5


def test_measured_inputs_are_pinned():
    """Another choice would make results of earlier runs wrong without a word."""
    order = measured_inputs(data.Data("n", np.arange(50.0)[:, None], np.zeros(50), "", ""), 4, seed=0)
    assert order[:, 0].tolist() == [47.0, 28.0, 21.0, 25.0]


def test_more_measured_inputs_than_rows_are_refused():
    with pytest.raises(ArgumentError, match="at most 178"):
        measured_inputs(data.load("wine"), 179, seed=0)


# --- files -----------------------------------------------------------------------------------------------------------

TABLE = np.array([[1.0, 10.0, 5.0], [2.0, 30.0, 7.0], [4.0, 20.0, 5.0], [3.0, 80.0, 7.0]])


def write(folder, name, content):
    path = folder / name
    path.write_bytes(content) if isinstance(content, bytes) else path.write_text(content, encoding="utf-8")
    return path


def csv_of(table, header=""):
    return header + "".join(",".join(repr(float(value)) for value in row) + "\n" for row in table)


def check_table(loaded):
    columns = TABLE[:, :2]
    standard = (columns - columns.mean(axis=0)) / columns.std(axis=0)
    np.testing.assert_allclose(loaded.inputs, standard * np.sqrt(2) / np.linalg.norm(standard, axis=1, keepdims=True))
    assert loaded.targets.tolist() == [-1.0, 1.0, -1.0, 1.0]


def test_csv_npy_and_npz_of_one_table_agree(tmp_path):
    np.save(tmp_path / "a.npy", TABLE)
    np.savez(tmp_path / "b.npz", TABLE)
    np.savez(tmp_path / "c.npz", inputs=TABLE[:, :2], targets=TABLE[:, 2])
    np.savez(tmp_path / "d.npz", X=TABLE[:, :2].astype(np.float32), y=TABLE[:, 2].astype(int))
    write(tmp_path, "e.csv", csv_of(TABLE))
    write(tmp_path, "f.CSV", "\ufeff" + csv_of(TABLE, "size, weight ,kind\r\n\r\n").replace("\n", "\r\n"))
    write(tmp_path, "g.csv", '"a","b","c"\n' + csv_of(TABLE))
    for name in ("a.npy", "b.npz", "c.npz", "d.npz", "e.csv", "f.CSV", "g.csv"):
        check_table(data.load(tmp_path / name))


@pytest.mark.parametrize("target", ["kind", 0, -3, "0"])
def test_the_target_column_is_chosen_by_name_or_index(tmp_path, target):
    path = write(tmp_path, "t.csv", csv_of(TABLE[:, [2, 0, 1]], "kind,size,weight\n"))
    check_table(data.load(path, target))


def test_a_target_with_many_values_is_standardised(tmp_path):
    loaded = data.load(write(tmp_path, "t.csv", csv_of(TABLE)), 1)
    np.testing.assert_allclose([loaded.targets.mean(), loaded.targets.std()], [0.0, 1.0], atol=1e-15)


PROBLEMS = {
    "missing.csv": (None, "does not exist"),
    "missing.npy": (None, "does not exist"),
    "empty.csv": ("", "holds no numbers"),
    "names.csv": ("a,b\n", "holds no numbers"),
    "text.csv": ("1,2\n3,four\n", "'four' in line 2, column 2"),
    "half.csv": ("1,two\n3,4\n", "'two' in line 1, column 2"),
    "nan.csv": ("1,2\n3,nan\n", "nan in line 2, column 2"),
    "infinite.csv": ("1,2\n3,inf\n5,6\n", "inf in line 2, column 2"),
    "hole.csv": ("1,2\n3,\n", "'' in line 2, column 2"),
    "ragged.csv": ("1,2\n3,4,5\n", "Got 3 in line 2, 2 before"),
    "header.csv": ("a,b,c\n3,4\n", "Got 2 in line 2, 3 before"),
    "semicolon.csv": ("1;2\n3;4\n", "commas"),
    "quote.csv": ('"1,2\n3,4\n', "no valid CSV"),
    "binary.csv": (b"\xff\xfe\x00\x01,\x80", "UTF-8 text: CSV with commas. Got the byte 0xff"),
    "column.csv": ("1\n2\n3\n", "at least 2 columns"),
    "row.csv": ("1,2,3\n", "at least 2 rows"),
    "mean.csv": ("1,0\n2,0\n3,1\n", "row 1, counted from 0"),
    "text.npy": (b"hello world", "no complete NPY file"),
    "text.npz": (b"hello world", "no complete NPZ file"),
    "empty.npy": (b"", "no complete NPY file"),
    "empty.npz": (b"", "no complete NPZ file"),
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_a_bad_file_gives_one_line_that_names_the_place(tmp_path, name):
    content, message = PROBLEMS[name]
    path = tmp_path / name if content is None else write(tmp_path, name, content)
    with pytest.raises(DataError, match=message) as caught:
        data.load(path)
    assert "\n" not in str(caught.value)
    assert name in str(caught.value)


@pytest.mark.parametrize(
    "array",
    [
        np.array(["a", "b"]),
        np.array([[1 + 2j, 1], [2, 3]]),
        np.array([[1.0, np.nan], [2.0, 3.0]]),
        np.array([[1.0, 2.0], [np.inf, 3.0]]),
        np.arange(5.0),
        np.zeros((2, 3, 4)),
        np.array(3.0),
        np.zeros((0, 4)),
        np.zeros((5, 1)),
        np.array([("x", 1.0)], dtype=[("n", "U3"), ("v", float)]),
    ],
)
def test_arrays_that_are_no_table_of_finite_numbers_are_refused(tmp_path, array):
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(DataError, match=r"a\.npy"):
        data.load(tmp_path / "a.npy")


def test_a_pickle_is_never_loaded(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (write, (tmp_path, "exploded", ""))

    np.save(tmp_path / "object.npy", np.array([Bomb()], dtype=object), allow_pickle=True)
    np.savez(tmp_path / "object.npz", inputs=np.array([Bomb()], dtype=object), targets=np.zeros(1))
    (tmp_path / "raw.npy").write_bytes(pickle.dumps(Bomb()))
    for name in ("object.npy", "object.npz", "raw.npy"):
        with pytest.raises(DataError, match=name):
            data.load(tmp_path / name)
    assert not (tmp_path / "exploded").exists()


def test_truncated_files_are_refused_at_every_length(tmp_path):
    buffer = io.BytesIO()
    np.save(buffer, TABLE)
    npy = buffer.getvalue()
    np.savez(tmp_path / "whole.npz", inputs=TABLE[:, :2], targets=TABLE[:, 2])
    npz = (tmp_path / "whole.npz").read_bytes()
    for suffix, content in (("npy", npy), ("npz", npz)):
        for length in range(0, len(content), 7):
            path = write(tmp_path, f"cut.{suffix}", content[:length])
            with pytest.raises(DataError):
                data.load(path)


def test_damage_inside_an_npz_is_refused(tmp_path):
    np.savez(tmp_path / "a.npz", inputs=TABLE[:, :2], targets=TABLE[:, 2])
    content = bytearray((tmp_path / "a.npz").read_bytes())
    with zipfile.ZipFile(tmp_path / "a.npz") as archive:
        place = archive.getinfo("inputs.npy").header_offset
    content[place + 180] ^= 0xFF
    with pytest.raises(DataError, match="no complete NPZ"):
        data.load(write(tmp_path, "a.npz", bytes(content)))


def test_a_folder_in_place_of_a_file_is_refused(tmp_path):
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(DataError, match="cannot be read"):
        data.load(tmp_path / "folder.csv")


@pytest.mark.parametrize("target", ["prize", 3, -4])
def test_an_unknown_column_is_refused(tmp_path, target):
    path = write(tmp_path, "t.csv", csv_of(TABLE, "size,price,kind\n"))
    with pytest.raises(UnknownNameError, match="column"):
        data.load(path, target)


@given(scale=st.floats(1e-300, 1e300), shift=st.floats(-10, 10))
def test_units_do_not_matter(tmp_path_factory, scale, shift):
    table = np.random.default_rng(0).standard_normal((6, 3))
    path = tmp_path_factory.mktemp("units") / "t.npy"
    np.save(path, table)
    expected = data.load(path).inputs
    np.save(path, (table + shift) * [scale, 1.0, 1.0])
    np.testing.assert_allclose(data.load(path).inputs, expected, rtol=1e-9, atol=1e-9)


def test_the_fingerprint_follows_the_numbers_not_the_name(tmp_path):
    np.save(tmp_path / "a.npy", TABLE)
    np.save(tmp_path / "b.npy", TABLE)
    changed = TABLE.copy()
    changed[0, 0] = np.nextafter(changed[0, 0], 2.0)
    np.save(tmp_path / "c.npy", changed)
    a, b, c = (data.load(tmp_path / f"{name}.npy").fingerprint for name in "abc")
    assert a == b != c
    assert data.load(tmp_path / "a.npy", 0).fingerprint != a


def test_arrays_cannot_be_changed_by_accident():
    with pytest.raises(ValueError, match="read-only"):
        data.load("wine").inputs[0, 0] = 1.0
