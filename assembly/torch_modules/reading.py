"""One walk through the operations of a traced module: torch says shapes and storage, the draft takes what is computed.

Every operation is run at a batch of zeros. Tensors that share storage are one value in several shapes, so that views
and operations in place mean here what they mean in torch; a view of a parameter says by its strides which entry stands
where.
"""

from __future__ import annotations

import inspect
import operator
import warnings
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import fx, nn

from assembly.checks import check_finite
from assembly.errors import GraphError, ShapeError
from assembly.torch_modules.draft import Draft, UnsupportedError, Value, Weights
from assembly.torch_modules.supported import FUNCTIONS, METHODS, MODULES, TAKES_SEVERAL, Handler
from assembly.torch_modules.tracing import attribute, described, first_line, module_at

BATCH = 7  # any number: what depends on it is refused


class _BatchSize(int):
    """The size of the batch, which no number may depend on."""

    def __repr__(self) -> str:
        return "the size of the batch"


class Reader:
    """Adds the operations of a module to a draft.

    Parameters
    ----------
    root : nn.Module
        In eval mode, in float64.
    graph : fx.Graph
    input_shape : tuple of int
    """

    def __init__(self, root: nn.Module, graph: fx.Graph, input_shape: tuple[int, ...]) -> None:
        self.root, self.graph, self.input_shape = root, graph, input_shape
        self.draft = Draft(int(np.prod(input_shape)))
        self.results: dict[fx.Node, Any] = {}
        self.groups: dict[int, int] = {}  # storage -> group that it holds now
        self.numbers: dict[int, tuple[str, NDArray[np.float64], int | None]] = {}  # storage -> name, entries, parameter
        for number, (name, parameter) in enumerate(root.named_parameters()):
            parameter.data = self._hold(name, parameter, number if parameter.requires_grad else None)
        for name, buffer in list(root.named_buffers(remove_duplicate=False)):
            path, _, own = name.rpartition(".")
            root.get_submodule(path).register_buffer(own, self._hold(name, buffer, None))

    def read(self) -> int:
        """Read every operation; return the group of the output.

        Raises
        ------
        GraphError
            If an operation is not supported.
        ShapeError
            If one does not fit the shape of the input.
        NonFiniteError
            If a number in use is not finite.
        """
        with torch.no_grad(), torch.random.fork_rng(devices=[]), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what torch has to say, it says when the module is used
            *operations, output = self.graph.nodes
            for node in operations:
                self.results[node] = self._result(node)
        (found,) = output.args
        if not isinstance(found, fx.Node) or not self._is_value(self.results[found]):
            raise GraphError("The module must return one tensor that depends on its input, not several or none.")
        return self.groups[_storage(self.results[found])]

    def _result(self, node: fx.Node) -> Any:
        if node.op == "placeholder":
            samples = torch.zeros(BATCH, *self.input_shape, dtype=torch.float64)
            self.groups[_storage(samples)] = 0
            return samples
        if node.op == "get_attr":
            tensor = attribute(self.root, node)
            return tensor if _storage(tensor) in self.numbers else self._hold(str(node.target), tensor, None)
        try:
            if not any(self._is_value(self.results[used]) for used in node.all_input_nodes):
                return self._without_input(node)
            sizes = self._sizes(node)
            return self._draw(node) if sizes is None else sizes
        except UnsupportedError as why:
            raise GraphError(f"{self._what(node)} is not supported: {why}.") from None

    def _draw(self, node: fx.Node) -> torch.Tensor:
        """Add one operation to the draft; return what torch makes of it."""
        handler = self._handler(node)
        result = self._run(node)
        if not isinstance(result, torch.Tensor) or result.shape[:1] != (BATCH,) or result.numel() == 0:
            raise UnsupportedError("its answer is not one row for each sample of the batch")
        args, options = fx.map_arg((node.args, node.kwargs), lambda used: self._operand(self.results[used]))
        try:
            bound = inspect.signature(handler).bind(self.draft, tuple(result.shape[1:]), *args, **options)
        except TypeError as error:
            raise UnsupportedError(f"with these arguments it has {first_line(error)}") from None
        operands = list(bound.arguments.values())[2:]
        if handler not in TAKES_SEVERAL:
            first, *others = operands
            if not isinstance(first, Value) or any(isinstance(other, Value) for other in others):
                raise UnsupportedError("only its first argument may depend on the input of the module")
        self.groups[_storage(result)] = handler(*bound.args, **bound.kwargs)
        return result

    def _handler(self, node: fx.Node) -> Handler:
        if node.op == "call_module":
            module = module_at(self.root, node)
            if type(module) not in MODULES:
                raise UnsupportedError(f"modules that are: {', '.join(kind.__name__ for kind in MODULES)}")
            return MODULES[type(module)](module, self._weights)
        if node.op == "call_method":
            name = str(node.target)
            if name.removesuffix("_") not in METHODS:
                raise UnsupportedError(f"methods that are: {', '.join(METHODS)}")
            return METHODS[name.removesuffix("_")]
        if node.target not in FUNCTIONS:
            names = sorted({name for function in FUNCTIONS if not (name := function.__name__).endswith("_")})
            raise UnsupportedError(f"functions that are: {', '.join(names)}")
        return FUNCTIONS[node.target]

    def _without_input(self, node: fx.Node) -> Any:
        """Return a view of a parameter, or a number from sizes."""
        if node.op == "call_module":
            raise UnsupportedError("it does not depend on the input")
        found = self._run(node)
        if isinstance(found, torch.Tensor):
            if _storage(found) not in self.numbers:
                raise UnsupportedError("it computes with tensors of the module before they meet the input")
            return found
        meets_batch = any(type(self.results[used]) is _BatchSize for used in node.all_input_nodes)
        if meets_batch and node.target is not operator.getitem:
            raise UnsupportedError("it computes with the size of the batch")
        return found

    def _sizes(self, node: fx.Node) -> Any:
        """Return the answer of a question for the shape of a value, None for any other operation."""
        value, *rest = fx.map_arg(node.args, self.results.__getitem__)
        if not self._is_value(value):
            return None
        shape = (_BatchSize(BATCH), *value.shape[1:])
        if node.op == "call_method" and node.target == "size":
            return shape[rest[0]] if rest else shape
        if node.target is getattr and rest == ["shape"]:
            return shape
        return None

    def _run(self, node: fx.Node) -> Any:
        args, options = fx.map_arg((node.args, node.kwargs), self.results.__getitem__)
        try:
            if node.op == "call_module":
                return module_at(self.root, node)(*args, **options)
            if node.op == "call_method":
                return getattr(args[0], str(node.target))(*args[1:], **options)
            return node.target(*args, **options)
        except Exception as error:
            raise ShapeError(
                f"{self._what(node)} fails for inputs of shape {self.input_shape}: {first_line(error)}."
            ) from error

    def _operand(self, result: Any) -> Any:
        if not isinstance(result, torch.Tensor):
            return result
        if self._is_value(result):
            return Value(self.groups[_storage(result)], tuple(result.shape[1:]))
        return self._weights(result)

    def _weights(self, tensor: torch.Tensor | None) -> Weights | None:
        if tensor is None:
            return None
        name, entries, parameter = self.numbers[_storage(tensor)]
        check_finite(f"parameter {name}", entries)
        every = torch.arange(entries.size).as_strided(tensor.shape, tensor.stride(), tensor.storage_offset())
        return Weights(entries.ravel(), every.numpy(), parameter)

    def _hold(self, name: str, tensor: torch.Tensor, parameter: int | None) -> torch.Tensor:
        """Return a copy of a tensor with storage of its own, and know it from now on."""
        own = tensor.detach().to(torch.float64).clone(memory_format=torch.contiguous_format)
        self.numbers[_storage(own)] = name, own.numpy(), parameter
        return own

    def _is_value(self, result: Any) -> bool:
        return isinstance(result, torch.Tensor) and _storage(result) in self.groups

    def _what(self, node: fx.Node) -> str:
        what = described(self.root, node)
        return what[0].upper() + what[1:] if what.startswith("the ") else what


def _storage(tensor: torch.Tensor) -> int:
    return int(tensor.untyped_storage().data_ptr())
