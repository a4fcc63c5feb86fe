"""The gated scan on CPU: its recurrence as one writes it down, cell after cell, compiled by numba.

PyTorch has no operation that goes along a sequence. Built from those it has, a scan is a hundred of them, each too
small for two cores, and much of its time goes into moving numbers. Compiled, it reads each number once, where it lies.

Kernels are given where tensors lie in memory, which takes Python less time than a small scan itself, and see arrays
(B, cells, parts, 8, C/8). Those hold fp32, or bf16, which NumPy lacks, as its bits in uint16; what is computed with is
fp32. Indices are unsigned, for LLVM makes vector instructions only where it need not ask whether one counts from the
end.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
import torch
from llvmlite import ir
from numba import carray, config, njit, prange, set_num_threads, types, uint64
from numba.extending import intrinsic
from torch import Tensor

BITS, FLOAT = ir.IntType(32), ir.FloatType()
STORED = {torch.float32: np.float32(0), torch.bfloat16: np.uint16(0)}  # a number as an array holds it, by type
ENOUGH = 2**17  # numbers for one thread: beyond, another saves more than it takes to wake it
ONE = np.float32(1)
VALUE, DELTA, GATE = range(3)  # parts of what is projected
WRITE, OPEN, STATE = range(3)  # parts of what is kept: sigmoids of delta and gate, and the state


def run(kernel: Callable[..., None], paths: Tensor, *tensors: Tensor) -> None:
    """Call a kernel with `paths` (8, cells) and CPU tensors (B, cells, parts * C), the first of three parts.

    All are contiguous, those tensors of one of the types in `STORED`. It computes with as many threads as PyTorch
    does, if there is enough to do, and lets other Python threads go on.
    """
    batch, cells, width = tensors[0].shape
    directions, channels = len(paths), width // 3
    threads = min(torch.get_num_threads(), config.NUMBA_NUM_THREADS, 1 + batch * cells * channels // ENOUGH)
    places = [tensor.data_ptr() for tensor in (paths, *tensors)]
    with _one_at_a_time:
        set_num_threads(threads)
        kernel(STORED[tensors[0].dtype], batch, cells, directions, channels // directions, *places)


_one_at_a_time = threading.Lock()  # some of the thread pools numba may find cannot be entered twice


def _start_threads() -> None:
    """Have numba start its threads, which where they are OpenMP's sets how many PyTorch has, and set that back."""
    threads = torch.get_num_threads()
    set_num_threads(1)
    torch.set_num_threads(threads)


_start_threads()


def _compiled(function: Callable[..., None]) -> Callable[..., None]:
    """Compiled at the first call, over several threads, and kept beside Python's own bytecode where that can be."""
    options = {"parallel": True, "nogil": True, "error_model": "numpy"}
    try:
        return njit(cache=True, **options)(function)
    except RuntimeError:  # no folder that can be written to
        return njit(**options)(function)


@intrinsic
def _pointer(typing, place, stored):
    """To numbers like `stored` that lie at an address."""

    def pointer(context, builder, signature, arguments):
        return builder.inttoptr(arguments[0], context.get_value_type(signature.return_type))

    return types.CPointer(stored)(place, stored), pointer


@intrinsic
def _read(typing, stored):
    """fp32 of a number in an array."""

    def widened(context, builder, signature, arguments):
        bits = builder.shl(builder.zext(arguments[0], BITS), BITS(16))
        return builder.bitcast(bits, FLOAT)

    def as_it_is(context, builder, signature, arguments):
        return arguments[0]

    return types.float32(stored), widened if stored == types.uint16 else as_it_is


