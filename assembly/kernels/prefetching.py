"""A request for what will be read soon: it changes no number, and one beyond the end of an array is harmless."""

from __future__ import annotations

from typing import Any

import numba
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

READ, SECOND, DATA = 0, 2, 1  # to be read, into the second cache (the nearest is for vectors), and no instructions


def _prefetch(context: Any, array: Any, index: Any) -> Any:
    """Compile ``prefetch(array, index)``: ask for the entry `index` of an array of one axis, index uint64."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        address = builder.bitcast(builder.gep(data, [arguments[1]]), cgutils.voidptr_t)
        word = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [cgutils.voidptr_t, word, word, word])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0i8")
        builder.call(function, [address, word(READ), word(SECOND), word(DATA)])
        return context.get_dummy_value()

    return types.void(array, types.uint64), generate


def _nothing(array: Any, index: Any) -> None:
    """What is left of it where nothing is compiled."""


_config: Any = numba.config
prefetch: Any = _nothing if _config.DISABLE_JIT else intrinsic(_prefetch)
