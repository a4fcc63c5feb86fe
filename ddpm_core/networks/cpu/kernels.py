"""What numba compiles for CPUs: operations too small, or too many, for PyTorch's cost of a call.

Kernels are given addresses, after `run` has checked what lies there: fp32, or bf16 as bits in uint16, which NumPy
lacks. They compute in fp32. Indices are unsigned: LLVM vectorizes only where none can count from the end.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from functools import lru_cache

import numpy as np
import torch
from llvmlite import ir
from numba import carray, config, njit, prange, set_num_threads, types, uint64
from numba.extending import intrinsic
from torch import Tensor

BITS, FLOAT = ir.IntType(32), ir.FloatType()
STORED = {torch.float32: np.float32(0), torch.bfloat16: np.uint16(0)}  # a number as an array holds it, by type
ENOUGH = 2**14  # numbers for one thread: beyond, another saves more than it takes to wake it
ONE = np.float32(1)
EPSILON = np.float32(1e-5)  # of `torch.nn.LayerNorm`
LOG2_E, LN_2 = np.float32(math.log2(math.e)), np.float32(math.log(2))
TERMS = tuple(np.float32(1 / math.factorial(k)) for k in range(7))  # of the series of exp
VALUE, DELTA, GATE = range(3)  # parts of what is projected
WRITE, OPEN, STATE = range(3)  # parts of what is kept: sigmoids of delta and gate, and the state
SCALE, SHIFT = range(2)  # parts of a modulation

Shape = tuple[int, ...]
Named = tuple[tuple[str, Shape], ...]


def run(kernel: Callable[..., None], sizes: tuple[int, ...], *tensors: Tensor | None) -> None:
    """Call a kernel of `TENSORS` with its sizes, whose product is how many numbers it computes, and its tensors.

    Raises:
        TypeError: a tensor is not as in `TENSORS`, contiguous, on the CPU and of the first's type, one of `STORED`;
            `paths` are int64.
    """
    stored = tensors[0].dtype  # type: ignore[union-attr]
    for tensor, (name, shape) in zip(tensors, TENSORS[kernel](*sizes), strict=True):
        # Told apart in half a microsecond each: a kernel sees an address and believes the rest.
        if tensor is None:
            if (kernel, name) not in DISPENSABLE:
                raise TypeError(f"{kernel.__name__} takes {name} {shape}; it was given nothing")
        elif tensor.dtype is not (torch.int64 if name == "paths" else stored) or not _lies_as(tensor, shape):
            raise TypeError(_mismatch(kernel, name, shape, tensor, stored))
    if stored not in STORED:
        raise TypeError(f"there is no kernel for {stored}; it has to be one of {', '.join(map(str, STORED))}")
    threads = min(torch.get_num_threads(), config.NUMBA_NUM_THREADS, 1 + math.prod(sizes) // ENOUGH)
    places = [None if tensor is None else tensor.data_ptr() for tensor in tensors]
    with _one_at_a_time:
        set_num_threads(threads)
        kernel(STORED[stored], *sizes, *places)


def _lies_as(tensor: Tensor, shape: Shape) -> bool:
    """Whether a tensor lies on the CPU as a kernel sees it: channels-last (B, C, H, W) is (B, cells, C)."""
    if tensor.dim() == 4 and len(shape) == 3:
        fits = tensor.numel() == math.prod(shape) and tensor.shape[1] == shape[2]
        return fits and tensor.is_cpu and tensor.is_contiguous(memory_format=torch.channels_last)
    return tensor.shape == shape and tensor.is_cpu and tensor.is_contiguous()


def _mismatch(kernel: Callable[..., None], name: str, shape: Shape, tensor: Tensor, stored: torch.dtype) -> str:
    dtype = torch.int64 if name == "paths" else stored
    return (
        f"{kernel.__name__} takes {name} {shape}, contiguous, {dtype} on cpu; "
        f"it was given {tuple(tensor.shape)} with strides {tensor.stride()}, {tensor.dtype} on {tensor.device}"
    )


_one_at_a_time = threading.Lock()  # some of the thread pools numba may find cannot be entered twice


def _start_threads() -> None:
    """Have numba start its threads; OpenMP's then change how many PyTorch has, which is set back."""
    threads = torch.get_num_threads()
    set_num_threads(1)
    torch.set_num_threads(threads)


