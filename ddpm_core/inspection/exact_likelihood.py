"""The density that a model gives a picture's latent: by the probability-flow ODE, beside the variational bound.

It may be above 1, so bits may be below 0, and compares denoisers of one codec alone.
"""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import torch
from pydantic import Field
from torch import Tensor

from ddpm_core.diffusion.diffuser import Diffuser
from ddpm_core.diffusion.prediction import Predictor
from ddpm_core.diffusion.variational_bound import BITS, prior_bits, step_bits
from ddpm_core.evaluation.likelihood import drawn_steps
from ddpm_core.inspection.remember import finished, remembered_steps
from ddpm_core.inspection.rescheduled import with_networks
from ddpm_core.inspection.subject import InsideRequest, Subject
from ddpm_core.networks.cpu.packed import unpacked
from ddpm_core.pipeline import LatentDiffusion


class LikelihoodRequest(InsideRequest):
    """How finely the likelihood of a picture is computed."""

    steps: int = Field(12, ge=2, le=100, description="steps of the ODE, two calls of the network each")
    probes: int = Field(2, ge=1, le=8, description="random directions by which the divergence is estimated")
    draws: int = Field(32, ge=1, le=512, description="terms of the bound that are drawn, beside the first and the last")
    noise: int = Field(0, ge=0, le=2**31 - 1, description="seed of directions and draws")


@dataclass(frozen=True)
class Terms:
    """The variational bound's three terms (Ho et al. 2020, eq. 5), bits per latent dimension."""

    prior: float  # L_T, how far the last state is from noise
    steps: float  # L_1 + ... + L_{T-1}, how far the model's steps are from the true ones
    reconstruction: float  # L_0, of the clean latent after the last step

    @property
    def total(self) -> float:
        return self.prior + self.steps + self.reconstruction


@dataclass(frozen=True)
class Likelihood:
    """How likely a picture's latent is."""

    bits: float  # minus the logarithm of its density, bits per latent dimension
    error: float | None  # standard error of `bits` over the probes; None with one
    bound: Terms
    dimensions: int
    calls: int  # of the network, for `bits` alone


class Followed(NamedTuple):
    """How far a picture has been followed into noise."""

    # step, t: how many steps of the flow were taken, and the state reached
    step: int
    t: int
    latent: Tensor  # (1, C, h, w), the latent there
    bits: float  # what the change of volume comes to so far, bits per latent dimension


def probability_flow(
    predict: Predictor, diffuser: Diffuser, clean: Tensor, steps: int, probes: int, generator: torch.Generator
) -> tuple[Tensor, int]:
    """Logarithm of a latent's density, and how often `predict` was called: see `flow_step_by_step`."""
    return finished(flow_step_by_step(predict, diffuser, clean, steps, probes, generator))


@torch.inference_mode(False)
@torch.enable_grad()
def flow_step_by_step(
    predict: Predictor, diffuser: Diffuser, clean: Tensor, steps: int, probes: int, generator: torch.Generator
) -> Generator[Followed, None, tuple[Tensor, int]]:
    """Logarithm of the density of `clean` (1, C, h, w) by the probability-flow ODE, once per probe: (probes,), nats.

    With x = z / alpha and lambda = ln(alpha / sigma), the ODE is dx / dlambda = -(sigma / alpha) eps(z, t) (Song et al.
    2021, "Score-Based Generative Modeling through SDEs", eq. 13; Karras et al. 2022, eq. 4), and along it (Song et al.,
    eq. 39)

        ln p(x_0) = ln p_T(x_T) + int_{lambda_T}^{lambda_1} sigma tr(d eps / d z) dlambda.

    The trace is the mean of v^T (d eps / d z) v over random signs v (eq. 40). Steps are even in lambda, from state 1,
    by Heun's method; the integral is by the trapezoidal rule.

    Yields how far it is; returns the density's logarithm, and how often `predict` was called.
    """
    states = diffuser.spaced_timesteps(steps + 1, "logsnr")[:-1][::-1]  # from 1 up to N-1
    signs = torch.randint(0, 2, (probes, *clean.shape), generator=generator).to(clean) * 2 - 1  # (probes, 1, C, h, w)
    calls = 0

    def alpha_sigma(t: int) -> tuple[float, float]:
        alpha_bar = diffuser.alpha_bar[t].item()
        return alpha_bar**0.5, (1 - alpha_bar) ** 0.5

    def eps_at(x: Tensor, t: int) -> Tensor:
        nonlocal calls
        calls += 1
        return predict(alpha_sigma(t)[0] * x, torch.full((1,), t, device=x.device)).eps

    def traced(x: Tensor, t: int) -> tuple[Tensor, Tensor]:
        """eps at x, and sigma tr(d eps / d z) by each probe, (probes,)."""
        alpha, sigma = alpha_sigma(t)
        x = x.detach().requires_grad_()
        eps = eps_at(x, t)
        traces = []
        for number, v in enumerate(signs):
            (back,) = torch.autograd.grad(eps, x, v, retain_graph=number + 1 < probes)  # alpha v^T d eps / d z
            traces.append((back * v).sum() / alpha)
        return eps.detach(), sigma * torch.stack(traces)

    def reached(step: int) -> Followed:
        t = states[step]
        return Followed(step, t, (alpha_sigma(t)[0] * x).detach(), (-BITS * integral.mean() / clean.numel()).item())

    x = clean.clone()  # (1, C, h, w)
    integral = torch.zeros(probes, dtype=torch.float64)  # (probes,)
    yield reached(0)
    eps, trace = traced(x, states[0])  # (1, C, h, w), (probes,)
    for step, (t, later) in enumerate(pairwise(states), start=1):
        (alpha, sigma), (alpha_later, sigma_later) = alpha_sigma(t), alpha_sigma(later)
        h = sigma_later / alpha_later - sigma / alpha  # dx = eps d(sigma / alpha), which is exact where eps is even
        with torch.no_grad():
            guess = eps_at(x + h * eps, later)
        x = x + h * (eps + guess) / 2
        before, width = trace, diffuser.half_log_snr(t) - diffuser.half_log_snr(later)
        eps, trace = traced(x, later)
        integral += width * (before + trace).detach().cpu().double() / 2
        yield reached(step)
    alpha, _ = alpha_sigma(states[-1])
    end, size = alpha * x.double(), clean.numel()
    prior = -0.5 * (end.square().sum() + size * math.log(2 * math.pi)) + size * math.log(alpha)
    return prior.cpu() + integral, calls


