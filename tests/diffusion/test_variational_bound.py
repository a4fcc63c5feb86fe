"""The variational bound, and the variance that a network learns from it."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Normal, kl_divergence

from ddpm_core.checkpoints import native as checkpoint
from ddpm_core.commands import sample, train
from ddpm_core.diffusion.diffuser import Diffuser
from ddpm_core.diffusion.noise import SeededNoise
from ddpm_core.diffusion.prediction import Prediction, Predictor, predictor, split_variance
from ddpm_core.diffusion.samplers import SAMPLERS, last, sample_loop
from ddpm_core.diffusion.steps import ddpm_step
from ddpm_core.diffusion.variational_bound import log_variance, prior_bits, step_bits
from ddpm_core.networks.unet import UNet
from ddpm_core.training.losses import VARIATIONAL_BOUND_WEIGHT, denoiser_loss, loss_by_decile
from tests.predictors import of_noise, with_variance
from tests.training.small_runs import Answer

EVERY = torch.arange(1, 1000)
MEAN, SPREAD = 1.5, 0.4  # of data of which all is known
SHAPE = {"channels": (32, 64), "blocks": 1, "dropout": 0.0}


def at(t: int, like: Tensor) -> Tensor:
    return torch.full((len(like),), t)


def doubles(*shape: int) -> Tensor:
    return torch.randn(shape, dtype=torch.float64)


def posterior(diffuser: Diffuser, clean: Tensor, noisy: Tensor, t: int) -> tuple[Tensor, Tensor]:
    """Mean and variance of state t-1 between a picture and its state t (Ho et al. 2020, eqs. 6 and 7)."""
    now, then, beta = diffuser.alpha_bar[t], diffuser.alpha_bar[t - 1], diffuser.betas[t]
    mean = then.sqrt() * beta / (1 - now) * clean + (1 - beta).sqrt() * (1 - then) / (1 - now) * noisy
    return mean, (1 - then) / (1 - now) * beta


def best(diffuser: Diffuser) -> Predictor:
    """The best predictor of normal data, and the fraction at which its reverse steps have the variance that is true."""

    def predict(noisy: Tensor, t: Tensor) -> Prediction:
        signal, noise = diffuser.signal_and_noise(t, noisy)
        total = (signal * SPREAD) ** 2 + noise**2
        unsure = (SPREAD * noise) ** 2 / total  # the variance of the picture, given its state
        now, then, beta = diffuser.alpha_bar[t], diffuser.alpha_bar[t - 1], diffuser.betas[t]
        true = (1 - then) / (1 - now) * beta + then * beta**2 / (1 - now) ** 2 * unsure.flatten()
        least, most = (log_variance(diffuser, t, noisy, torch.full_like(noisy, fraction)) for fraction in (0, 1))
        fraction = (true.log().view(-1, 1, 1, 1) - least) / (most - least)
        return Prediction(noise * (noisy - signal * MEAN) / total, fraction)

    return predict


# The bound


def test_fraction_0_is_the_posteriors_variance_and_fraction_1_that_of_the_noising_step() -> None:
    diffuser, like = Diffuser(), torch.zeros(999, 1, 1, 1, dtype=torch.float64)
    now, then, beta = diffuser.alpha_bar[1:], diffuser.alpha_bar[:-1], diffuser.betas[1:]
    least = (1 - then) / (1 - now) * beta
    least[0] = least[1]  # there is none at the last step
    found = {
        fraction: log_variance(diffuser, EVERY, like, torch.full_like(like, fraction)).exp() for fraction in (0, 0.5, 1)
    }
    torch.testing.assert_close(found[0].flatten(), least)
    torch.testing.assert_close(found[1].flatten(), beta)
    torch.testing.assert_close(found[0.5].flatten(), (least * beta).sqrt())
    assert torch.equal(log_variance(diffuser, EVERY, like), found[0].log())


@pytest.mark.parametrize("t", [2, 3, 100, 999])
@pytest.mark.parametrize("fraction", [None, 0.0, 0.3, 1.2])
def test_a_term_is_the_divergence_of_two_gaussians(t: int, fraction: float | None) -> None:
    diffuser, clean, noisy, denoised = Diffuser(), *(doubles(2, 3, 4, 4) for _ in range(3))
    fractions = None if fraction is None else torch.full_like(clean, fraction)
    mean, variance = posterior(diffuser, clean, noisy, t)
    ours = log_variance(diffuser, at(t, clean), clean, fractions).exp().sqrt()
    model = Normal(posterior(diffuser, denoised, noisy, t)[0], ours)
    expected = kl_divergence(Normal(mean, variance.sqrt()), model) / math.log(2)
    torch.testing.assert_close(step_bits(clean, denoised, at(t, clean), diffuser, fractions), expected)


def test_the_term_of_the_step_to_the_picture_is_its_density() -> None:
    diffuser, clean, denoised, fraction = Diffuser(), doubles(2, 3, 4, 4), doubles(2, 3, 4, 4), doubles(2, 3, 4, 4)
    spread = log_variance(diffuser, at(1, clean), clean, fraction).exp().sqrt()
    expected = -Normal(denoised, spread).log_prob(clean) / math.log(2)
    torch.testing.assert_close(step_bits(clean, denoised, at(1, clean), diffuser, fraction), expected)


def test_the_last_term_is_the_divergence_of_the_last_state_from_noise() -> None:
    diffuser, clean = Diffuser(20), doubles(2, 3, 4, 4)
    left = diffuser.alpha_bar[-1]
    last_state = Normal(left.sqrt() * clean, (1 - left).sqrt())
    expected = kl_divergence(last_state, Normal(torch.zeros_like(clean), 1)) / math.log(2)
    torch.testing.assert_close(prior_bits(clean, diffuser), expected)


@pytest.mark.parametrize("states", [3, 5, 50])
def test_of_data_of_which_all_is_known_the_bound_is_the_entropy(states: int) -> None:
    """The best predictor with the true variance is the exact reverse of the noising, so that nothing is lost."""
    diffuser, clean = Diffuser(states, 1e-2, 0.6), MEAN + SPREAD * doubles(1, 1, 300, 300)
    bits = prior_bits(clean, diffuser).mean()
    for t in range(1, states):
        noisy = diffuser.add_noise(clean, torch.randn_like(clean), at(t, clean))
        eps, fraction = best(diffuser)(noisy, at(t, clean))
        bits += step_bits(clean, diffuser.denoised(noisy, eps, at(t, clean)), at(t, clean), diffuser, fraction).mean()
    left = diffuser.alpha_bar[-1].item()
    ends = Normal(left**0.5 * MEAN, (left * SPREAD**2 + 1 - left) ** 0.5)
    lost = kl_divergence(ends, Normal(0.0, 1.0)).item() / math.log(2)  # the process starts from noise all the same
    entropy = 0.5 * math.log2(2 * math.pi * math.e * SPREAD**2)
    assert bits.item() == pytest.approx(entropy + lost, abs=0.02)


# A network that learns its variance


def test_a_network_that_learns_its_variance_predicts_what_it_would_without(shaken) -> None:
    plain, learned = UNet(**SHAPE), UNet(**SHAPE, variance="learned")
    shaken(plain)
    state = plain.state_dict()
    for name in ("output.2.weight", "output.2.bias"):
        state[name] = torch.cat([state[name], torch.randn_like(state[name])])
    learned.load_state_dict(state)
    z, t = torch.randn(2, 4, 8, 8), torch.tensor([10, 900])
    prediction, fraction = split_variance(learned(z, t), 4)
    torch.testing.assert_close(prediction, plain(z, t), rtol=1e-4, atol=1e-5)
    assert fraction.shape == z.shape
    assert split_variance(plain(z, t), 4)[1] is None
    diffuser = Diffuser()
    torch.testing.assert_close(
        predictor(learned, diffuser)(z, t).eps, predictor(plain, diffuser)(z, t).eps, rtol=1e-4, atol=1e-4
    )
    clean = torch.randn(10, 4, 8, 8)
    assert loss_by_decile(learned, clean, diffuser) == pytest.approx(loss_by_decile(plain, clean, diffuser), rel=1e-4)


def test_a_new_network_is_between_the_least_and_the_greatest_variance() -> None:
    fraction = split_variance(UNet(**SHAPE, variance="learned")(torch.randn(2, 4, 8, 8), torch.tensor([10, 900])), 4)[1]
    assert torch.equal(fraction, torch.full_like(fraction, 0.5))


def test_a_variance_that_there_is_not_is_refused() -> None:
    with pytest.raises(ValueError, match="huge"):
        UNet(**SHAPE, variance="huge")


class Sides(nn.Module):
    """A network that predicts one number, and of the variance says another at every timestep."""

    def __init__(self, diffuser: Diffuser) -> None:
        super().__init__()
        self.prediction, self.noise = "eps", nn.Parameter(torch.tensor(0.1))
        self.raw, self.best = nn.Parameter(torch.zeros(diffuser.num_timesteps)), best(diffuser)

    def forward(self, noisy: Tensor, t: Tensor, label: Tensor | None = None) -> Tensor:
        eps = self.best(noisy, t).eps + (self.noise - self.noise.detach())  # the best, with a gradient to `noise`
        return torch.cat([eps, self.raw[t].view(-1, 1, 1, 1).expand_as(noisy)], dim=1)


def data(*shape: int) -> Tensor:
    return MEAN + SPREAD * torch.randn(shape)


@pytest.mark.parametrize("timesteps", ["uniform", "lognormal"])
def test_the_variance_that_is_learned_is_the_true_one(timesteps: str) -> None:
    diffuser = Diffuser(5, 0.05, 0.6)
    network = Sides(diffuser)
    optimizer = torch.optim.Adam([network.raw], 0.1)
    plan = torch.optim.lr_scheduler.LinearLR(optimizer, 1, 0.01, 200)
    for _ in range(200):
        optimizer.zero_grad()
        denoiser_loss(network, data(256, 1, 4, 4), diffuser, timesteps, 0.3)["loss"].backward()
        optimizer.step()
        plan.step()
    t = torch.arange(1, 5)
    fraction = (network.raw[1:].double() + 1) / 2
    true = best(diffuser)(torch.zeros(4, 1, 1, 1), t).variance.flatten()
    torch.testing.assert_close(fraction, true, rtol=0, atol=0.05)
    assert (true - 0.5).abs().max() > 0.2  # none of them is where it began


def test_the_bound_teaches_the_variance_and_nothing_else() -> None:
    diffuser, clean = Diffuser(), data(64, 1, 4, 4)
    network = Sides(diffuser)
    terms = denoiser_loss(network, clean, diffuser, "uniform", 0.0)
    terms["bound"].backward(retain_graph=True)
    assert not network.noise.grad
    assert network.raw.grad.abs().max() > 0
    terms["loss"].backward()
    assert network.noise.grad.abs() > 0


def test_the_loss_is_the_squared_error_and_a_thousandth_of_the_bound() -> None:
    diffuser, clean = Diffuser(), data(64, 1, 4, 4)
    network = Sides(diffuser)
    plain = Answer("eps", lambda noisy, t: network.best(noisy, t).eps)

    def terms(of: nn.Module | Answer) -> dict[str, Tensor]:
        torch.manual_seed(4)
        return denoiser_loss(of, clean, diffuser, "uniform", 0.3)

    both, error = terms(network), terms(plain)
    assert error.keys() == {"loss"}
    assert both["loss"].item() == pytest.approx(
        (error["loss"] + VARIATIONAL_BOUND_WEIGHT * both["bound"]).item(), rel=1e-5
    )


def test_the_bound_is_that_of_all_steps_by_the_few_that_are_drawn() -> None:
    diffuser, clean = Diffuser(5, 0.05, 0.6), data(20_000, 1, 2, 2)
    drawn = denoiser_loss(Sides(diffuser), clean, diffuser, "uniform", 0.0)["bound"].item()
    every = 0.0
    for t in range(1, 5):
        noisy = diffuser.add_noise(clean, torch.randn_like(clean), at(t, clean))
        denoised = diffuser.denoised(noisy, best(diffuser)(noisy, at(t, clean)).eps, at(t, clean))
        half = torch.full_like(clean, 0.5)
        every += step_bits(clean, denoised, at(t, clean), diffuser, half).mean().item()
    assert drawn == pytest.approx(every, abs=0.05)


def test_the_gradient_reaches_every_parameter(shaken) -> None:
    unet = shaken(UNet(channels=(32, 64), blocks=1, variance="learned"))
    denoiser_loss(unet, torch.randn(4, 4, 8, 8), Diffuser(), "lognormal", 0.3)["loss"].backward()
    for name, parameter in unet.named_parameters():
        assert parameter.grad.abs().max() > 0, name


# Samplers and wrappers


@pytest.mark.parametrize(("t", "earlier"), [(2, 1), (500, 499), (999, 600), (300, 0)])
@pytest.mark.parametrize("fraction", [0.0, 0.4, 1.0])
def test_an_ancestral_step_takes_the_variance_predicted_between_its_least_and_greatest(
    t: int, earlier: int, fraction: float
) -> None:
    diffuser, zero, one = Diffuser(), torch.zeros(1, 1, 2, 2).double(), torch.ones(1, 1, 2, 2).double()
    latent = doubles(1, 1, 2, 2)

    def step(predict: Predictor, fresh: Tensor) -> Tensor:
        return next(sample_loop(ddpm_step, predict, diffuser, [t, earlier], iter([latent, fresh]).__next__)).latent

    plain, mean = step(with_variance(None), zero), step(with_variance(fraction), zero)
    torch.testing.assert_close(mean, plain)  # only the spread is another
    now, then = diffuser.alpha_bar[t], diffuser.alpha_bar[earlier]
    most = 1 - now / then
    least = (1 - then) / (1 - now) * most
    spread = 0.0 if earlier == 0 else (least ** (1 - fraction) * most**fraction).sqrt().item()
    torch.testing.assert_close(step(with_variance(fraction), one) - mean, torch.full_like(mean, spread))


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_fraction_of_0_or_none_changes_no_sampler(sampler: str) -> None:
    diffuser = Diffuser()

    def samples(predict: Predictor) -> Tensor:
        noise = SeededNoise([0], (1, 4, 4))
        return last(sample_loop(SAMPLERS[sampler], predict, diffuser, diffuser.spaced_timesteps(9), noise)).latent

    plain = samples(of_noise(lambda z, t: torch.sin(z)))
    assert torch.equal(samples(with_variance(None)), plain)
    torch.testing.assert_close(samples(with_variance(0.0)), plain, rtol=1e-4, atol=1e-4)


def test_in_few_steps_a_learned_variance_comes_nearer_to_the_spread_of_the_data() -> None:
    diffuser, off = Diffuser(), {}
    timesteps = diffuser.spaced_timesteps(20, "logsnr")
    for name, predict in {"learned": best(diffuser), "fixed": of_noise(lambda z, t: best(diffuser)(z, t).eps)}.items():
        samples = last(sample_loop(ddpm_step, predict, diffuser, timesteps, SeededNoise([0], (1, 100, 100)))).latent
        assert samples.mean().item() == pytest.approx(MEAN, abs=0.03)
        off[name] = abs(samples.std().item() - SPREAD)
    assert off["learned"] < 0.3 * off["fixed"]


# In a run


@pytest.mark.integration
def test_a_learned_variance_goes_from_the_command_line_into_a_checkpoint_that_samples(
    call, picture_folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    command = ["--data", picture_folder, "--out", out, "--preset", "tiny", "--device", "cpu", "--codec", "pixel"]
    assert call(train.main, *command, "--iterations", 2, "--denoiser-variance", "learned").status == 0
    assert checkpoint.read_config(out).denoiser["variance"] == "learned"
    assert "bound" in (out / "training" / "denoiser.jsonl").read_text()
    samples = call(sample.main, "--checkpoint", out, "--sampler", "ddpm", "--steps", 3, "--out", tmp_path / "samples")
    assert samples.status == 0
    assert (tmp_path / "samples" / "0.png").is_file()


@pytest.mark.parametrize("t", [-1, 0, 1000])
def test_the_bound_has_no_term_for_what_is_no_step(t: int) -> None:
    latent = torch.zeros(1, 4, 4, 4)
    for term in (step_bits(latent, latent, at(1, latent), Diffuser()), log_variance(Diffuser(), at(1, latent), latent)):
        assert term.isfinite().all()
    with pytest.raises(ValueError, match="timesteps must be from 1 to 999"):
        step_bits(latent, latent, at(t, latent), Diffuser())
    with pytest.raises(ValueError, match="timesteps must be from 1 to 999"):
        log_variance(Diffuser(), at(t, latent), latent)
