"""The gated scan on CPU: its recurrence as one writes it down, cell after cell, compiled by numba.

PyTorch has no operation that goes along a sequence. Built from those it has, a scan is a hundred of them, each too
small for two cores, and much of its time goes into moving numbers. Compiled, it reads each number once, where it lies.

Arrays are (B, cells, 8, C/8), or (B, cells, parts, 8, C/8) of what a cell has several of. They hold fp32, or bf16,
which NumPy lacks, as its bits in uint16; what is computed with is fp32. Indices are unsigned, for LLVM makes vector
instructions only where it need not ask whether one counts from the end.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
import torch
from llvmlite import ir
from numba import config, njit, prange, set_num_threads, types, uint64
from numba.extending import intrinsic
from torch import Tensor

BITS, FLOAT = ir.IntType(32), ir.FloatType()
ENOUGH = 2**17  # numbers for one thread: beyond, another saves more than it takes to wake it
ONE = np.float32(1)
VALUE, DELTA, GATE = range(3)  # what is projected
WRITE, OPEN = range(2)  # sigmoids of the latter two


def run(kernel: Callable[..., None], paths: Tensor, *tensors: Tensor) -> None:
    """Call a kernel with `paths` (8, cells) and contiguous CPU tensors (B, cells, parts * C), of fp32 or of bf16.

    It computes with as many threads as PyTorch does, if there is enough to do, and lets other Python threads go on.
    """
    directions = len(paths)
    batch, cells, channels = min((t.shape for t in tensors), key=lambda shape: shape[-1])
    numbers = [t.view(torch.uint16) if t.dtype == torch.bfloat16 else t for t in tensors]
    arrays = [t.view(batch, cells, -1, directions, channels // directions).squeeze(2).numpy() for t in numbers]
    threads = min(torch.get_num_threads(), config.NUMBA_NUM_THREADS, 1 + batch * cells * channels // ENOUGH)
    with _one_at_a_time:
        set_num_threads(threads)
        kernel(paths.numpy(), *arrays)


_one_at_a_time = threading.Lock()  # some of the thread pools numba may find cannot be entered twice


def _compiled(function: Callable[..., None]) -> Callable[..., None]:
    """Compiled at the first call, over several threads, and kept beside Python's own bytecode where that can be."""
    options = {"parallel": True, "nogil": True, "error_model": "numpy", "fastmath": {"contract"}}
    try:
        return njit(cache=True, **options)(function)
    except RuntimeError:  # no folder that can be written to
        return njit(**options)(function)


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
def forward(paths, projected, sigmoids, states, mixed):
    """States h <- h + w (value - h) along each path, and `mixed`, which is h silu(gate).

    Args:
        paths: int64 (8, cells).
        projected: value, delta and gate.
        sigmoids: of delta, which is w, and of gate.
        states, mixed: to be filled.
    """
    batch, cells, directions, share = states.shape
    for sequence in prange(batch * directions):
        b, k = uint64(sequence // directions), uint64(sequence % directions)
        h = np.zeros(share, np.float32)
        for step in range(cells):
            n = uint64(paths[k, step])
            for c in range(uint64(share)):
                value, gate = _read(projected[b, n, VALUE, k, c]), _read(projected[b, n, GATE, k, c])
                write, opened = _read(sigmoids[b, n, WRITE, k, c]), _read(sigmoids[b, n, OPEN, k, c])
                h[c] += write * (value - h[c])
                states[b, n, k, c] = _rounded(h[c], states)
                mixed[b, n, k, c] = _rounded(h[c] * gate * opened, mixed)


@_compiled
def backward(paths, projected, sigmoids, states, projected_grad, grad):
    """The gradient of `projected` from that of `mixed`, `grad`; paths are gone from their ends.

    What a state gets from its own cell is g = grad silu(gate), and in all total[l] = g[l] + (1 - w[l+1]) total[l+1].
    Then value gets w total; delta gets w (1 - w) (value - h[l-1]) total, which is w total (value - h[l]); and gate
    gets grad h (s + gate s (1 - s)), with s its sigmoid.
    """
    batch, cells, directions, share = states.shape
    for sequence in prange(batch * directions):
        b, k = uint64(sequence // directions), uint64(sequence % directions)
        handed_on = np.zeros(share, np.float32)
        for step in range(cells):
            n = uint64(paths[k, cells - 1 - step])
            for c in range(uint64(share)):
                value, gate = _read(projected[b, n, VALUE, k, c]), _read(projected[b, n, GATE, k, c])
                write, opened = _read(sigmoids[b, n, WRITE, k, c]), _read(sigmoids[b, n, OPEN, k, c])
                h, at_mixed = _read(states[b, n, k, c]), _read(grad[b, n, k, c])
                total = at_mixed * gate * opened + handed_on[c]
                at_value = write * total
                handed_on[c] = total - at_value
                at_gate = at_mixed * h * (opened + gate * opened * (ONE - opened))
                projected_grad[b, n, VALUE, k, c] = _rounded(at_value, projected_grad)
                projected_grad[b, n, DELTA, k, c] = _rounded(at_value * (value - h), projected_grad)
                projected_grad[b, n, GATE, k, c] = _rounded(at_gate, projected_grad)
