"""A model that walks another noise schedule than it was trained on, without being trained anew.

A timestep is a network's name for a noise level, so it is told that of this level (Karras et al. 2022, table 1).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ddpm_core.diffusion.diffuser import Diffuser
from ddpm_core.networks.unet import Denoiser
from ddpm_core.pipeline import LatentDiffusion


def same_noise(asked: Diffuser, trained: Diffuser) -> Tensor:
    """For each state of one schedule that of another with the nearest log-SNR, int64 (N,); the clean one stays 0."""
    levels = torch.logit(trained.alpha_bar[1:]).flip(0).contiguous()  # (N-1,), rising
    wanted = torch.logit(asked.alpha_bar[1:])  # (N-1,)
    # Noise beyond the trained schedule's last state is answered by that state.
    above = torch.searchsorted(levels, wanted).clamp(1, len(levels) - 1)
    nearer_below = wanted - levels[above - 1] < levels[above] - wanted
    found = torch.where(nearer_below, above - 1, above)  # (N-1,)
    return torch.cat([torch.zeros(1, dtype=torch.int64), len(levels) - found])


class Rescheduled(Denoiser):
    """A network asked by the timesteps of another schedule; its weights are shared."""

    def __init__(self, network: Denoiser, asked: Diffuser, trained: Diffuser):
        super().__init__(network.latent_channels, network.prediction, network.classes, network.null_class)
        self.network, self.states, self.text = network, same_noise(asked, trained), network.text
        self.conditioning_channels = network.conditioning_channels

    def forward(
        self,
        noisy: Tensor,
        t: Tensor,
        label: Tensor | None = None,
        encoder_hidden_states: Tensor | None = None,
    ) -> Tensor:
        return self.network(noisy, self.states[t.cpu()].to(t), label, encoder_hidden_states)


class RescheduledClassifier(nn.Module):
    """The same for a classifier of noisy latents."""

    def __init__(self, classifier: nn.Module, asked: Diffuser, trained: Diffuser):
        super().__init__()
        self.classifier, self.states = classifier, same_noise(asked, trained)

    def forward(self, noisy: Tensor, t: Tensor) -> Tensor:
        return self.classifier(noisy, self.states[t.cpu()].to(t))


def under_schedule(model: LatentDiffusion, schedule: str) -> LatentDiffusion:
    """The model with the schedule of that name, its networks shared; the model itself under its own."""
    trained = model.diffuser
    if schedule == trained.schedule:
        return model
    asked = Diffuser(trained.num_timesteps, trained.beta_start, trained.beta_end, schedule)
    other = with_networks(model, lambda network: Rescheduled(network, asked, trained), asked)
    if model.classifier is not None:
        other.classifier = RescheduledClassifier(model.classifier, asked, trained)
    return other


def with_networks(
    model: LatentDiffusion, change: Callable[[Denoiser], Denoiser], diffuser: Diffuser | None = None
) -> LatentDiffusion:
    """The model with what `change` makes of its networks, and perhaps another schedule."""
    other = LatentDiffusion(
        model.codec, change(model.denoiser), diffuser or model.diffuser, model.size, model.name, model.about,
        None if model.guide is None else change(model.guide), model.guidance, model.guidance_interval,
        model.guidance_low, model.classes, model.limit, model.framing, words=model.words, classifier=model.classifier,
        conditioning=model.conditioning,
    )  # fmt: skip
    for wrapper in model.wrappers[len(other.wrappers) :]:
        other = other.with_wrapper(wrapper)
    return other
