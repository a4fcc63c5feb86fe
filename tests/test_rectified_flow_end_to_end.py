"""Rectified flow: the schedule "flow" and the prediction type "velocity", held against the straight line and diffusers.

The latents of the straight line, x = (1 - u) x0 + u eps, are ours divided by signal + noise.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from torch import Tensor

from ddpm_core.commands import sample, train
from ddpm_core.diffusion.diffuser import Diffuser
from ddpm_core.diffusion.noise import SeededNoise
from ddpm_core.diffusion.prediction import Prediction, Predictor, to_eps, training_target
from ddpm_core.diffusion.samplers import SAMPLERS, last, sample_loop
from ddpm_core.diffusion.steps import ddim_step
from ddpm_core.images.files import open_picture
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.training.losses import denoiser_loss, loss_weights
from ddpm_core.training.settings import DenoiserSettings

SHAPE = (4, 5, 3)


@pytest.fixture(scope="module")
def diffuser() -> Diffuser:
    return Diffuser(schedule=DenoiserSettings(schedule="flow").schedule)


def line_scale(diffuser: Diffuser, t: int) -> float:
    alpha_bar = diffuser.alpha_bar[t]
    return (alpha_bar.sqrt() + (1 - alpha_bar).sqrt()).item()


@pytest.mark.parametrize("t", [0, 1, 250, 500, 999])
def test_a_noised_latent_lies_on_the_straight_line_but_for_its_length(diffuser: Diffuser, t: int) -> None:
    clean, eps = torch.randn(1, *SHAPE, dtype=torch.float64), torch.randn(1, *SHAPE, dtype=torch.float64)
    noisy = diffuser.add_noise(clean, eps, torch.tensor([t]))
    u = t / 1000
    torch.testing.assert_close(noisy / line_scale(diffuser, t), (1 - u) * clean + u * eps)


def test_the_velocity_to_learn_is_the_direction_of_the_line(diffuser: Diffuser) -> None:
    clean, eps, t = torch.randn(3, *SHAPE), torch.randn(3, *SHAPE), torch.tensor([1, 400, 999])
    velocity = training_target(clean, eps, t, "velocity", diffuser)
    assert torch.equal(velocity, eps - clean)
    noisy = diffuser.add_noise(clean, eps, t)
    torch.testing.assert_close(to_eps(velocity, noisy, t, "velocity", diffuser), eps)


def test_the_loss_is_that_of_liu_et_al_the_same_at_every_point_of_the_line(diffuser: Diffuser) -> None:
    class Still:
        prediction = "velocity"

        def __call__(self, noisy: Tensor, t: Tensor, label: None) -> Tensor:
            return torch.zeros_like(noisy)

    clean = torch.full((256, 1, 8, 8), 2.0)
    loss = denoiser_loss(Still(), clean, diffuser, "uniform", 0.0)["loss"].item()
    assert loss == pytest.approx(1 + 2.0**2, rel=0.02)  # the mean square of eps - x0


@pytest.mark.parametrize("weighting", ["min-snr", "p2"])
def test_weights_of_the_clean_latents_error_hold_for_velocities_too(diffuser: Diffuser, weighting: str) -> None:
    """An error of the velocity is u times as large in the clean latent."""
    t = torch.arange(1, 1000)
    wanted = loss_weights(t, weighting, "x0", diffuser) * (t / 1000) ** 2
    torch.testing.assert_close(loss_weights(t, weighting, "velocity", diffuser), wanted)


def some_velocity(x: Tensor, u: float) -> Tensor:
    return torch.sin(1.3 * x + 10 * u) + 0.2 * x


def as_predictor(diffuser: Diffuser, velocity: Callable[[Tensor, float], Tensor]) -> Predictor:
    def predict(z: Tensor, t: Tensor) -> Prediction:
        at = int(t[0])
        output = velocity(z / line_scale(diffuser, at), at / diffuser.num_timesteps)
        return Prediction(to_eps(output, z, t, "velocity", diffuser))

    return predict


@pytest.mark.parametrize("steps", [1, 9, 27])
def test_ddim_is_the_flow_sampler_of_diffusers(diffuser: Diffuser, steps: int) -> None:
    timesteps = diffuser.spaced_timesteps(steps)
    start = SeededNoise([3, 4], SHAPE)().double()
    other = FlowMatchEulerDiscreteScheduler(num_train_timesteps=1000)
    other.set_timesteps(sigmas=[t / 1000 for t in timesteps[:-1]])
    x = start / line_scale(diffuser, timesteps[0])
    made = sample_loop(ddim_step, as_predictor(diffuser, some_velocity), diffuser, timesteps, lambda: start)
    for t, theirs, step in zip(timesteps, other.timesteps, made, strict=False):
        x = other.step(some_velocity(x, t / 1000), theirs, x).prev_sample
        torch.testing.assert_close(step.latent / line_scale(diffuser, step.t), x.double(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("sampler", [name for name in SAMPLERS if name != "lcm"])  # which asks for where paths end
def test_every_sampler_carries_noise_along_the_flow_to_the_data(diffuser: Diffuser, sampler: str) -> None:
    mean, spread = 1.5, 0.4

    def best(x: Tensor, u: float) -> Tensor:
        """The mean of eps - x0 over all lines through x, for data N(mean, spread^2)."""
        variance = ((1 - u) * spread) ** 2 + u**2
        return (u - (1 - u) * spread**2) / variance * (x - (1 - u) * mean) - mean

    noise = SeededNoise([0, 1], (1, 100, 100))
    predict = as_predictor(diffuser, best)
    made = last(sample_loop(SAMPLERS[sampler], predict, diffuser, diffuser.spaced_timesteps(400), noise)).latent
    assert made.mean().item() == pytest.approx(mean, abs=0.02)
    assert made.std().item() == pytest.approx(spread, rel=0.03)


def test_the_same_network_learns_ddpm_or_rectified_flow_and_samples_either(
    call, picture_folder: Path, tmp_path: Path
) -> None:
    tiny = ["--preset", "tiny", "--codec", "pixel", "--size", 16, "--iterations", 2, "--batch-size", 2]
    shapes = []
    for schedule, prediction in (("linear", "eps"), ("flow", "velocity")):
        out, kind = tmp_path / schedule, ["--denoiser-schedule", schedule, "--denoiser-prediction", prediction]
        arguments = [*tiny, *kind, "--denoiser-timesteps", "uniform", "--device", "cpu"]
        learned = call(train.main, "--data", picture_folder, "--out", out, *arguments)
        assert learned.status == 0, learned.err
        model = LatentDiffusion.load(out, "cpu")
        assert (model.diffuser.schedule, model.denoiser.prediction) == (schedule, prediction)
        shapes.append({name: tensor.shape for name, tensor in model.denoiser.state_dict().items()})
        made = call(sample.main, "--checkpoint", out, "--steps", 2, "--out", tmp_path / f"{schedule}-made")
        assert made.status == 0, made.err
        assert open_picture(tmp_path / f"{schedule}-made" / "0.png").size == (16, 16)
    assert shapes[0] == shapes[1]
