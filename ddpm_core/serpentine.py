"""Serpentine mixing: scan a grid of cells along many paths with a selective linear recurrence.

A path visits every cell once and only ever steps to a neighbour, like a snake. A recurrence that runs
along it carries information from any cell to any later one at a cost linear in the number of cells,
where attention pays the square. Eight directed paths (rows, columns, both diagonals, each both ways)
share the channels, so more directions cost nothing.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor, nn

from ddpm_core.layers import starting_at_zero

DIRECTIONS = 8
CHUNK = 8  # cells: measured, larger ones make single operations too small for two threads
SHORT = 16  # up to so many cells, one after the other is fastest


def scan_paths(height: int, width: int) -> Tensor:
    """The eight directed serpentine paths over a grid of `height` x `width` cells.

    Returns:
        int64 (8, height*width). Row k lists cell numbers (`y * width + x`) in the order path k visits
        them: rows, columns, diagonals, anti-diagonals, then the same four backwards. Consecutive
        cells are neighbours (they touch, at least at a corner).
    """
    cells = torch.arange(height * width).view(height, width)
    forward = [_snake_rows(cells), _snake_rows(cells.T), _snake_diagonals(cells), _snake_diagonals(cells.flip(1))]
    return torch.stack(forward + [path.flip(0) for path in forward])


def _snake_rows(cells: Tensor) -> Tensor:
    """Left to right, then right to left, row by row."""
    return torch.cat([row if i % 2 == 0 else row.flip(0) for i, row in enumerate(cells)])


def _snake_diagonals(cells: Tensor) -> Tensor:
    """JPEG's zigzag: diagonal by diagonal from one corner to the opposite, turning at the borders."""
    height, width = cells.shape
    flipped = cells.flip(0)
    diagonals = [flipped.diagonal(k) for k in range(1 - height, width)]
    return torch.cat([d if i % 2 == 0 else d.flip(0) for i, d in enumerate(diagonals)])


