"""Networks from files of a visitor: read as the command line does, within limits, and held while their page lives.

A network is known by the name of its file and the beginning of its SHA-256. The address of a page holds that key and
no network: `held` finds what a page of this server still keeps, and nothing else.
"""

from __future__ import annotations

import hashlib
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from assembly.errors import ArgumentError, DataError, ResourceError

if TYPE_CHECKING:
    from assembly.model import Assembly

LARGEST_FILES = 8 * 2**20  # bytes, all files of a network together
LARGEST_UNPACKED = 2**26  # bytes of the arrays of an NPZ file
LARGEST_NETWORK = 10**7  # edges, and parameters
MOST_NEURONS = 10**5
MOST_GROUPS = 1000
LONGEST_NAME = 60  # characters
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9 ()._-]*\.(json|npz)")
_KEY = re.compile(r"([A-Za-z0-9_][A-Za-z0-9 ()._-]*\.json):[0-9a-f]{16}")


@dataclass(frozen=True, eq=False)
class Upload:
    """The files of one network, which read well; made by `read`.

    Attributes
    ----------
    key : str
        Name of the JSON file, and the beginning of the SHA-256 of all.
    name : str
        Of the JSON file.
    """

    key: str
    name: str
    _files: Mapping[str, bytes] = field(repr=False)

    @cached_property
    def first(self) -> Assembly:
        """The first output of the network as a network; weights that no file gives are drawn by the seed 0."""
        return self.network(0)

    def network(self, seed: int) -> Assembly:
        """Return the first output of the network; weights that the files do not give are drawn by the seed."""
        from assembly import interchange  # the first page of a server does without
        from assembly.study.measure import first_output

        with TemporaryDirectory(prefix="assembly-") as folder:
            for name, content in self._files.items():
                Path(folder, name).write_bytes(content)
            path = Path(folder, self.name)
            _check_size(path)
            return first_output(interchange.load(path, seed=seed))


_HELD: WeakValueDictionary[str, Upload] = WeakValueDictionary()


def read(contents: Mapping[str, bytes]) -> Upload:
    """Return the network of a JSON file, and of the NPZ file beside it if it has one.

    Whoever keeps what is returned lets `held` find it.

    Parameters
    ----------
    contents : mapping from str to bytes
        Names of files without a folder -> what they hold.

    Raises
    ------
    ArgumentError
        If there is not one JSON file and at most one NPZ file, or a name is no plain name.
    ResourceError
        If the files have more than 8 MiB, the arrays more than 64 MiB, or the network more than 10^7 edges, 10^5
        neurons, or 1000 groups and connections.
    DataError, GraphError, ShapeError, NonFiniteError, UnknownNameError
        As `assembly.load`.

    Notes
    -----
    Cost: the files are written to a folder of their own, read twice, and the folder is removed.

    Examples
    --------
    >>> text = b'{"format": "assembly-neurons", "version": 1, "inputs": ["x"], "neurons": {"f": {"activation": "tanh",'
    >>> found = read({"net.json": text + b' "parents": {"x": 0.5}}}}'})
    >>> found.name, found.first.n_inputs, held(found.key) is found
    ('net.json', 1, True)
    """
    n_bytes = sum(map(len, contents.values()))
    if n_bytes > LARGEST_FILES:
        raise ResourceError(too_large(n_bytes))
    for name in contents:
        if not _NAME.fullmatch(name) or len(name) > LONGEST_NAME:
            raise ArgumentError(
                f"The name of a file must end in .json or .npz and have at most {LONGEST_NAME} characters, letters "
                f"without accents, digits, spaces and ()._- only. Got {name[:LONGEST_NAME]!r}."
            )
    names = [name for name in contents if name.endswith(".json")]
    if len(names) != 1 or len(contents) > 2:
        raise ArgumentError(
            "A network is one JSON file, with the NPZ file of its weights if it has one: choose both at once. "
            f"Got {', '.join(sorted(contents)) or 'none'}."
        )
    digest = hashlib.sha256(b"".join(hashlib.sha256(contents[name]).digest() for name in sorted(contents)))
    found = Upload(f"{names[0]}:{digest.hexdigest()[:16]}", names[0], dict(contents))
    _ = found.first
    return _HELD.setdefault(found.key, found)


def held(key: str) -> Upload:
    """Return a network that a page of this server keeps.

    Raises
    ------
    ArgumentError
        If there is none: the server was started anew, the page is gone, or the address came from elsewhere.
    """
    found = _HELD.get(key)
    if found is None:
        raise ArgumentError(missing(key))
    return found


def too_large(n_bytes: int) -> str:
    """Return the sentence on files that are too large.

    Examples
    --------
    >>> too_large(10**7)[:66]
    'The files of a network may have 8 MiB together. Got 9.5 MiB: look '
    """
    return (
        f"The files of a network may have {LARGEST_FILES // 2**20} MiB together. Got {n_bytes / 2**20:.1f} MiB: look "
        "at larger ones with `assembly inspect NET.json`, or with am.explore in a notebook."
    )


def missing(key: str) -> str:
    """Return the sentence on a network that is not held.

    Examples
    --------
    >>> missing("net.json:0123456789abcdef")[:70]
    "The address is of the network in the file 'net.json', which no address"
    """
    found = _KEY.fullmatch(key)
    if found is None:
        return f"The 'file' argument must be the key of a network that was uploaded. Got {key[:40]!r}."
    return (
        f"The address is of the network in the file {found[1]!r}, which no address can hold; only the page that it was "
        "given to keeps it: upload it again."
    )


def _check_size(path: Path) -> None:
    """Refuse a network that is too large, before anything of its size is made."""
    from assembly.graph import files

    for one in path.parent.glob("*.npz"):
        _check_unpacked(one)
    document = files.read_document(path)
    neurons, graph = document.get("neurons"), document.get("graph")
    if isinstance(neurons, dict):
        _check_at_most("neurons", len(neurons), MOST_NEURONS)
    if not isinstance(graph, dict):
        return
    groups, connections = (_entries(graph.get(key)) for key in ("groups", "connections"))
    _check_at_most("groups and connections", len(groups) + len(connections), MOST_GROUPS)
    _check_at_most("neurons", sum(_whole(one.get("size")) for one in groups), MOST_NEURONS)
    _check_at_most("parameters", sum(_whole(one.get("n_weights")) for one in connections), LARGEST_NETWORK)
    found = files.read_graph(path, document)[0]
    _check_at_most("edges", sum(one.n_edges for one in found.connections), LARGEST_NETWORK)
    _check_at_most("parameters", found.n_parameters, LARGEST_NETWORK)


def _check_unpacked(path: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            n_bytes = sum(one.file_size for one in archive.infolist())
    except (zipfile.BadZipFile, ValueError, EOFError, NotImplementedError):
        raise DataError(f"The file {path.name!r} must be a complete NPZ file of numbers.") from None
    if n_bytes > LARGEST_UNPACKED:
        raise ResourceError(
            f"The arrays of {path.name!r} may have {LARGEST_UNPACKED // 2**20} MiB. Got {n_bytes / 2**20:,.0f} MiB."
        )


def _check_at_most(what: str, number: int, most: int) -> None:
    if number > most:
        raise ResourceError(f"A network on this page may have {most:,} {what}. Got {number:,}.")


def _entries(found: Any) -> list[dict[str, Any]]:
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _whole(value: Any) -> int:
    return value if isinstance(value, int) and value > 0 else 0