_start_threads()


def _compiled(function: Callable[..., None]) -> Callable[..., None]:
    """Compiled at the first call and cached; sums may be reordered, and not rounded in between."""
    options = {"parallel": True, "nogil": True, "error_model": "numpy", "fastmath": {"reassoc", "contract", "nsz"}}
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
    """What to store for fp32 `number`: the nearest, halves to even."""

    def narrowed(context, builder, signature, arguments):
        bits = builder.bitcast(arguments[0], BITS)
        half = builder.add(BITS(0x7FFF), builder.and_(builder.lshr(bits, BITS(16)), BITS(1)))
        return builder.trunc(builder.lshr(builder.add(bits, half), BITS(16)), ir.IntType(16))

    def as_it_is(context, builder, signature, arguments):
        return arguments[0]

    return array.dtype(number, array), narrowed if array.dtype == types.uint16 else as_it_is


@njit(inline="always", error_model="numpy")
def _sigmoid(x):
    """1 / (1 + exp(-x)) of fp32, but for the last digits, in vector instructions: exp(-x) is 2^n exp(r), n whole."""
    x = min(max(x, np.float32(-87)), np.float32(87))
    n = np.floor(np.float32(0.5) - x * LOG2_E)
    r = -x - n * LN_2
    series = (((((TERMS[6] * r + TERMS[5]) * r + TERMS[4]) * r + TERMS[3]) * r + TERMS[2]) * r + ONE) * r + ONE
    power = _read(np.uint16((np.int32(n) + np.int32(127)) << np.int32(7)))  # 2^n as bf16: its exponent alone
    return ONE / (ONE + power * series)


