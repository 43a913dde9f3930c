r"""Products of matrices on all threads. Each piece is one call of BLAS with one thread, cut by size alone.

What is computed does not depend on the number of threads, bit for bit. BLAS adds in the dtype of the matrices: with
:math:`\gamma_n = n u / (1 - n u)`, an entry that sums n products is wrong by at most
:math:`\gamma_n \sum_k |x_k y_k|`, :math:`u = 2^{-53}` in float64 and :math:`2^{-24}` in float32.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assembly import threads

Matrix = NDArray[Any]

OPERATIONS = 32  # multiplications take as long as four numbers of a matrix from memory: less work is not cut
WIDE = 1024  # rows or columns of a piece
SMALL = 2**16  # multiplications times bytes that BLAS does with one thread anyway, an inner product among them


def product(
    left: Matrix,
    right: Matrix,
    scale: Matrix | None = None,
    out: Matrix | None = None,
    adds: bool = True,
    then: Callable[[slice, slice], None] | None = None,
) -> Matrix:
    """Return ``left @ right``, its columns times `scale`; added to `out` where that is given, or in it if not `adds`.

    Where `then` is given it is called with the rows and the columns of every piece that is complete, by the thread that
    made it.

    Memory beyond the result: one piece of it per thread where it is added.
    """
    (n, inner), m = left.shape, right.shape[1]
    found, adds = (np.empty((n, m), np.result_type(left, right)), False) if out is None else (out, adds)
    multiply = np.multiply if inner == 1 else np.matmul  # the same numbers, without the copies that BLAS makes

    def fill(piece: slice) -> None:
        part = (slice(0, n), piece) if m >= n else (piece, slice(0, m))
        rows, columns = left[part[0]], right[:, part[1]]
        values = multiply(rows, columns, out=None if adds else found[part])
        if scale is not None:
            values *= scale[part[1]]
        if adds:
            found[part] += values
        if then is not None:
            then(*part)

    longer, operations = max(n, m), n * inner * m * found.itemsize
    most = max(4, longer // WIDE)  # BLAS copies the other factor once for every piece
    _run(fill, threads.pieces(longer, operations // OPERATIONS, most), operations)
    return found


def fill_transposed(
    out: Matrix, left: Matrix, right: Matrix, scale: Matrix, then: Callable[[slice], None] | None = None
) -> None:
    """Fill `out` with ``left.T @ right``, its rows times `scale`; where `then` is given it is called with rows done."""
    (inner, n), m = left.shape, right.shape[1]

    def one(piece: slice) -> None:
        np.matmul((left[:, piece] * scale[piece]).T, right, out=out[piece])
        if then is not None:
            then(piece)

    operations = n * inner * m * out.itemsize
    _run(one, threads.pieces(n, operations // OPERATIONS, max(4, n // WIDE)), operations)


def inner_products(left: Matrix, right: Matrix) -> Matrix:
    """Return ``left @ right.T``; where `right` is `left`, exactly symmetric and by half the multiplications.

    Rows that are long and few are cut across: memory beyond the result at most that of the rows.
    """
    (n, inner), m = left.shape, len(right)
    if inner < threads.N_PIECES * max(n, m):
        return own_product(left) if right is left else product(left, right.T)
    operations = n * inner * m * left.itemsize
    pieces = threads.pieces(inner, operations // OPERATIONS)
    found = np.empty((len(pieces), n, m), np.result_type(left, right))

    def fill(i: int) -> None:
        part = left[:, pieces[i]]
        np.matmul(part, (part if right is left else right[:, pieces[i]]).T, out=found[i])

    _run(fill, range(len(pieces)), operations)
    total: Matrix = found.sum(axis=0)
    return total


def own_product(rows: Matrix) -> Matrix:
    """Return ``rows @ rows.T``, exactly symmetric, by half the multiplications."""
    n, inner = rows.shape
    out = np.empty((n, n), rows.dtype)

    def fill(band: slice) -> None:
        own, after = rows[band], slice(band.stop, n)
        np.matmul(own, own.T, out=out[band, band])
        np.matmul(own, rows[after].T, out=out[band, after])
        out[after, band] = out[band, after].T

    _by_pieces(fill, n, n * n * inner * out.itemsize)
    return out


def congruence(rows: Matrix, symmetric: Matrix) -> Matrix:
    """Return ``rows @ symmetric @ rows.T``, exactly symmetric, by three quarters of the multiplications.

    Memory beyond the result: one band of ``rows @ symmetric`` per thread.
    """
    n, inner = rows.shape
    out = np.empty((n, n), np.result_type(rows, symmetric))

    def fill(band: slice) -> None:
        half, after = rows[band] @ symmetric, slice(band.stop, n)
        own = half @ rows[band].T
        np.add(own, own.T, out=out[band, band])
        out[band, band] *= 0.5
        np.matmul(half, rows[after].T, out=out[band, after])
        out[after, band] = out[band, after].T

    _by_pieces(fill, n, n * inner * (n + inner) * out.itemsize)
    return out


def scale(matrix: Matrix, rows: Matrix, columns: Matrix) -> None:
    """Multiply the entries of a matrix by ``rows_i columns_j``, in place; what is symmetric stays so exactly."""

    def fill(band: slice) -> None:
        matrix[band] *= np.multiply.outer(rows[band], columns)

    threads.run(fill, threads.pieces(len(matrix), 4 * matrix.nbytes))


def _by_pieces(fill: Callable[[slice], None], n: int, operations: int) -> None:
    """Run `fill` on pieces of n things; `operations` are multiplications times bytes."""
    _run(fill, threads.pieces(n, operations // OPERATIONS), operations)


def _run(fill: Callable[[Any], None], works: Sequence[Any], operations: int) -> None:
    with threads.one_blas_thread() if operations > SMALL else nullcontext():
        threads.run(fill, works)
