"""The gated scan along serpentine paths: compiled on CPU, in chunks elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from ddpm_core.networks.layers import kernels

CHUNK = 8  # cells that are scanned one after the other, beside those of all other chunks
SHORT = 16  # up to so many cells, one after the other is fastest


@dataclass(frozen=True, eq=False)  # equal is the very same one, by which what is made of it is remembered
class ScanPaths:
    """The order in which each path visits all cells of a grid.

    Attributes:
        permutation: int64 (8, cells), contiguous; cells of each path in order.
        inverse: int64 (8, cells); of each path, the step at which it is at a cell.
    """

    permutation: Tensor
    inverse: Tensor

    @classmethod
    def of(cls, permutation: Tensor) -> ScanPaths:
        """The paths that visit cells in this order, (8, cells)."""
        return cls(permutation, permutation.argsort(1))

    def to(self, device: torch.device) -> ScanPaths:
        return ScanPaths(self.permutation.to(device), self.inverse.to(device))


def gated_scan(projected: Tensor, paths: ScanPaths) -> Tensor:
    """Scan a grid of cells along paths, each with C/8 of the channels, and gate the states.

    A state h along its path is h <- (1 - w) h + w value, w = sigmoid(delta), from 0, in fp32.

    Args:
        projected: (B, cells, 3C): C values, C step sizes delta, C gates.

    Returns:
        (B, cells, C): h silu(gate), in the type of `projected`.
    """
    if projected.device.type != "cpu":
        return scan_in_chunks(projected, paths)
    stored = (projected if projected.dtype == torch.bfloat16 else projected.float()).contiguous()
    order = paths.permutation
    mixed = _CompiledScan.apply(stored, order) if stored.requires_grad else _scanned(stored, order, saved=None)
    return mixed.to(projected.dtype)


def _scanned(projected: Tensor, paths: Tensor, saved: Tensor | None) -> Tensor:
    """`gated_scan`; fills `saved`, (B, cells, 3C), for its gradient: see `kernels.scan`."""
    mixed = projected.new_empty(*projected.shape[:-1], projected.shape[-1] // 3)  # (B, cells, C)
    kernels().run(kernels().scan, _sizes(mixed, paths), projected, paths, mixed, saved)
    return mixed


class _CompiledScan(torch.autograd.Function):
    @staticmethod
    def forward(ctx, projected: Tensor, paths: Tensor) -> Tensor:
        saved = torch.empty_like(projected)
        mixed = _scanned(projected, paths, saved)
        ctx.save_for_backward(projected, saved, paths)
        return mixed

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor):
        projected, saved, paths = ctx.saved_tensors
        projected_grad, grad = torch.empty_like(projected), grad.contiguous()
        kernels().run(kernels().scan_backward, _sizes(grad, paths), projected, paths, saved, grad, projected_grad)
        return projected_grad, None


def _sizes(states: Tensor, paths: Tensor) -> tuple[int, int, int, int]:
    batch, cells, channels = states.shape
    return batch, cells, len(paths), channels // len(paths)


def scan_in_chunks(projected: Tensor, paths: ScanPaths) -> Tensor:
    """`gated_scan` from operations of PyTorch alone, for any device."""
    batch, cells, channels = projected.shape
    directions = len(paths.permutation)
    proposed, gate = projected.split([channels // 3 * 2, channels // 3], dim=2)  # (B, cells, 2C), (B, cells, C)
    there, back = _order(paths, 2), _order(paths, 1)[::-1]
    proposed = _Reorder.apply(proposed.reshape(batch, cells * 2 * directions, -1), *there)  # (B, 2*cells*8, C/8)
    value, delta = proposed.view(batch, 2, cells, -1).unbind(1)  # (B, cells, C) each, cells along the paths
    states = _ChunkedScan.apply(value, delta).view(batch, cells * directions, -1)  # (B, cells*8, C/8)
    return _Reorder.apply(states, *back).view(batch, cells, -1) * F.silu(gate)  # (B, cells, C)


@lru_cache(maxsize=32)  # by the very paths, which a mixer keeps as well
@torch.inference_mode(False)
def _order(paths: ScanPaths, parts: int) -> tuple[Tensor, Tensor]:
    """Order and inverse order of the rows of (cells * parts * 8, channels), parts one after the other, for
    `index_select`.
    """
    directions, cells = paths.permutation.shape
    row = torch.arange(parts * directions, device=paths.permutation.device).view(parts, 1, directions)  # of one cell
    order = paths.permutation.T * row.numel() + row  # (parts, cells, 8): from where each comes
    place = row + row // directions * (cells - 1) * directions  # of the first cell, in each part
    inverse = paths.inverse.T[:, None] * directions + place.view(parts, directions)  # (cells, parts, 8): and whereto
    return order.flatten(), inverse.flatten()  # (cells*parts*8,) each


class _Reorder(torch.autograd.Function):
    """`index_select` along dim 1 by a permutation; its gradient gathers by the inverse, where PyTorch's scatters."""

    @staticmethod
    def forward(ctx, rows: Tensor, order: Tensor, inverse: Tensor) -> Tensor:
        ctx.save_for_backward(order, inverse)
        return rows.index_select(1, order)

    @staticmethod
    def backward(ctx, grad: Tensor):
        order, inverse = ctx.saved_tensors
        return _Reorder.apply(grad.contiguous(), inverse, order), None, None


