"""Every job: the networks it is done on, and the sides that do it. The first side of a job is what ratios refer to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from speed.networks import Network, shape_text

BOTH = ("float64", "float32")
TOL = {"float64": 1e-6, "float32": 1e-4}  # of residuals; float32 reaches no 1e-6
HUGE_PAGES = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}  # malloc asks for them; numpy does so by itself


@dataclass(frozen=True)
class Side:
    """Who does a job, and how.

    Attributes
    ----------
    key, label : str
        In the JSON and in the tables.
    target : str
        Module and function, ``module:function`` below `speed`.
    options : dict
        Given to the function.
    needs : tuple of str
        Modules without which the side is missing.
    environment : dict
        Set for its process.
    compiles_long : bool
        Left out of a quick run.
    """

    key: str
    label: str
    target: str
    options: dict[str, Any] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    compiles_long: bool = False


@dataclass(frozen=True)
class Case:
    """One job on one network.

    Attributes
    ----------
    job, name : str
        The name is ``job/size/dtype``.
    network : Network
    sides : tuple of Side
    question : str
        What `speed.truth` answers; none where the network is too large to write down.
    tol : float
        Relative residual that is asked for.
    is_quick : bool
        Done by ``--quick``, and then only.
    by_name : bool
        Done only when its name is given.
    """

    job: str
    name: str
    network: Network
    sides: tuple[Side, ...]
    question: str
    tol: float
    is_quick: bool = False
    by_name: bool = False


def _ours(key: str, label: str, function: str, **options: Any) -> Side:
    return Side(f"ours-{key}", label, f"sides.ours:{function}", options)


def _jax(key: str, label: str, function: str, **options: Any) -> Side:
    return Side(f"jax-{key}", f"JAX, {label}", f"sides.jax_sides:{function}", options, ("jax",))


def _torch(key: str, label: str, function: str, **options: Any) -> Side:
    long = bool(options.get("compiled"))
    name, target = "torch.compile" if long else "torch", f"sides.torch_sides:{function}"
    return Side(f"torch-{key}", f"{name}, {label}", target, options, ("torch",), compiles_long=long)


def _neural_tangents(function: str) -> Side:
    target = f"sides.neural_tangents_sides:{function}"
    return Side("neural-tangents", "neural-tangents, structured", target, needs=("neural_tangents",))


def _huge(side: Side) -> Side:
    return replace(side, key=f"{side.key}-huge", label=f"{side.label}, huge pages", environment=HUGE_PAGES)


PACKAGES = tuple(
    Side(key, label, f"sides.package_sides:{function}", needs=("torch", module))
    for key, label, function, module in (
        ("curvlinops", "curvlinops, eigsh", "curvlinops", "curvlinops"),
        ("hessian-eigenthings", "hessian-eigenthings, 60 steps", "hessian_eigenthings", "hessian_eigenthings"),
        ("pyhessian", "PyHessian, as it stops", "pyhessian", "pyhessian"),
    )
)
GRADIENT = (
    _ours("gradient", "ours, `net.gradient(x, out=g)`", "gradient", into_buffer=True),
    _ours("gradient-anew", "ours, `net.gradient(x)`", "gradient"),
    _jax("gradient", "jitted grad", "gradient"),
    _huge(_jax("gradient", "jitted grad", "gradient")),
    _torch("gradient", "autograd", "gradient"),
    _huge(_torch("gradient", "autograd", "gradient")),
)
PRODUCT = (
    _ours("product", "ours, `H @ v`", "product", evaluated=True),
    _ours("whole", "ours, `net.hessian(x) @ v`", "product", evaluated=False),
    _ours("node-space", "ours, node space `M(N(u))`", "node_product"),
    _jax("product", "jvp of grad", "product"),
    _huge(_jax("product", "jvp of grad", "product")),
    _jax("linearized", "linearize of grad", "linearized"),
    _torch("product", "jvp of grad", "product"),
    _torch("compiled", "jvp of grad", "product", compiled=True),
    _huge(_torch("compiled", "jvp of grad", "product", compiled=True)),
)
LANCZOS = (
    _jax("lanczos", "three-term Lanczos", "lanczos"),
    _huge(_jax("lanczos", "three-term Lanczos", "lanczos")),
    _jax("kept", "three-term Lanczos, vectors kept", "lanczos", keep=True),
    _jax("eigsh", "eigsh", "eigsh"),
    _torch("lanczos", "three-term Lanczos", "lanczos"),
    _torch("compiled", "three-term Lanczos", "lanczos", compiled=True),
    _huge(_torch("compiled", "three-term Lanczos", "lanczos", compiled=True)),
)
OURS = (
    _ours("norm", "ours, `H.norm()`", "norm", tol=None),
    _ours("pair", "ours, to the peers' residual", "norm"),
)
NORMS = (
    _ours("together", "ours, `net.hessian_norms(X)`", "norms", tol=None, together=True),
    _ours("together-tol", "ours, to the peers' residual", "norms", together=True),
    _ours("single", "ours, 64 calls of `H.norm()`", "norms", tol=None, together=False),
    _jax("vmapped", "three-term Lanczos under vmap", "norms_vmapped"),
    _jax("single", "three-term Lanczos, one by one", "norms_one_by_one"),
    _torch("compiled", "three-term Lanczos, one by one", "norms_one_by_one", compiled=True),
    _torch("single", "three-term Lanczos, one by one", "norms_one_by_one"),
)
KERNEL = (
    _ours("kernel", "ours, `net.tangent_kernel(X)`", "kernel"),
    _jax("kernel", "hand-written, layer by layer", "kernel"),
    _huge(_jax("kernel", "hand-written, layer by layer", "kernel")),
    _torch("kernel", "hand-written, layer by layer", "kernel"),
    _neural_tangents("kernel"),
    _jax("jacobians", "product of Jacobians", "kernel_by_jacobians"),
)
GRAM = (
    _ours("gram", "ours, `net.layers[-2].gram(x)`", "gram"),
    _jax("gram", "hand-written recursion", "gram"),
    _huge(_jax("gram", "hand-written recursion", "gram")),
    _torch("gram", "hand-written recursion", "gram"),
    _neural_tangents("gram"),
)
TRAIN = (
    _ours("train", "ours, `am.train`, nothing recorded", "train", every=200, record=(), beside=()),
    _jax("train", "jitted step", "train"),
    _huge(_jax("train", "jitted step", "train")),
    _torch("train", "autograd and SGD", "train"),
    _ours("recorded", "ours, everything recorded 20 times", "train", beside=()),
    _ours("beside", "ours, the linearised model beside", "train", every=200, record=()),
)
SPARSE = (
    _ours("product", "ours, `H @ v`", "product", evaluated=True),
    _ours("whole", "ours, `net.hessian(x) @ v`", "product", evaluated=False),
    _ours("node-space", "ours, node space `M(N(u))`", "node_product"),
    _jax("segments", "segment_sum", "product", form="segments"),
)
GATHER = _jax("gather", "gather", "product", form="gather")
TORCH_SPARSE = (
    _torch("product", "jvp of grad, gather", "product"),
    _torch("backward", "double backward, gather", "double_backward"),
)
STEP = (
    _ours("step", "ours, a step of `H.norm()`", "step", tol=None),
    _ours("node-space", "ours, node space `M(N(u))`", "node_step"),
)
STUDY = (
    _ours("study", "ours, a loop of `H.norm(1e-4)`", "study"),
    _jax("study", "a loop of three-term Lanczos", "study"),
)
BANDWIDTH = Side("bandwidth", "read bandwidth", "bandwidth:read")
ALONE = (_ours("norm", "ours, `H.norm(1e-4)`", "norm_alone"),)


def cases() -> list[Case]:
    """Return every case of every job, quick ones included."""
    return [*_full(), *_quick()]


def _full() -> Iterator[Case]:
    for dtype in BOTH:
        yield _case("gradient", "gradient", _mlp(3, 4096, dtype), GRADIENT)
        yield _case("hvp", "product", _mlp(3, 4096, dtype), PRODUCT)
        yield _case("hvp", "product", _mlp(2, 4096, dtype), PRODUCT)
        for n_layers in (1, 2, 3):
            for width in (256, 1024, 4096, 8192):
                yield _norm("norm", _mlp(n_layers, width, dtype), PACKAGES)
        yield _case("inputs", "norms", _mlp(2, 1024, dtype, 64), NORMS)
        yield _case("kernel", "kernel", _mlp(3, 4096, dtype, 128), KERNEL)
        yield _case("gram", "gram", _mlp(3, 4096, dtype), GRAM)
        yield _case("training", "trained", _mlp(3, 1024, dtype, 128), TRAIN)
        yield _case("sparse", "product", Network("dag", (10, 2000, 104), dtype), (*SPARSE, GATHER, *TORCH_SPARSE))
        yield _case("sparse", "product", Network("uneven", (10, 2000, 104), dtype), (*SPARSE, *TORCH_SPARSE))
        yield _norm("cnn", Network("cnn", (32, 64, 3), dtype))
        yield _norm("resnet", Network("resnet", (1024, 4), dtype))
        for n_layers, width in ((2, 4096), (3, 4096), (2, 8192), (3, 8192)):
            yield _case("step", "norms", _mlp(n_layers, width, dtype), STEP)
        yield _alone("edges", Network("dag", (10, 104_000, 100), dtype))
    yield _case("inputs", "norms", _mlp(2, 4096, "float64", 64), NORMS)
    yield replace(_case("study", "norms", Network("study", (10, 64, 128, 256, 512, 1024, 2048)), STUDY), tol=1e-4)
    yield _alone("size", _mlp(5, 16384, "float32"))


def _quick() -> Iterator[Case]:
    network = _mlp(2, 128, "float64")
    several = replace(network, n_samples=4)
    sparse = Network("uneven", (3, 300, 20))
    small = [
        _case("gradient", "gradient", network, (GRADIENT[0], GRADIENT[2])),
        _case("hvp", "product", network, (PRODUCT[0], PRODUCT[3], PRODUCT[6])),
        _case("norm", "norms", network, (OURS[0], LANCZOS[0], LANCZOS[4])),
        _case("inputs", "norms", several, (NORMS[2], NORMS[3])),
        _case("kernel", "kernel", several, KERNEL[:2]),
        _case("gram", "gram", network, GRAM[:2]),
        _case("training", "trained", several, TRAIN[:2]),
        _case("sparse", "product", sparse, (SPARSE[0], SPARSE[3])),
        _case("cnn", "norms", Network("cnn", (8, 4, 2)), (OURS[1], LANCZOS[0])),
        _case("resnet", "norms", Network("resnet", (32, 2)), (OURS[1], LANCZOS[0])),
        _case("step", "norms", network, STEP[:1]),
        replace(_case("study", "norms", Network("study", (2, 16, 32)), STUDY), tol=1e-4),
        _alone("edges", Network("dag", (3, 1000, 30))),
        _alone("size", _mlp(3, 256, "float32")),
    ]
    for case in small:
        sides = tuple(side for side in case.sides if not side.compiles_long and not side.environment)
        name = case.name.replace(f"{case.job}/", f"{case.job}/quick/", 1)
        yield replace(case, name=name, sides=sides, is_quick=True, by_name=False)


def _mlp(n_layers: int, width: int, dtype: str, n_samples: int = 1) -> Network:
    return Network("mlp", (width,) * n_layers, dtype, n_samples)


def _norm(job: str, network: Network, packages: tuple[Side, ...] = ()) -> Case:
    return _case(job, "norms", network, (*OURS, *LANCZOS, *packages))


def _case(job: str, question: str, network: Network, sides: tuple[Side, ...]) -> Case:
    kind = "uneven-" if network.kind == "uneven" else ""
    name = f"{job}/{kind}{shape_text(network)}/{network.dtype}"
    return Case(job, name, network, sides, question, TOL[network.dtype])


def _alone(job: str, network: Network) -> Case:
    return replace(_case(job, "", network, ALONE), tol=1e-4, by_name=True)


def chosen(names: list[str], quick: bool) -> list[Case]:
    """Return the cases whose names begin with one of those given; without names all but those done by name only.

    Raises
    ------
    ValueError
        If a name fits no case.
    """
    every = [case for case in cases() if case.is_quick == quick]
    if not names:
        return [case for case in every if not case.by_name]
    for name in names:
        if not any(_fits(case, name) for case in every):
            known = ", ".join(dict.fromkeys(case.job for case in every))
            raise ValueError(f"no case is called {name!r}; jobs are {known}")
    return [case for case in every if any(_fits(case, name) for name in names)]


def _fits(case: Case, name: str) -> bool:
    parts = case.name.replace("/quick/", "/").split("/")
    wanted = name.strip("/").split("/")
    return parts[: len(wanted)] == wanted