@intrinsic
def _rounded(typing, number, array):
    """What to put into an array for fp32 `number`, the nearest that it can hold, of two equally near the even one."""

    def narrowed(context, builder, signature, arguments):
        bits = builder.bitcast(arguments[0], BITS)
        half = builder.add(BITS(0x7FFF), builder.and_(builder.lshr(bits, BITS(16)), BITS(1)))
        return builder.trunc(builder.lshr(builder.add(bits, half), BITS(16)), ir.IntType(16))

    def as_it_is(context, builder, signature, arguments):
        return arguments[0]

    return array.dtype(number, array), narrowed if array.dtype == types.uint16 else as_it_is


@_compiled
def forward(stored, batch, cells, directions, share, paths_at, projected_at, kept_at, mixed_at):
    """States h <- h + w (value - h) along each path, and `mixed`, which is h silu(gate).

    Args:
        paths: int64 (8, cells).
        projected: value, delta and gate.
        kept: the sigmoids of delta, which is w, and of gate; the states, to be filled.
        mixed: to be filled.
    """
    paths = carray(_pointer(paths_at, cells), (directions, cells))
    projected = carray(_pointer(projected_at, stored), (batch, cells, 3, directions, share))
    kept = carray(_pointer(kept_at, stored), (batch, cells, 3, directions, share))
    mixed = carray(_pointer(mixed_at, stored), (batch, cells, directions, share))
    for sequence in prange(batch * directions):
        b, k = uint64(sequence // directions), uint64(sequence % directions)
        h = np.zeros(share, np.float32)
        for step in range(cells):
            n = uint64(paths[k, uint64(step)])
            for c in range(uint64(share)):
                value, gate = _read(projected[b, n, VALUE, k, c]), _read(projected[b, n, GATE, k, c])
                write, opened = _read(kept[b, n, WRITE, k, c]), _read(kept[b, n, OPEN, k, c])
                h[c] += write * (value - h[c])
                kept[b, n, STATE, k, c] = _rounded(h[c], kept)
                mixed[b, n, k, c] = _rounded(h[c] * gate * opened, mixed)


@_compiled
def backward(stored, batch, cells, directions, share, paths_at, projected_at, kept_at, grad_at, projected_grad_at):
    """The gradient of `projected`, to be filled, from that of `mixed`, `grad`; paths are gone from their ends.

    What a state gets from its own cell is g = grad silu(gate), and in all total[l] = g[l] + (1 - w[l+1]) total[l+1].
    Then value gets w total; delta gets w (1 - w) (value - h[l-1]) total, which is w total (value - h[l]); and gate
    gets grad h (s + gate s (1 - s)), with s its sigmoid.
    """
    paths = carray(_pointer(paths_at, cells), (directions, cells))
    projected = carray(_pointer(projected_at, stored), (batch, cells, 3, directions, share))
    kept = carray(_pointer(kept_at, stored), (batch, cells, 3, directions, share))
    grad = carray(_pointer(grad_at, stored), (batch, cells, directions, share))
    projected_grad = carray(_pointer(projected_grad_at, stored), (batch, cells, 3, directions, share))
    for sequence in prange(batch * directions):
        b, k = uint64(sequence // directions), uint64(sequence % directions)
        handed_on = np.zeros(share, np.float32)
        for step in range(cells):
            n = uint64(paths[k, uint64(cells - 1 - step)])
            for c in range(uint64(share)):
                value, gate = _read(projected[b, n, VALUE, k, c]), _read(projected[b, n, GATE, k, c])
                write, opened = _read(kept[b, n, WRITE, k, c]), _read(kept[b, n, OPEN, k, c])
                h, at_mixed = _read(kept[b, n, STATE, k, c]), _read(grad[b, n, k, c])
                total = at_mixed * gate * opened + handed_on[c]
                at_value = write * total
                handed_on[c] = total - at_value
                at_gate = at_mixed * h * (opened + gate * opened * (ONE - opened))
                projected_grad[b, n, VALUE, k, c] = _rounded(at_value, projected_grad)
                projected_grad[b, n, DELTA, k, c] = _rounded(at_value * (value - h), projected_grad)
                projected_grad[b, n, GATE, k, c] = _rounded(at_gate, projected_grad)
