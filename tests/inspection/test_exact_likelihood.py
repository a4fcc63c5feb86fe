"""The likelihood is right where it is known: for Gaussian latents, whose best predictor is a formula."""

from __future__ import annotations

import math

import pytest
import torch
from PIL import Image

from ddpm_core.data.load import load_pictures
from ddpm_core.diffusion.diffuser import Diffuser
from ddpm_core.diffusion.prediction import Prediction, Predictor
from ddpm_core.diffusion.variational_bound import BITS
from ddpm_core.evaluation.likelihood import bits_per_dim
from ddpm_core.inspection.exact_likelihood import (
    Followed,
    LikelihoodRequest,
    bound_terms,
    likelihood,
    likelihood_under_way,
    probability_flow,
)
from ddpm_core.inspection.rescheduled import with_networks
from ddpm_core.inspection.subject import subject_of, subject_of_seed
from ddpm_core.networks.cpu.packed import unpacked
from ddpm_core.pipeline import LatentDiffusion


def gaussian(diffuser: Diffuser, mean: float, deviation: float) -> Predictor:
    """The best predictor for latents that are independent and Gaussian."""

    def predict(noisy: torch.Tensor, t: torch.Tensor) -> Prediction:
        alpha, sigma = diffuser.signal_and_noise(t, noisy)
        return Prediction(sigma * (noisy - alpha * mean) / (alpha**2 * deviation**2 + sigma**2))

    return predict


@pytest.mark.parametrize(("mean", "deviation"), [(0.0, 1.0), (0.7, 0.3), (-1.0, 2.0)])
def test_it_is_the_density_of_gaussian_latents(mean: float, deviation: float) -> None:
    diffuser = Diffuser()
    clean = mean + deviation * torch.randn(1, 2, 4, 4, dtype=torch.float64)
    nats, calls = probability_flow(
        gaussian(diffuser, mean, deviation), diffuser, clean, 100, 2, torch.Generator().manual_seed(0)
    )
    expected = torch.distributions.Normal(mean, deviation).log_prob(clean).sum()
    # A diagonal Jacobian's trace is exact by any signs; what is left is the steps' error and the noise of state 1.
    torch.testing.assert_close(nats, expected.expand(2), rtol=0, atol=0.02 * clean.numel())
    assert calls == 2 * 100 + 1


def test_more_steps_come_closer() -> None:
    diffuser, clean = Diffuser(), torch.full((1, 1, 2, 2), 0.5, dtype=torch.float64)
    expected = torch.distributions.Normal(0.7, 0.3).log_prob(clean).sum()
    errors = [
        (probability_flow(gaussian(diffuser, 0.7, 0.3), diffuser, clean, n, 1, torch.Generator())[0] - expected).abs()
        for n in (4, 16, 64)
    ]
    assert errors[0] > errors[1] > errors[2]


def test_signs_average_to_the_trace_where_channels_mix() -> None:
    """A rotated Gaussian: each probe errs, their mean does not."""
    diffuser, turn = Diffuser(), torch.linalg.qr(torch.randn(8, 8, dtype=torch.float64))[0]
    scales = torch.linspace(0.4, 1.6, 8, dtype=torch.float64)

    def predict(noisy: torch.Tensor, t: torch.Tensor) -> Prediction:
        alpha, sigma = diffuser.signal_and_noise(t, noisy)
        along = noisy.flatten(1) @ turn
        return Prediction(
            ((sigma.flatten(1) * along / (alpha.flatten(1) ** 2 * scales**2 + sigma.flatten(1) ** 2)) @ turn.T).view_as(
                noisy
            )
        )

    clean = torch.randn(1, 8, 1, 1, dtype=torch.float64)
    nats, _ = probability_flow(predict, diffuser, clean, 60, 256, torch.Generator().manual_seed(0))
    expected = (torch.distributions.Normal(0, scales).log_prob(clean.flatten() @ turn)).sum().item()
    assert nats.std() > 1e-3
    assert nats.mean().item() == pytest.approx(expected, abs=4 * (nats.std() / 16).item() + 0.1)


def test_the_three_terms_are_the_bound_that_evaluating_prints(tiny_model: LatentDiffusion, picture_folder) -> None:
    picture = Image.open(picture_folder / "00.png")
    pictures = load_pictures([picture_folder / "00.png"], tiny_model.size)
    clean = tiny_model.codec.encode(pictures.batch(torch.tensor([0])))
    terms = bound_terms(tiny_model, clean.detach(), 6, torch.Generator().manual_seed(4))
    assert terms.total == pytest.approx(bits_per_dim(tiny_model, pictures, 6, seed=4).item(), rel=1e-5)
    assert min(terms.prior, terms.steps) > 0
    assert subject_of(tiny_model, picture).latent.shape == clean.shape


def test_of_a_picture_it_is_that_of_the_models_own_prediction(tiny_model: LatentDiffusion) -> None:
    subject, request = subject_of_seed(tiny_model, 1), LikelihoodRequest(seed=1, steps=3, probes=2, draws=2)
    found = likelihood(tiny_model, subject, request)
    assert (found.dimensions, found.calls) == (4 * 8 * 8, 7)
    assert math.isfinite(found.bits)
    assert likelihood(tiny_model, subject, request) is found
    plain = with_networks(tiny_model, unpacked)
    nats, _ = probability_flow(
        plain.predict, tiny_model.diffuser, subject.latent, 3, 2, torch.Generator().manual_seed(0)
    )
    bits = -BITS * nats / found.dimensions
    assert found.bits == pytest.approx(bits.mean().item())
    assert found.error == pytest.approx((bits[0] - bits[1]).abs().item() / 2)
    assert likelihood(tiny_model, subject, request.model_copy(update={"probes": 1})).error is None


def test_one_sees_how_far_it_is_and_other_terms_of_the_bound_need_no_other_flow(tiny_model: LatentDiffusion) -> None:
    subject, request = subject_of_seed(tiny_model, 1), LikelihoodRequest(seed=1, steps=3, probes=2, draws=20, noise=5)
    *flow, half, whole = likelihood_under_way(tiny_model, subject, request)
    assert (half, whole) == (16, 21)
    assert all(isinstance(at, Followed) for at in flow)
    assert [at.step for at in flow if isinstance(at, Followed)] == [0, 1, 2, 3]
    first, last = flow[0], flow[-1]
    assert isinstance(first, Followed)
    assert isinstance(last, Followed)
    assert (first.t, last.t) == (1, tiny_model.diffuser.num_timesteps - 1)
    torch.testing.assert_close(first.latent, tiny_model.diffuser.alpha_bar[1].sqrt() * subject.latent)
    found = likelihood(tiny_model, subject, request)
    normal = torch.distributions.Normal(0, 1).log_prob(last.latent.double()).mean().item()
    change = math.log(tiny_model.diffuser.alpha_bar[-1].item()) / 2  # from the latent to x = z / alpha
    assert found.bits == pytest.approx(last.bits - BITS * (normal + change), abs=1e-5)
    other = request.model_copy(update={"draws": 2})
    assert list(likelihood_under_way(tiny_model, subject, other)) == [3]
    assert likelihood(tiny_model, subject, other).bits == found.bits
