"""How training timesteps are drawn: uniformly, log-normally, or where the loss is large."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

import torch
from torch import Tensor

from ddpm_core.diffusion.diffuser import Diffuser
from ddpm_core.errors import no_such
from ddpm_core.training.shards import LossState

BINS = 100
HISTORY_LENGTH = 10  # losses per bin, what Nichol & Dhariwal 2021 keep per timestep
UNIFORM_FRACTION = 0.001  # so that no timestep is given up for good, as in their code

TimestepDraw = Literal["uniform", "lognormal", "importance"]


def draw_timesteps(count: int, how: TimestepDraw, diffuser: Diffuser) -> Tensor:
    """Timesteps (count,) in 1..N-1 from the global CPU generator. Raises `UserError` if there is no such draw.

    "uniform" is DDPM's (Ho et al. 2020, algorithm 1). "lognormal" draws the noise-to-signal ratio sigma (Karras et al.
    2022, table 1): ln sigma has mean 0.2 and deviation 1.3. "importance", without a `LossAwareSampler`, is "uniform".
    """
    if how not in get_args(TimestepDraw):
        raise no_such("draw of timesteps", how, get_args(TimestepDraw))
    if how in ("uniform", "importance"):
        return torch.randint(1, diffuser.num_timesteps, (count,))
    alpha_bar = diffuser.alpha_bar[1:]  # (N-1,)
    log_sigma = 0.5 * torch.log((1 - alpha_bar) / alpha_bar)  # (N-1,)
    # This spends effort where pictures are decided; of uniform draws in the linear schedule, 3 of 4 have more noise
    # than signal.
    drawn = 0.2 + 1.3 * torch.randn(count, dtype=torch.float64)  # (count,)
    return 1 + torch.searchsorted(log_sigma, drawn).clamp_max(len(log_sigma) - 1)


class LossAwareSampler(LossState):
    """Importance sampling of timesteps by the last losses met in each bin of them, on CPU.

    A probability is proportional to the root of its loss's second moment, so that the loss varies least (Nichol &
    Dhariwal 2021, "Improved Denoising Diffusion Probabilistic Models", eq. 18), and even until the history is filled.
    Bins, unlike single timesteps, fill within tens of steps.
    """

    losses: Tensor
    seen: Tensor

    def __init__(self, num_timesteps: int, bins: int = BINS, history_length: int = HISTORY_LENGTH):
        super().__init__()
        bins = min(bins, num_timesteps - 1)
        self.bin = torch.arange(num_timesteps - 1) * bins // (num_timesteps - 1)  # of timestep 1, 2, ...
        self.register_buffer("losses", torch.zeros(bins, history_length, dtype=torch.float64))  # the newest last
        self.register_buffer("seen", torch.zeros(bins, dtype=torch.int64))
        self.pending: list[tuple[Tensor, Tensor]] = []

    def probabilities(self) -> Tensor:
        """How often each of the timesteps 1..N-1 is drawn: (N-1,) float64, above 0, 1 in sum."""
        size, second_moment = len(self.bin), self.losses.square().mean(1)  # (bins,)
        uniform = torch.full((size,), 1 / size, dtype=torch.float64)  # (N-1,)
        if self.seen.min() < self.losses.shape[1] or not second_moment.any():
            return uniform
        by_loss = second_moment.sqrt()[self.bin]  # (N-1,)
        return UNIFORM_FRACTION * uniform + (1 - UNIFORM_FRACTION) * by_loss / by_loss.sum()

    def sample(self, count: int) -> Tensor:
        """Timesteps (count,) in 1..N-1 from the global CPU generator."""
        return 1 + torch.multinomial(self.probabilities(), count, replacement=True)

    def weights(self, t: Tensor) -> Tensor:
        """What losses at sampled timesteps (B,) are multiplied with to be uniform on average: 1 / (p_t (N-1))."""
        return (1 / (len(self.bin) * self.probabilities()[t.cpu() - 1])).float().to(t.device)

    def note(self, t: Tensor, losses: Tensor) -> None:
        """Keep a shard's unweighed losses (B,) at timesteps (B,), for `commit`."""
        self.pending.append((t.cpu(), losses.detach().cpu()))

    def discard_pending(self) -> None:
        self.pending.clear()

    def commit(self, gather: Callable[[Tensor], Tensor]) -> None:
        if self.pending:
            t, losses = (gather(torch.cat(each)) for each in zip(*self.pending, strict=True))
            self.update(t.long(), losses)
        self.pending.clear()

    @torch.no_grad()
    def update(self, t: Tensor, losses: Tensor) -> None:
        """Take in the losses (B,) at timesteps (B,); what is not finite is left out."""
        losses = losses.cpu().double()
        met, losses = self.bin[t.cpu()[losses.isfinite()] - 1], losses[losses.isfinite()]  # (M,) each
        for index in met.unique().tolist():
            fresh = losses[met == index]
            self.losses[index] = torch.cat([self.losses[index], fresh])[-self.losses.shape[1] :]
            self.seen[index] += len(fresh)