@lru_cache(maxsize=32)
@torch.inference_mode(False)
def _path_index(height: int, width: int, parts: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Order and inverse order of rows in a (cells * parts * 8, channels) table: per cell, so many rows per direction.

    Path k reorders only the rows of direction k, so one `index_select` moves all eight at once. The parts come out one
    after the other, and each as `_GatedScan` wants it: the cells at the same place of every chunk beside each other.
    """
    paths, size = scan_paths(height, width), chunk_size(height * width)
    cells = paths.view(DIRECTIONS, -1, size).transpose(1, 2).reshape(DIRECTIONS, -1).T
    row = torch.arange(parts * DIRECTIONS).view(parts, 1, DIRECTIONS)
    order = (cells * parts * DIRECTIONS + row).flatten()
    return order.to(device), order.argsort().to(device)


class _Reorder(torch.autograd.Function):
    """`index_select` along dim 1 by a permutation, whose gradient is a gather by the inverse.

    PyTorch's own backward scatters with `index_add`, which is sequential on CPU.
    """

    @staticmethod
    def forward(ctx, rows: Tensor, order: Tensor, inverse: Tensor) -> Tensor:
        ctx.save_for_backward(order, inverse)
        return rows.index_select(1, order)

    @staticmethod
    def backward(ctx, grad: Tensor):
        order, inverse = ctx.saved_tensors
        return _Reorder.apply(grad.contiguous(), inverse, order), None, None


def recurrence_by_steps(decay: Tensor, update: Tensor, reverse: bool = False) -> Tensor:
    """The recurrence in its plainest form: `h[t] = decay[t] * h[t-1] + update[t]`, `h[-1] = 0`.

    Shapes (B, L, D) each. Slow where L is large; it says what `linear_recurrence` computes.
    """
    turn = -1 if reverse else 1
    state, states = torch.zeros_like(update[:, 0]), []
    for kept, new in zip(decay.unbind(1)[::turn], update.unbind(1)[::turn], strict=True):
        state = torch.addcmul(new, kept, state)
        states.append(state)
    return torch.stack(states[::turn], dim=1)


def linear_recurrence(decay: Tensor, update: Tensor, reverse: bool = False) -> Tensor:
    """`recurrence_by_steps` in some 3 * `CHUNK` vector operations for every factor of `CHUNK` in L.

    The sequence is cut into chunks that are scanned side by side for what each hands on, were it handed nothing, and
    by how much it fades what it is handed. That is a sequence of one cell per chunk, and the same recurrence; once
    each chunk's share of it is known, chunks are scanned for good. All products are of decays in [0, 1], so nothing
    overflows (unlike forms that divide by a product). No gradient flows through it; `_GatedScan` has its own.

    Args:
        decay, update: (B, L, D) fp32.
        reverse: run from the end: `h[t] = decay[t] * h[t+1] + update[t]`.
    Returns:
        (B, L, D), all states h.
    """
    batch, length, channels = update.shape
    if length <= SHORT:
        return recurrence_by_steps(decay, update, reverse)
    pad = -length % CHUNK
    if pad:  # at the far end, where it changes no state that is kept
        edges = (0, 0, pad, 0) if reverse else (0, 0, 0, pad)
        decay, update = torch.nn.functional.pad(decay, edges), torch.nn.functional.pad(update, edges)
    states, turn = torch.empty_like(update), -1 if reverse else 1
    decays, updates, places = (
        each.reshape(batch, -1, CHUNK, channels).unbind(2)[::turn] for each in (decay, update, states)
    )
    reach, final = decays[0], updates[0]
    for kept, new in zip(decays[1:], updates[1:], strict=True):
        reach, final = reach * kept, torch.addcmul(new, kept, final)
    state = _shifted(linear_recurrence(reach, final, reverse), reverse)
    for kept, new, place in zip(decays, updates, places, strict=True):
        state = torch.addcmul(new, kept, state, out=place)
    return states[:, pad:] if reverse else states[:, :length]


@lru_cache
def chunk_size(length: int) -> int:
    """How many cells of a path of `length` make a chunk: about a square root of them, up to `CHUNK`, and a divisor."""
    wanted = min(CHUNK, math.sqrt(length))
    divisors = [d for d in range(1, length + 1) if length % d == 0]
    return min(divisors, key=lambda d: abs(math.log(d / wanted)))


class _GatedScan(torch.autograd.Function):
    """States of `h[l] = (1 - w[l]) h[l-1] + w[l] value[l]` with `w = sigmoid(delta)`; what is computed with is fp32.

    Takes (B, 2, size, chunks, D), value and delta, and returns (B, size, chunks, D) in their type. The sequence comes
    cut into chunks, the cells at the same place t of every chunk c beside each other: l = c * size + t. All chunks are
    scanned side by side, so that every operation is on memory in one piece: once to find what each chunk hands on,
    then, knowing what it was handed, for good. Only w, h and the chunks' decay are kept for backward.

    Backward is the same from the end: with g the gradient of h, total[l] = g[l] + (1 - w[l+1]) total[l+1];
    value gets w total, and delta gets w (1 - w) (value - h[l-1]) total, where w (value - h[l-1]) is h[l] - h[l-1].
    """

    @staticmethod
    def forward(ctx, proposed: Tensor) -> Tensor:
        value, delta = proposed.float().unbind(1)  # cast at once: arithmetic between types is slow on CPU
        write = torch.sigmoid(delta)
        values, writes = value.unbind(1), write.unbind(1)
        final, decay = values[0] * writes[0], 1 - writes[0]
        for value, w in zip(values[1:], writes[1:], strict=True):
            final.lerp_(value, w)
            decay.addcmul_(decay, w, value=-1)
        before = _shifted(linear_recurrence(decay, final))
        states = torch.empty_like(write)
        for value, w, state in zip(values, writes, states.unbind(1), strict=True):
            before = torch.lerp(before, value, w, out=state)
        ctx.save_for_backward(write, states, decay)
        return states.to(proposed.dtype)

    @staticmethod
    def backward(ctx, grad: Tensor):
        write, states, decay = ctx.saved_tensors
        writes, grads = write.unbind(1)[::-1], grad.float().unbind(1)[::-1]
        handed_on = torch.zeros_like(decay)
        for w, g in zip(writes, grads, strict=True):
            handed_on.add_(g)
            handed_on.addcmul_(handed_on, w, value=-1)
        total = _shifted(linear_recurrence(decay, handed_on, reverse=True), reverse=True)
        batch, *rest = grad.shape
        proposed_grad, received = grad.new_empty(batch, 2, *rest), torch.empty_like(total)
        value_grads, delta_grads = (part.unbind(1)[::-1] for part in proposed_grad.unbind(1))
        at = states.unbind(1)
        changes = zip(at[::-1], [*at[-2::-1], _shifted(at[-1])], strict=True)
        for w, g, (state, before), to_value, to_delta in zip(
            writes, grads, changes, value_grads, delta_grads, strict=True
        ):
            total.add_(g)
            torch.mul(total, w, out=received)
            to_value.copy_(received)
            total.sub_(received)
            torch.sub(state, before, out=received)
            to_delta.copy_(received.mul_(total))
        return proposed_grad


def _shifted(by_chunk: Tensor, reverse: bool = False) -> Tensor:
    """What each chunk (B, chunks, D) receives, from what each hands on: the one before it, or after it in reverse."""
    received = torch.zeros_like(by_chunk)
    if reverse:
        received[:, :-1] = by_chunk[:, 1:]
    else:
        received[:, 1:] = by_chunk[:, :-1]
    return received


class SerpentineMixer(nn.Module):
    """Mixes all cells of a (B, C, H, W) map along eight serpentine paths; starts as the identity.

    Each cell proposes a value u and a step size delta. The state of a selective state space of size one
    under zero-order hold is h <- exp(-softplus(delta)) h + (1 - exp(-softplus(delta))) u, a gated
    recurrence (Gu & Dao 2023, "Mamba", Theorem 1), since exp(-softplus(x)) = sigmoid(-x). Biases of
    delta start at time scales spread from 1 to 64 cells.

    Args:
        channels: C, a multiple of 8; every direction gets C/8 of them.
    """

    def __init__(self, channels: int):
        super().__init__()
        if channels % DIRECTIONS:
            raise ValueError(f"a serpentine mixer needs a multiple of {DIRECTIONS} channels, not {channels}")
        self.norm = nn.LayerNorm(channels)
        self.propose = nn.Linear(channels, 2 * channels)  # C values u, then C step sizes delta
        self.gate = nn.Linear(channels, channels)
        self.out = starting_at_zero(nn.Linear(channels, channels))
        share = channels // DIRECTIONS
        with torch.no_grad():
            keep = 1 - 1 / torch.logspace(0, 6, share, base=2).clamp_min(1.5)
            self.propose.bias.copy_(torch.cat([torch.zeros(channels), torch.logit(1 - keep).repeat(DIRECTIONS)]))

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, height, width = x.shape
        cells, share = height * width, channels // DIRECTIONS
        there, back = _path_index(height, width, 2, x.device), _path_index(height, width, 1, x.device)[::-1]

        tokens = self.norm(x.permute(0, 2, 3, 1).reshape(batch, cells, channels))
        proposed = self.propose(tokens).view(batch, cells * 2 * DIRECTIONS, share)
        proposed = _Reorder.apply(proposed, *there).view(batch, 2, chunk_size(cells), -1, channels)
        states = _GatedScan.apply(proposed).view(batch, cells * DIRECTIONS, share)
        states = _Reorder.apply(states, *back).view(batch, cells, channels)

        mixed = self.out(states * torch.nn.functional.silu(self.gate(tokens)))
        return x + mixed.view(batch, height, width, channels).permute(0, 3, 1, 2)