@_compiled
def scan(stored, batch, cells, directions, width, projected_at, paths_at, mixed_at, saved_at):
    """States h <- h + w (value - h) along each path.

    Fills `mixed` with h silu(gate) and, for a gradient, `saved` with the sigmoids of delta (w) and of gate, and the
    states.
    """
    paths = carray(_pointer(paths_at, cells), (directions, cells))
    projected = carray(_pointer(projected_at, stored), (batch, cells, 3, directions, width))
    mixed = carray(_pointer(mixed_at, stored), (batch, cells, directions, width))
    if saved_at is not None:
        saved = carray(_pointer(saved_at, stored), (batch, cells, 3, directions, width))
    for sequence in prange(batch * directions):
        b, k = uint64(sequence // directions), uint64(sequence % directions)
        h = np.zeros(width, np.float32)
        for step in range(cells):
            n = uint64(paths[k, uint64(step)])
            for c in range(uint64(width)):
                value, gate = _read(projected[b, n, VALUE, k, c]), _read(projected[b, n, GATE, k, c])
                write, opened = _sigmoid(_read(projected[b, n, DELTA, k, c])), _sigmoid(gate)
                h[c] += write * (value - h[c])
                mixed[b, n, k, c] = _rounded(h[c] * gate * opened, mixed)
                if saved_at is not None:
                    saved[b, n, WRITE, k, c] = _rounded(write, saved)
                    saved[b, n, OPEN, k, c] = _rounded(opened, saved)
                    saved[b, n, STATE, k, c] = _rounded(h[c], saved)


@_compiled
def scan_backward(
    stored, batch, cells, directions, width, projected_at, paths_at, saved_at, grad_at, projected_grad_at
):
    """Fills the gradient of `projected` from that of `mixed`, `grad`, from the paths' ends.

    With g = grad silu(gate), a state gets total[l] = g[l] + (1 - w[l+1]) total[l+1]. Then value gets w total, delta w
    (1 - w) (value - h[l-1]) total = w total (value - h[l]), and gate grad h (s + gate s (1 - s)), s its sigmoid.
    """
    paths = carray(_pointer(paths_at, cells), (directions, cells))
    projected = carray(_pointer(projected_at, stored), (batch, cells, 3, directions, width))
    saved = carray(_pointer(saved_at, stored), (batch, cells, 3, directions, width))
    grad = carray(_pointer(grad_at, stored), (batch, cells, directions, width))
    projected_grad = carray(_pointer(projected_grad_at, stored), (batch, cells, 3, directions, width))
    for sequence in prange(batch * directions):
        b, k = uint64(sequence // directions), uint64(sequence % directions)
        handed_on = np.zeros(width, np.float32)
        for step in range(cells):
            n = uint64(paths[k, uint64(cells - 1 - step)])
            for c in range(uint64(width)):
                value, gate = _read(projected[b, n, VALUE, k, c]), _read(projected[b, n, GATE, k, c])
                write, opened = _read(saved[b, n, WRITE, k, c]), _read(saved[b, n, OPEN, k, c])
                h, at_mixed = _read(saved[b, n, STATE, k, c]), _read(grad[b, n, k, c])
                total = at_mixed * gate * opened + handed_on[c]
                at_value = write * total
                handed_on[c] = total - at_value
                at_gate = at_mixed * h * (opened + gate * opened * (ONE - opened))
                projected_grad[b, n, VALUE, k, c] = _rounded(at_value, projected_grad)
                projected_grad[b, n, DELTA, k, c] = _rounded(at_value * (value - h), projected_grad)
                projected_grad[b, n, GATE, k, c] = _rounded(at_gate, projected_grad)


@_compiled
def norm_silu(stored, batch, cells, channels, weight_at, bias_at, modulation_at, x_at, out_at):
    """Fills `out` with SiLU of (1 + scale) norm(x) + shift, each cell's channels normed."""
    weight = carray(_pointer(weight_at, stored), (channels,))
    bias = carray(_pointer(bias_at, stored), (channels,))
    modulation = carray(_pointer(modulation_at, stored), (batch, 2, channels))
    x = carray(_pointer(x_at, stored), (batch, cells, channels))
    out = carray(_pointer(out_at, stored), (batch, cells, channels))
    for row in prange(batch * cells):
        b, n = uint64(row // cells), uint64(row % cells)
        total, squared = np.float32(0), np.float32(0)
        for c in range(uint64(channels)):
            total += _read(x[b, n, c])
        mean = total / np.float32(channels)
        for c in range(uint64(channels)):
            squared += (_read(x[b, n, c]) - mean) ** 2
        inverse_std = ONE / np.sqrt(squared / np.float32(channels) + EPSILON)
        for c in range(uint64(channels)):
            normal = (_read(x[b, n, c]) - mean) * inverse_std * _read(weight[c]) + _read(bias[c])
            modulated = normal * (ONE + _read(modulation[b, SCALE, c])) + _read(modulation[b, SHIFT, c])
            out[b, n, c] = _rounded(modulated * _sigmoid(modulated), out)


@lru_cache(maxsize=64)
def _scan_tensors(batch: int, cells: int, directions: int, width: int) -> Named:
    channels = directions * width
    projected, mixed = (batch, cells, 3 * channels), (batch, cells, channels)
    return ("projected", projected), ("paths", (directions, cells)), ("mixed", mixed), ("saved", projected)


@lru_cache(maxsize=64)
def _scan_backward_tensors(batch: int, cells: int, directions: int, width: int) -> Named:
    projected, paths, mixed, saved = _scan_tensors(batch, cells, directions, width)
    return projected, paths, ("saved", saved[1]), ("grad", mixed[1]), ("projected_grad", projected[1])


@lru_cache(maxsize=64)
def _norm_silu_tensors(batch: int, cells: int, channels: int) -> Named:
    affine, modulation, x = (channels,), (batch, 2 * channels, 1, 1), (batch, cells, channels)
    return ("weight", affine), ("bias", affine), ("modulation", modulation), ("x", x), ("out", x)


# Of each kernel its tensors, by name, and their shapes for its sizes.
TENSORS: dict[Callable[..., None], Callable[..., Named]] = {
    scan: _scan_tensors,
    scan_backward: _scan_backward_tensors,
    norm_silu: _norm_silu_tensors,
}
DISPENSABLE = {(scan, "saved")}  # None in its place where there is to be no gradient
