"""Inpainting on the latent grid: constraints that hold what is kept, and RePaint's timesteps.

A mask is True where things are made anew; `keep = ~mask` stands in this file alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from ddpm_core.diffusion.diffuser import Diffuser
from ddpm_core.diffusion.noise import Noise

Constraint = Callable[[Tensor, int], Tensor]  # constrain(latent (B, C, h, w), t) -> latent (B, C, h, w)


def unconstrained(latent: Tensor, t: int) -> Tensor:
    """The constraint that asks for nothing."""
    return latent


def clamp_to_mean(anchor: Tensor, mask: Tensor, diffuser: Diffuser, noise: Noise) -> Constraint:
    """Puts the kept cells of a latent back to the clean `anchor` after every step, as the original project did.

    Args:
        anchor: (1 or B, C, h, w), the posterior mean of the picture.
        mask: bool (1 or B, 1, h, w), True where cells are made anew.
        diffuser, noise: unused; all of `CLAMPS` are called alike.
    """
    keep = ~mask

    def constrain(latent: Tensor, t: int) -> Tensor:
        return torch.where(keep, anchor, latent)  # (B, C, h, w)

    return constrain


def clamp_noised(anchor: Tensor, mask: Tensor, diffuser: Diffuser, noise: Noise) -> Constraint:
    """Puts the kept cells to `anchor` with as much noise as the state has (RePaint, Lugmayr et al. 2022, eq. 8a).

    Args as for `clamp_to_mean`; `noise` is drawn afresh at every step.
    """
    keep = ~mask

    def constrain(latent: Tensor, t: int) -> Tensor:
        known = anchor.expand_as(latent)  # (B, C, h, w)
        if t > 0:
            known = diffuser.add_noise(known, noise(), torch.full((len(latent),), t))
        return torch.where(keep, known, latent)  # (B, C, h, w)

    return constrain


# Ways to hold what is kept, by the name that requests have for them.
CLAMPS: dict[str, Callable[[Tensor, Tensor, Diffuser, Noise], Constraint]] = {
    "clean": clamp_to_mean,
    "noised": clamp_noised,
}


def any_pixel(mask: Tensor, stride: int) -> Tensor:
    """A cell is made anew if any of its pixels is."""
    return F.max_pool2d(mask.float(), stride) > 0


def one_pixel(mask: Tensor, stride: int) -> Tensor:
    """A cell is made anew if its top left pixel is (nearest-neighbour resizing)."""
    return mask[:, :, ::stride, ::stride]


# Ways from a mask of pixels, bool (B, 1, H, W), to one of cells, (B, 1, H/stride, W/stride), by their requests' name.
MASK_RULES: dict[str, Callable[[Tensor, int], Tensor]] = {"safe": any_pixel, "nearest": one_pixel}


def repaint_timesteps(timesteps: Sequence[int], resamples: int, jump: int = 1) -> list[int]:
    """`timesteps` with every `jump` steps but the last one taken several times over, going back up in between.

    RePaint's resampling (Lugmayr et al. 2022, section 4.2 and algorithm 1, line 10). Stretches are counted up from the
    last step; that step, and what is left over at the start, is taken once.

    Args:
        timesteps: falling to 0.
        resamples: how often each stretch is taken, from 1.
        jump: their j, steps in a stretch, from 1.
    """
    path = list(timesteps[:1])
    for done, s in enumerate(timesteps[1:], start=1):
        path.append(s)
        left = len(timesteps) - 1 - done  # steps from here to 0
        if left > 0 and (left - 1) % jump == 0 and done >= jump:
            path += (resamples - 1) * list(timesteps[done - jump : done + 1])
    return path