class _ChunkedScan(torch.autograd.Function):
    """States of h[l] = (1 - w[l]) h[l-1] + w[l] value[l], w = sigmoid(delta), all (B, L, D), fp32 inside."""

    @staticmethod
    def forward(ctx, value: Tensor, delta: Tensor) -> Tensor:
        write = torch.sigmoid(delta.float())  # (B, L, D)
        states = linear_recurrence(1 - write, write * value)  # (B, L, D)
        ctx.save_for_backward(value, write, states)
        return states.to(value.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor):
        value, write, states = ctx.saved_tensors
        decay = F.pad(1 - write[:, 1:], (0, 0, 0, 1))  # (B, L, D), that of the cell after
        received = write * linear_recurrence(decay, grad.float(), reverse=True)  # (B, L, D)
        return received.to(value.dtype), (received * (value - states)).to(value.dtype)


def recurrence_by_steps(decay: Tensor, update: Tensor, reverse: bool = False) -> Tensor:
    """`h[t] = decay[t] * h[t-1] + update[t]` from 0, (B, L, D) each: `linear_recurrence` plainly."""
    turn = -1 if reverse else 1
    state, states = torch.zeros_like(update[:, 0]), []  # (B, D)
    for factor, new in zip(decay.unbind(1)[::turn], update.unbind(1)[::turn], strict=True):
        state = torch.addcmul(new, factor, state)
        states.append(state)
    return torch.stack(states[::turn], dim=1)  # (B, L, D)


def linear_recurrence(decay: Tensor, update: Tensor, reverse: bool = False) -> Tensor:
    """`recurrence_by_steps` in some 3 * `CHUNK` vector operations for every factor of `CHUNK` in L.

    Chunks are scanned as if handed nothing; what each hands on is the same recurrence over one cell per chunk.

    Args:
        decay, update: (B, L, D) fp32, without gradient.
        reverse: run from the end: `h[t] = decay[t] * h[t+1] + update[t]`.
    """
    batch, length, channels = update.shape
    if length <= SHORT:
        return recurrence_by_steps(decay, update, reverse)
    pad = -length % CHUNK
    if pad:  # at the far end, where it changes no state that is kept
        edges = (0, 0, pad, 0) if reverse else (0, 0, 0, pad)
        decay, update = F.pad(decay, edges), F.pad(update, edges)
    states, turn = torch.empty_like(update), -1 if reverse else 1
    decays, updates, places = (
        each.reshape(batch, -1, CHUNK, channels).unbind(2)[::turn] for each in (decay, update, states)
    )  # CHUNK times (B, chunks, D) each
    # Products of decays in [0, 1] never overflow, unlike forms that divide by a product.
    reach, final = decays[0], updates[0]  # (B, chunks, D) each
    for factor, new in zip(decays[1:], updates[1:], strict=True):
        reach, final = reach * factor, torch.addcmul(new, factor, final)
    state = _shifted(linear_recurrence(reach, final, reverse), reverse)  # (B, chunks, D)
    for factor, new, place in zip(decays, updates, places, strict=True):
        state = torch.addcmul(new, factor, state, out=place)
    return states[:, pad:] if reverse else states[:, :length]


def _shifted(by_chunk: Tensor, reverse: bool = False) -> Tensor:
    """What each chunk (B, chunks, D) receives: from the one before, in reverse the one after."""
    received = torch.zeros_like(by_chunk)
    if reverse:
        received[:, :-1] = by_chunk[:, 1:]
    else:
        received[:, 1:] = by_chunk[:, :-1]
    return received
