"""Timesteps drawn where the loss is large: importance sampling by the losses that were met before."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ddpm_core.training.shards import Memory

STRETCHES = 100
KEPT = 10  # losses per stretch, what Nichol & Dhariwal 2021 keep per timestep
UNIFORM_SHARE = 0.001  # so that no timestep is given up for good, as in their code


class LossHistory(Memory):
    """The last losses met in each stretch of timesteps, and the draw that they ask for.

    A timestep's probability is proportional to the root of its loss's second moment, which of all unbiased draws makes
    the loss vary least (Nichol & Dhariwal 2021, "Improved Denoising Diffusion Probabilistic Models", eq. 18). Until
    all of the history is filled it is the same for all. There the history is kept per timestep; here for stretches
    of neighbours, which share one probability, so that it is filled within some tens of steps instead of a thousand
    and never long out of date. It lives on CPU; a run that is resumed needs it as it was.

    Args:
        num_timesteps: N of the diffuser; timesteps are drawn from 1..N-1.
        stretches: how many, of equal length but for rounding; no more than there are timesteps.
        kept: losses remembered of each.
    """

    losses: Tensor
    seen: Tensor

    def __init__(self, num_timesteps: int, stretches: int = STRETCHES, kept: int = KEPT):
        super().__init__()
        stretches = min(stretches, num_timesteps - 1)
        self.stretch = torch.arange(num_timesteps - 1) * stretches // (num_timesteps - 1)  # of timestep 1, 2, ...
        self.register_buffer("losses", torch.zeros(stretches, kept, dtype=torch.float64))  # the newest last
        self.register_buffer("seen", torch.zeros(stretches, dtype=torch.int64))
        self.told: list[tuple[Tensor, Tensor]] = []

    def probabilities(self) -> Tensor:
        """How often each of the timesteps 1..N-1 is drawn: (N-1,) float64, above 0, 1 in sum."""
        size, second_moment = len(self.stretch), self.losses.square().mean(1)
        uniform = torch.full((size,), 1 / size, dtype=torch.float64)
        if self.seen.min() < self.losses.shape[1] or not second_moment.any():
            return uniform
        by_loss = second_moment.sqrt()[self.stretch]
        return UNIFORM_SHARE * uniform + (1 - UNIFORM_SHARE) * by_loss / by_loss.sum()

    def draw(self, count: int) -> Tensor:
        """Timesteps (count,) in 1..N-1 from the global CPU generator."""
        return 1 + torch.multinomial(self.probabilities(), count, replacement=True)

    def weights(self, t: Tensor) -> Tensor:
        """What the losses at timesteps (B,) that were drawn by it are to be multiplied with, (B,): 1 / (p_t (N-1)).

        Their mean is then, on average, that of timesteps drawn uniformly.
        """
        return (1 / (len(self.stretch) * self.probabilities()[t.cpu() - 1])).float().to(t.device)

    def note(self, t: Tensor, losses: Tensor) -> None:
        """Be told the losses (B,), before they are weighed, of a share of the batch at timesteps (B,)."""
        self.told.append((t.cpu(), losses.detach().cpu()))

    def begin(self) -> None:
        self.told.clear()

    def settle(self, together: Callable[[Tensor], Tensor]) -> None:
        """Take in what was told; losses that are not finite are left out."""
        if self.told:
            t, losses = (together(torch.cat(each)) for each in zip(*self.told, strict=True))
            self.remember(t.long(), losses)
        self.told.clear()

    @torch.no_grad()
    def remember(self, t: Tensor, losses: Tensor) -> None:
        """Take in the losses (B,) at timesteps (B,); what is not finite is left out."""
        losses = losses.cpu().double()
        met, losses = self.stretch[t.cpu()[losses.isfinite()] - 1], losses[losses.isfinite()]
        for stretch in met.unique().tolist():
            fresh = losses[met == stretch]
            self.losses[stretch] = torch.cat([self.losses[stretch], fresh])[-self.losses.shape[1] :]
            self.seen[stretch] += len(fresh)
