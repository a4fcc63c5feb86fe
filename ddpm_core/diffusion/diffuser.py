"""The noise schedule and the arithmetic of noising.

Timesteps are states: 0 is the clean image, N-1 (nearly) pure noise, with N-1 noising steps between.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ddpm_core.diffusion.schedules import SCHEDULE_ALIASES, SCHEDULES
from ddpm_core.diffusion.spacing import SPACING_ALIASES, SPACINGS, distinct
from ddpm_core.errors import UserError, lookup

MOST_TIMESTEPS = 100_000  # far beyond any use; a damaged config may ask for anything


class Diffuser:
    """A noise schedule over N states (Ho et al. 2020, section 2).

    Args:
        num_timesteps: N, at least 2.
        beta_start, beta_end: variance added by the first and the last noising step, in (0, 1).
        schedule: of `SCHEDULES`.

    Attributes:
        betas: (N,) float64, `betas[t]` leads from state t-1 to t; `betas[0]` is 0.
        alpha_bar: (N,) float64, fraction of the signal's variance left at state t.

    Raises:
        ValueError: an argument is out of range or unknown.
    """

    def __init__(
        self, num_timesteps: int = 1000, beta_start: float = 1e-4, beta_end: float = 2e-2, schedule: str = "linear"
    ):
        if not 2 <= num_timesteps <= MOST_TIMESTEPS:
            raise ValueError(f"a diffuser needs at least 2 timesteps, at most {MOST_TIMESTEPS}, not {num_timesteps}")
        if not (0 < beta_start < 1 and 0 < beta_end < 1):
            raise ValueError(f"betas must lie between 0 and 1, not run from {beta_start} to {beta_end}")
        betas = lookup(SCHEDULES, "noise schedule", schedule, SCHEDULE_ALIASES)
        self.num_timesteps, self.schedule = num_timesteps, SCHEDULE_ALIASES.get(schedule, schedule)
        self.beta_start, self.beta_end = beta_start, beta_end
        steps = betas(num_timesteps - 1, beta_start, beta_end)  # (N - 1,)
        self.betas = torch.cat([torch.zeros(1, dtype=torch.float64), steps])  # (N,)
        self.alpha_bar = torch.cumprod(1 - self.betas, dim=0)  # (N,)

    def config(self) -> dict[str, float | str]:
        """The constructor's arguments, for a checkpoint."""
        return {
            "num_timesteps": self.num_timesteps,
            "beta_start": self.beta_start,
            "beta_end": self.beta_end,
            "schedule": self.schedule,
        }

    def signal_and_noise(self, t: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
        """sqrt(alpha_bar_t) and sqrt(1 - alpha_bar_t) for `t` (B,), shaped to multiply `like` (B, ...).

        Raises:
            ValueError: see `within`.
        """
        shape = (-1,) + (1,) * (like.ndim - 1)
        alpha_bar = self.alpha_bar[self.within(t)].view(shape)  # (B, 1, ...)
        return alpha_bar.sqrt().to(like), (1 - alpha_bar).sqrt().to(like)

    def within(self, t: Tensor, least: int = 0) -> Tensor:
        """Timesteps `t` (B,), on the CPU.

        Raises:
            ValueError: one is not in `least`..N-1.
        """
        t = t.cpu()
        # -1 would otherwise count from the end
        if t.numel() and not (least <= t.min() and t.max() < self.num_timesteps):
            raise ValueError(f"timesteps must be from {least} to {self.num_timesteps - 1}, not {t.min()} to {t.max()}")
        return t

    def half_log_snr(self, t: int) -> float:
        """lambda_t = ln(alpha_t / sigma_t); infinite at state 0."""
        return 0.5 * torch.logit(self.alpha_bar[t]).item()

    def add_noise(self, clean: Tensor, eps: Tensor, t: Tensor) -> Tensor:
        """State `t` (B,) of `clean` (B, ...) under noise `eps` (Ho et al. 2020, eq. 4)."""
        signal, noise = self.signal_and_noise(t, clean)  # (B, 1, ...) each
        return signal * clean + noise * eps

    def add_noise_between(self, noisy: Tensor, t: int, later: int, eps: Tensor) -> Tensor:
        """State `later` > t of what is `noisy` at state t, under fresh noise (Ho et al. 2020, eq. 2, chained)."""
        left = (self.alpha_bar[later] / self.alpha_bar[t]).item()
        return left**0.5 * noisy + (1 - left) ** 0.5 * eps

    def denoised(self, noisy: Tensor, eps: Tensor, t: Tensor) -> Tensor:
        """The clean latent that `noisy` at state t and its noise `eps` imply (Ho et al. 2020, eq. 4)."""
        signal, noise = self.signal_and_noise(t, noisy)  # (B, 1, ...) each
        return (noisy - noise * eps) / signal

    def spaced_timesteps(self, steps: int, spacing: str = "uniform", **extras: float) -> list[int]:
        """`steps`+1 states from N-1 down to 0, for a sampler to pass through.

        Args:
            steps: reverse steps, 1..N-1.
            spacing: of `SPACINGS`.
            extras: further arguments of this spacing.

        Raises:
            UserError: `steps` is out of range, or there is no such spacing.
        """
        if not 1 <= steps <= self.num_timesteps - 1:
            raise UserError(f"steps must be from 1 to {self.num_timesteps - 1}, not {steps}")
        positions = lookup(SPACINGS, "spacing", spacing, SPACING_ALIASES)
        return distinct(positions(self.alpha_bar, steps, **extras), self.num_timesteps)
