"""Serpentine mixing: scan a grid of cells along many paths with a selective linear recurrence.

A path visits every cell once and only ever steps to a neighbour, like a snake. A recurrence that runs
along it carries information from any cell to any later one at a cost linear in the number of cells,
where attention pays the square. Eight directed paths (rows, columns, both diagonals, each both ways)
share the channels, so more directions cost nothing.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise

import torch
from torch import Tensor, nn

from ddpm_core.layers import starting_at_zero

DIRECTIONS = 8


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
def _path_index(height: int, width: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Order and inverse order of rows in a (cells * 8, channels) table, one row per cell and direction.

    Path k reorders only the rows of direction k, so one `index_select` moves all eight at once.
    """
    paths = scan_paths(height, width)
    order = (paths * DIRECTIONS + torch.arange(DIRECTIONS)[:, None]).T.reshape(-1)
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


def recurrence_by_steps(decay: Tensor, update: Tensor) -> Tensor:
    """The recurrence in its plainest form: `h[t] = decay[t] * h[t-1] + update[t]`, `h[-1] = 0`.

    Shapes (B, L, D) each. Slow; it says what `linear_recurrence` computes, and tests hold it to that.
    """
    state = torch.zeros_like(update[:, 0])
    states = []
    for t in range(update.shape[1]):
        state = decay[:, t] * state + update[:, t]
        states.append(state)
    return torch.stack(states, dim=1)


def linear_recurrence(decay: Tensor, update: Tensor, reverse: bool = False) -> Tensor:
    """`recurrence_by_steps` in about 3*sqrt(L) vector operations and two passes over memory.

    The sequence is cut into about sqrt(L) chunks that are scanned side by side; then one state per
    chunk, what it hands to the next, is scanned; then every cell adds what its chunk received. All
    products are of decays in [0, 1], so nothing overflows (unlike forms that divide by a product).
    No gradient flows through it; `_GatedScan` has its own.

    Args:
        decay, update: (B, L, D) fp32.
        reverse: run from the end: `h[t] = decay[t] * h[t+1] + update[t]`.
    Returns:
        (B, L, D), all states h.
    """
    batch, length, channels = update.shape
    size = max(1, round(length**0.5))
    pad = -length % size
    if pad:  # at the far end, where it changes no state that is kept
        edges = (0, 0, pad, 0) if reverse else (0, 0, 0, pad)
        decay, update = torch.nn.functional.pad(decay, edges), torch.nn.functional.pad(update, edges)
    chunks = (length + pad) // size
    decay, update = decay.reshape(batch, chunks, size, channels), update.reshape(batch, chunks, size, channels)
    along, across = list(range(size)), list(range(chunks))
    if reverse:
        along.reverse()
        across.reverse()

    states, reach = torch.empty_like(update), torch.empty_like(decay)  # reach: product of decays since chunk start
    states[:, :, along[0]], reach[:, :, along[0]] = update[:, :, along[0]], decay[:, :, along[0]]
    for before, t in pairwise(along):
        torch.addcmul(update[:, :, t], decay[:, :, t], states[:, :, before], out=states[:, :, t])
        torch.mul(reach[:, :, before], decay[:, :, t], out=reach[:, :, t])

    received = torch.zeros_like(states[:, :, 0])
    final = along[-1]
    for before, c in pairwise(across):
        torch.addcmul(states[:, before, final], reach[:, before, final], received[:, before], out=received[:, c])
    states.addcmul_(reach, received.unsqueeze(2))
    states = states.view(batch, chunks * size, channels)
    return states[:, pad:] if reverse else states[:, :length]


class _GatedScan(torch.autograd.Function):
    """States of `h[t] = (1 - w[t]) h[t-1] + w[t] value[t]` with `w = sigmoid(delta)`, in fp32.

    Backward is the same scan run from the end: with g the gradient of h,
    total[t] = g[t] + (1 - w[t+1]) total[t+1], and value gets total * w, w gets total * (value - h[t-1]).
    Only the inputs and h are kept for it.
    """

    @staticmethod
    def forward(ctx, value: Tensor, delta: Tensor) -> Tensor:
        write = torch.sigmoid(delta.float())  # explicit casts: arithmetic between types is slow on CPU
        states = linear_recurrence(1 - write, write * value.float())
        ctx.save_for_backward(value, delta, states)
        return states

    @staticmethod
    def backward(ctx, grad: Tensor):
        value, delta, states = ctx.saved_tensors
        write = torch.sigmoid(delta.float())
        handed_on = torch.zeros_like(write)
        torch.sub(1, write[:, 1:], out=handed_on[:, :-1])
        total = linear_recurrence(handed_on, grad.float(), reverse=True)
        write_grad = total * value.float()
        write_grad[:, 1:].addcmul_(total[:, 1:], states[:, :-1], value=-1)
        delta_grad = write_grad.mul_(write).mul_(1 - write)
        return total.mul_(write).to(value.dtype), delta_grad.to(delta.dtype)


def gated_scan(value: Tensor, delta: Tensor) -> Tensor:
    """The selective scan: `h[t] = (1 - w[t]) h[t-1] + w[t] value[t]`, `w = sigmoid(delta)`, differentiable.

    Args:
        value, delta: (B, L, D), any floating type.
    Returns:
        (B, L, D) fp32, all states h.
    """
    return _GatedScan.apply(value, delta)


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
        order, inverse = _path_index(height, width, x.device)

        tokens = self.norm(x.permute(0, 2, 3, 1).reshape(batch, cells, channels))
        proposed = self.propose(tokens).chunk(2, dim=2)
        value, delta = (
            _Reorder.apply(rows.reshape(batch, cells * DIRECTIONS, share), order, inverse).view(batch, cells, channels)
            for rows in proposed
        )
        states = gated_scan(value, delta).to(tokens.dtype).view(batch, cells * DIRECTIONS, share)
        states = _Reorder.apply(states, inverse, order).view(batch, cells, channels)

        mixed = self.out(states * torch.nn.functional.silu(self.gate(tokens)))
        return x + mixed.view(batch, height, width, channels).permute(0, 3, 1, 2)
