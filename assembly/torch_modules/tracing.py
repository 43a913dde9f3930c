"""A module as a fixed sequence of operations: a copy in eval mode and float64, traced by torch.fx."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import fx, nn
from torch.nn import functional
from torch.nn.parameter import UninitializedParameter

from assembly.checks import check_counts
from assembly.errors import ArgumentError, GraphError
from assembly.torch_export.module import TorchAssembly
from assembly.torch_modules.draft import UnsupportedError

HOOKS = ("_forward_pre_hooks", "_forward_hooks", "_backward_pre_hooks", "_backward_hooks")
SHAPELESS = (nn.Flatten, nn.Identity, nn.Dropout)


class _Tracer(fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Return whether a module stands for itself: those of torch, and exported assemblies."""
        return isinstance(m, TorchAssembly) or super().is_leaf_module(m, module_qualified_name)

    def create_node(self, *what: Any, **more: Any) -> fx.Node:
        """Return a new node; tracing forgets that gradients were off."""
        if not torch.is_grad_enabled():
            raise UnsupportedError("gradients are off in a part of its forward: use requires_grad=False instead")
        return super().create_node(*what, **more)


def trace(module: nn.Module) -> tuple[nn.Module, fx.Graph]:
    """Return a copy of a module, in eval mode, on the CPU and in float64, and its operations.

    Raises
    ------
    GraphError
        If the module has hooks or parameters without numbers, or its forward depends on the data or on chance.
    ArgumentError
        If a parameter is not real.
    """
    _check(module)
    name = type(module).__name__
    try:
        root = copy.deepcopy(module).eval().to("cpu", torch.float64)
        tracer = _Tracer()
        if tracer.is_leaf_module(root, ""):
            root = nn.Sequential(root)
        with torch.enable_grad(), torch.random.fork_rng(devices=[]):
            before = torch.get_rng_state()
            graph = tracer.trace(root)
            if not torch.equal(before, torch.get_rng_state()):
                raise UnsupportedError("its forward draws random numbers: an assembly is one function")
    except UnsupportedError as why:
        raise GraphError(f"{name} is not supported: {why}.") from None
    except Exception as error:  # whatever the forward of a stranger raises
        raise GraphError(
            f"torch.fx cannot trace {name}: {first_line(error)}. The forward must do the same for every input, "
            f"without 'if', 'for' or 'assert' on values."
        ) from error
    inputs = [node.name for node in graph.nodes if node.op == "placeholder"]
    if len(inputs) != 1:
        raise GraphError(f"The forward of {name} must take one tensor and nothing else. It takes {', '.join(inputs)}.")
    return root, graph


def shape_of_input(input_shape: Any, root: nn.Module, graph: fx.Graph) -> tuple[int, ...]:
    """Return the shape given, or that which a first nn.Linear takes."""
    if input_shape is not None:
        return check_counts("input_shape", input_shape)
    node = next(node for node in graph.nodes if node.op == "placeholder")
    while True:
        users = list(node.users)
        for user in users:
            found = _features(root, user)
            if found is not None:
                return (found,)
        if len(users) == 1 and users[0].op == "call_module" and isinstance(module_at(root, users[0]), SHAPELESS):
            node = users[0]
            continue
        first = described(root, users[0]) if users else "nothing"
        raise ArgumentError(
            f"The 'input_shape' argument must be given, such as (3, 8, 8), without the batch dimension: what comes "
            f"first is {first}, not nn.Linear."
        )


def described(root: nn.Module, node: fx.Node) -> str:
    """Return what a node is and where it stands, for messages."""
    if node.op == "call_module":
        return f"{kind_of(module_at(root, node))} at {node.target!r}"
    path = list(node.meta.get("nn_module_stack", {"": None}))[-1]
    where = f" in {path!r}" if path else ""
    if node.op == "call_method":
        return f"the method .{node.target}(){where}"
    if node.target is getattr:
        return f"the attribute .{node.args[1]}{where}"
    return f"the function {getattr(node.target, '__name__', node.target)}{where}"


def kind_of(module: nn.Module) -> str:
    """Return the class of a module as users write it."""
    kind = type(module)
    return f"nn.{kind.__name__}" if kind.__module__.startswith("torch.nn.modules") else kind.__name__


def module_at(root: nn.Module, node: fx.Node) -> nn.Module:
    """Return the module that a node calls."""
    return root.get_submodule(str(node.target))


def first_line(error: Exception) -> str:
    """Return the first line of a message, without a full stop."""
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")


def _check(module: nn.Module) -> None:
    for name, parameter in module.named_parameters():
        if isinstance(parameter, UninitializedParameter) or parameter.is_meta:
            raise GraphError(f"The parameter {name!r} holds no numbers yet: initialise it, by one call of the module.")
        if not parameter.is_floating_point():
            raise ArgumentError(f"The parameter {name!r} must hold real numbers. Got {parameter.dtype}.")
    for path, part in module.named_modules():
        where = f"{kind_of(part)} at {path!r}" if path else kind_of(part)
        if any(getattr(part, hooks) for hooks in HOOKS):
            raise GraphError(f"{where} has hooks, which may change what it computes: remove them.")
        if "forward" in vars(part):
            raise GraphError(f"{where} has a forward of its own, set on the object: put it into a class.")


def _features(root: nn.Module, node: fx.Node) -> int | None:
    """Return how many features a node takes, if it is a linear layer."""
    if node.op == "call_module" and isinstance(linear := module_at(root, node), nn.Linear):
        return int(linear.in_features)
    if node.target is functional.linear and isinstance(weight := node.args[1], fx.Node) and weight.op == "get_attr":
        return int(attribute(root, weight).shape[1])
    return None


def attribute(root: nn.Module, node: fx.Node) -> Any:
    """Return the tensor that a node reads from the module."""
    found: Any = root
    for name in str(node.target).split("."):
        found = getattr(found, name)
    return found