def bound_terms(model: LatentDiffusion, clean: Tensor, draws: int, generator: torch.Generator) -> Terms:
    """The variational bound of a latent (1, C, h, w) of which `draws` steps are drawn and weighed, right on average."""
    return finished(bound_by_batches(model, clean, draws, generator))


@torch.inference_mode()
def bound_by_batches(
    model: LatentDiffusion, clean: Tensor, draws: int, generator: torch.Generator
) -> Generator[int, None, Terms]:
    """As `bound_terms`; yields how many of the terms are computed."""
    diffuser = model.diffuser
    t, weights = drawn_steps(diffuser, draws, generator)
    t = torch.cat([torch.ones(1, dtype=t.dtype), t])
    noise = torch.randn((len(t), *clean.shape[1:]), generator=generator).to(clean)  # (draws + 1, C, h, w)
    found = []
    for state, eps in zip(t.split(BATCH), noise.split(BATCH), strict=True):
        state = state.to(clean.device)
        noisy = diffuser.add_noise(clean, eps, state)  # (BATCH, C, h, w)
        said, variance = model.predict(noisy, state)
        terms = step_bits(clean, diffuser.denoised(noisy, said, state), state, diffuser, variance)
        found.append(terms.mean((1, 2, 3)).cpu().double())
        yield sum(map(len, found))
    each = torch.cat(found)  # (draws + 1,)
    return Terms(prior_bits(clean, diffuser).mean().item(), (weights * each[1:]).sum().item(), each[0].item())


BATCH = 16  # states at once


def likelihood(model: LatentDiffusion, subject: Subject, request: LikelihoodRequest) -> Likelihood:
    """How likely a model finds a picture's latent. Takes seconds.

    Raises:
        UserError: the model always wants a class, or has fewer states than steps.
    """
    return finished(likelihood_under_way(model, subject, request))


@remembered_steps(16)
def _flow(
    model: LatentDiffusion, subject: Subject, steps: int, probes: int, noise: int
) -> Generator[Followed, None, tuple[Tensor, int, Tensor]]:
    """The flow alone, which does not change with the bound's draws; returns the state of its random numbers, too."""
    generator, plain = torch.Generator().manual_seed(noise), with_networks(model, unpacked)
    flow = flow_step_by_step(plain.predict, model.diffuser, subject.latent, steps, probes, generator)
    nats, calls = yield from flow
    return nats, calls, generator.get_state()


@remembered_steps(16)
def likelihood_under_way(
    model: LatentDiffusion, subject: Subject, request: LikelihoodRequest
) -> Generator[Followed | int, None, Likelihood]:
    """As `likelihood`; yields how far the flow is, then how many terms of the bound are computed."""
    nats, calls, drawn = yield from _flow(model, subject, request.steps, request.probes, request.noise)
    generator = torch.Generator()
    generator.set_state(drawn)
    size = subject.latent.numel()
    bits = -BITS * nats / size  # (probes,)
    error = None if len(bits) == 1 else (bits.std() / len(bits) ** 0.5).item()
    bound = yield from bound_by_batches(model, subject.latent, request.draws, generator)
    return Likelihood(bits.mean().item(), error, bound, size, calls)
