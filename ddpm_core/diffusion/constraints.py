"""Inpainting on the latent grid: constraints that hold what is kept, and RePaint's path of timesteps.

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
    """Puts the kept cells of a latent back to the clean `anchor` after every step.

    The original project's own, without a paper; RePaint's is `clamp_noised`.

    Args:
        anchor: (1 or B, C, h, w), the posterior mean of the picture to keep.
        mask: bool (1 or B, 1, h, w), True where cells are made anew.
        diffuser, noise: not needed here; all of `CLAMPS` are called alike.
    """
    keep = ~mask

    def constrain(latent: Tensor, t: int) -> Tensor:
        return torch.where(keep, anchor, latent)

    return constrain


def clamp_noised(anchor: Tensor, mask: Tensor, diffuser: Diffuser, noise: Noise) -> Constraint:
    """Puts the kept cells to `anchor` with as much noise as the state has.

    RePaint's (Lugmayr et al. 2022, eq. 8a): the network sees one noise level everywhere, as in plain training.

    Args:
        anchor, mask: as for `clamp_to_mean`.
        noise: draws (B, C, h, w); fresh at every step.
    """
    keep = ~mask

    def constrain(latent: Tensor, t: int) -> Tensor:
        known = anchor.expand_as(latent)  # (B, C, h, w)
        if t > 0:
            known = diffuser.add_noise(known, noise(), torch.full((len(latent),), t))
        return torch.where(keep, known, latent)

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
    """A cell is made anew if its top left pixel is, as plain nearest-neighbour resizing has it."""
    return mask[:, :, ::stride, ::stride]


# Ways from a mask of pixels, bool (B, 1, H, W), to one of cells, (B, 1, H/stride, W/stride), by their requests' name.
MASK_RULES: dict[str, Callable[[Tensor, int], Tensor]] = {"safe": any_pixel, "nearest": one_pixel}


def repaint_timesteps(timesteps: Sequence[int], resamples: int, jump: int = 1) -> list[int]:
    """`timesteps` with every `jump` steps but the last one taken several times over, going back up in between.

    RePaint's resampling (Lugmayr et al. 2022, section 4.2 and algorithm 1, line 10; `jump` is its jump length j): a
    fill made before it knew its neighbours is made again; a longer jump lets more than details change. Stretches are
    counted up from the last step, which is taken once; so is what is left over at the start. The paper rises state by
    state, the path here at once under all that noise together (`Diffuser.add_noise_between`), the same in distribution.

    Args:
        timesteps: states to pass through, falling to 0.
        resamples: how often each stretch is taken, from 1.
        jump: steps in a stretch, from 1; with more than there are before the last, there is none.
    """
    path = list(timesteps[:1])
    for done, s in enumerate(timesteps[1:], start=1):
        path.append(s)
        left = len(timesteps) - 1 - done  # steps from here to 0
        if left > 0 and (left - 1) % jump == 0 and done >= jump:
            path += (resamples - 1) * list(timesteps[done - jump : done + 1])
    return path
