"""Inpainting: masks on the latent grid, constraints that hold what is kept, and pasting it back.

Masks are boolean (B, 1, H, W) "keep" masks: True is preserved, False is painted and made anew.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from ddpm_core.diffusion.diffuser import Diffuser

MaskRule = Literal["safe", "nearest"]
ClampRule = Literal["clean", "noised"]
Constraint = Callable[[Tensor, int], Tensor]


def keep_cells(keep: Tensor, stride: int, rule: MaskRule = "safe") -> Tensor:
    """The latent cells (B, 1, H/stride, W/stride) to keep, for a keep mask (B, 1, H, W) of pixels.

    "safe" keeps a cell only if none of its pixels is painted, so every painted pixel is made anew;
    "nearest" looks at one pixel per cell (top left), as plain nearest-neighbour resizing does.
    """
    if rule == "nearest":
        return keep[:, :, ::stride, ::stride]
    return ~(F.max_pool2d((~keep).float(), stride) > 0)


def clamp_to(anchor: Tensor, keep: Tensor) -> Constraint:
    """Constraint that puts the kept cells of a latent back to the clean `anchor` after every step.

    The original project's own, without a paper. RePaint's (Lugmayr et al. 2022, eq. 8a) is `clamp_noised`.

    Args:
        anchor: (B, C, h, w), the posterior mean of the picture to keep.
        keep: (B, 1, h, w), True where cells are kept.
    """

    def constrain(latent: Tensor, t: int) -> Tensor:
        return torch.where(keep, anchor, latent)

    return constrain


def clamp_noised(anchor: Tensor, keep: Tensor, diffuser: Diffuser, noise: Callable[[], Tensor]) -> Constraint:
    """Constraint that puts the kept cells to `anchor` with as much noise as belongs to the state reached.

    RePaint's (Lugmayr et al. 2022, eq. 8a): the network sees one noise level everywhere, as in plain training.

    Args:
        anchor, keep: as for `clamp_to`.
        noise: draws (B, C, h, w); fresh at every step.
    """

    def constrain(latent: Tensor, t: int) -> Tensor:
        known = anchor.expand_as(latent)
        if t > 0:
            known = diffuser.add_noise(known, noise(), torch.full((len(latent),), t))
        return torch.where(keep, known, latent)

    return constrain


def resampled(timesteps: Sequence[int], times: int, jump: int = 1) -> list[int]:
    """`timesteps` with every `jump` steps but the last one taken `times` times over, going back up in between.

    RePaint's resampling (Lugmayr et al. 2022, section 4.2 and algorithm 1, line 10; `jump` is its jump length j): a
    fill that was made before it knew its neighbours is made again now that it does, and with a longer jump from so
    much noise that more than details can change. Stretches of `jump` steps are counted up from the last step, which
    is taken once; so is what is left over at the start. The paper rises one state at a time. Here the path rises at
    once, and all that noise is added together (`Diffuser.noised_further`), which is the same in distribution.

    Args:
        timesteps: states to pass through, falling to 0.
        times: how often each stretch is taken; 1 leaves the path as it is.
        jump: steps in a stretch, at least 1; with more than there are before the last, there is none.
    """
    path = list(timesteps[:1])
    for done, then in enumerate(timesteps[1:], start=1):
        path.append(then)
        left = len(timesteps) - 1 - done  # steps from here to 0
        if left > 0 and (left - 1) % jump == 0 and done >= jump:
            path += (times - 1) * list(timesteps[done - jump : done + 1])
    return path


def random_regions(batch: int, height: int, width: int) -> Tensor:
    """Regions (B, 1, height, width) such as people keep or paint: half planes, ellipses, boxes, strokes, inverses.

    Drawn from the global CPU generator, one shape per entry, covering anything from little to nearly all.
    """
    y = torch.linspace(-1, 1, height).view(1, height, 1)
    x = torch.linspace(-1, 1, width).view(1, 1, width)
    draw = torch.rand(8, batch, 1, 1)
    turn = draw[0] * 2 * torch.pi
    dx, dy = x - (draw[1] * 1.6 - 0.8), y - (draw[2] * 1.6 - 0.8)
    along, across = dx * turn.cos() + dy * turn.sin(), dy * turn.cos() - dx * turn.sin()
    long, short = 0.2 + draw[3], 0.15 + 0.7 * draw[4]

    ellipse = (along / long).square() + (across / short).square() < 1
    half_plane = (along > 0).expand_as(ellipse)
    box = (dx.abs() < long) & (dy.abs() < short)
    stroke = (along.abs() < 2 * long) & (across.abs() < 0.1 + 0.3 * draw[4])
    shapes = torch.stack([ellipse, half_plane, box, stroke])
    kind = (draw[5].flatten() * len(shapes)).long()
    region = shapes[kind, torch.arange(batch)] ^ (draw[6] < 0.5)
    return region.unsqueeze(1)
