"""What a student of few steps learns: held against a Gaussian, of which teacher and student are known exactly."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from ddpm_core.checkpoints import native as checkpoint
from ddpm_core.checkpoints.atomic import CheckpointError
from ddpm_core.diffusion.diffuser import Diffuser
from ddpm_core.networks.unet import UNet
from ddpm_core.pipeline.defaults import wrong_defaults
from ddpm_core.training.distillation import (
    consistency_loss,
    few_step_defaults,
    intervals_at,
    segment_ends,
    teacher_of,
    teaching,
)
from ddpm_core.training.losses import NoisyExamples, noisy_examples
from ddpm_core.training.settings import DenoiserSettings
from tests.training.small_runs import copy_vae, request_for, settings_with
from tests.training.test_guidance_learned import guided_by

MEAN, SPREAD = 1.5, 0.4
DIFFUSER = Diffuser()


class Student(nn.Module):
    """A network that puts out the clean latent a function gives."""

    prediction, text = "x0", None

    def __init__(self, clean: Callable[[Tensor, Tensor], Tensor]):
        super().__init__()
        self.clean = clean

    def forward(self, noisy: Tensor, t: Tensor, label: Tensor | None = None) -> Tensor:
        return self.clean(noisy, t)


def mean_of(noisy: Tensor, t: Tensor) -> Tensor:
    """The mean of all clean latents that a noisy one may come from."""
    signal, noise = DIFFUSER.signal_and_noise(t, noisy)
    return MEAN + signal * SPREAD**2 * (noisy - signal * MEAN) / ((signal * SPREAD) ** 2 + noise**2)


def moved(noisy: Tensor, t: Tensor, s: Tensor) -> Tensor:
    """Where the ODE takes a noisy latent: as many deviations from the mean as it was."""
    (signal_t, noise_t), (signal_s, noise_s) = (DIFFUSER.signal_and_noise(at, noisy) for at in (t, s))
    deviations = (noisy - signal_t * MEAN) / ((signal_t * SPREAD) ** 2 + noise_t**2).sqrt()
    return signal_s * MEAN + deviations * ((signal_s * SPREAD) ** 2 + noise_s**2).sqrt()


def crossing(segments: int) -> Callable[[Tensor, Tensor], Tensor]:
    """The clean latent towards which one DDIM step ends where the ODE does at the end of the segment."""
    ends = torch.tensor(segment_ends(DIFFUSER, segments))

    def clean(noisy: Tensor, t: Tensor) -> Tensor:
        end = ends[torch.searchsorted(ends, t) - 1]
        (signal_t, noise_t), (signal_s, noise_s) = (DIFFUSER.signal_and_noise(at, noisy) for at in (t, end))
        there = moved(noisy, t, end)  # signal_s x + noise_s (noisy - signal_t x) / noise_t, solved for x
        return (there - noise_s / noise_t * noisy) / (signal_s - noise_s / noise_t * signal_t)

    return clean


def teacher(noisy: Tensor, t: Tensor, label: Tensor | None, tokens: Tensor | None) -> Tensor:
    signal, noise = DIFFUSER.signal_and_noise(t, noisy)
    return (noisy - signal * mean_of(noisy, t)) / noise


def examples(clamp_share: float = 0.0) -> NoisyExamples:
    torch.manual_seed(0)
    clean = MEAN + SPREAD * torch.randn(64, 2, 8, 8, dtype=torch.float64)
    return noisy_examples(clean, DIFFUSER, "uniform", clamp_share)


@pytest.mark.parametrize("segments", [1, 3])
def test_who_knows_where_paths_end_has_no_loss_and_who_knows_the_mean_has(segments: int) -> None:
    def loss(clean: Callable[[Tensor, Tensor], Tensor], intervals: int) -> float:
        return consistency_loss(Student(clean), examples(), teacher, DIFFUSER, intervals, segments)["loss"].item()

    exact = [loss(crossing(segments), intervals) for intervals in (50, 500)]
    assert exact[1] < 0.2 * exact[0]  # what is left is the error of the teacher's steps, of second order in each
    assert exact[1] < 1e-3
    assert loss(mean_of, 50) > 3 * exact[0]


def test_the_whole_way_ends_at_the_clean_latent_and_segments_where_a_sampler_stands() -> None:
    assert segment_ends(DIFFUSER, 1) == [0, 999]
    assert segment_ends(DIFFUSER, 4)[::-1] == DIFFUSER.spaced_timesteps(4)
    z, t = torch.randn(4, 2, 3, 3, dtype=torch.float64), torch.tensor([1, 10, 500, 999])
    torch.testing.assert_close(crossing(1)(z, t), moved(z, t, torch.zeros_like(t)))


def test_cells_that_are_kept_stay_clean_on_the_way_and_do_not_count() -> None:
    """A student that looks at the kept cells alone: were they not where they were, it would contradict itself."""
    seen = examples(clamp_share=1.0)
    kept = seen.clean_cells.expand_as(seen.clean)
    assert kept.any()
    wrong = torch.zeros_like(seen.clean, requires_grad=True)

    def same(noisy: Tensor, t: Tensor) -> Tensor:
        cells = torch.where(kept, noisy, 0).sum((1, 2, 3), keepdim=True) / kept.sum((1, 2, 3), keepdim=True)
        return cells + torch.where(kept, wrong, 0)

    (gradient,) = torch.autograd.grad(
        consistency_loss(Student(same), seen, teacher, DIFFUSER, 10**6)["loss"], wrong, allow_unused=True
    )
    assert not gradient.any()
    short = seen._replace(t=seen.t.clamp_min(2))  # none whose next state is 0, where the teacher says what is right
    assert consistency_loss(Student(same), short, teacher, DIFFUSER, 10**6)["loss"].item() < 1e-6


def test_gradients_come_from_the_students_own_end_alone_and_it_learns_on_afterwards() -> None:
    calls, scale = [], nn.Parameter(torch.ones((), dtype=torch.float64))

    def clean(noisy: Tensor, t: Tensor) -> Tensor:
        calls.append((torch.is_grad_enabled(), student.training))
        return scale * mean_of(noisy, t)

    student = Student(clean)
    loss = consistency_loss(student, examples(), teacher, DIFFUSER, 20)["loss"]
    assert calls == [(True, True), (False, False)]
    assert student.training
    loss.backward()
    assert scale.grad is not None


def test_a_teacher_answers_in_its_own_type_whatever_its_student_computes_in() -> None:
    types: list[tuple[str, torch.dtype]] = []

    def note(who: str) -> None:
        types.append((who, torch.mm(torch.ones(2, 2), torch.ones(2, 2)).dtype))

    def clean(noisy: Tensor, t: Tensor) -> Tensor:
        note("student")
        return mean_of(noisy, t)

    def own(noisy: Tensor, t: Tensor, label: Tensor | None, tokens: Tensor | None) -> Tensor:
        note("teacher")
        return teacher(noisy, t, label, tokens)

    with torch.autocast("cpu", torch.bfloat16):
        consistency_loss(Student(clean), examples(), own, DIFFUSER, 20)
    assert set(types) == {("student", torch.bfloat16), ("teacher", torch.float32)}


def test_the_way_has_twice_as_many_intervals_after_each_part_of_a_run() -> None:
    assert [intervals_at(progress) for progress in (0, 0.24, 0.25, 0.5, 0.75, 1)] == [8, 8, 16, 32, 64, 64]


def test_a_teacher_is_guided_as_it_is_by_default(tmp_path: Path, trained: Path) -> None:
    folder, diffuser = guided_by(trained, tmp_path / "guided"), checkpoint.load_diffuser(trained)
    z, t = torch.randn(2, 4, 8, 8), torch.tensor([10, 900])
    strong, weak = checkpoint.load_denoiser(folder), checkpoint.load_guide(folder)
    assert weak is not None
    with torch.no_grad():
        signal, noise = diffuser.signal_and_noise(t, z)
        expected = noise * z + signal * (2 * strong(z, t) - weak(z, t))  # the noise that velocities imply
    got = teacher_of(folder, torch.device("cpu"))(z, t, None, None)
    assert (got - expected).square().mean() < 1e-3 * expected.square().mean()


def test_a_teacher_of_classes_and_words_is_asked_with_and_without_them(tmp_path: Path, trained: Path) -> None:
    folder = tmp_path / "asked"
    shutil.copytree(trained, folder)
    config, torch_cpu = checkpoint.read_config(folder), torch.device("cpu")
    shape = config.denoiser | {"classes": 2, "words": 3, "text_width": 16, "text_length": 4}
    torch.manual_seed(5)
    network = UNet(**shape)
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.05)
    checkpoint.write_weights(folder / checkpoint.DENOISER_WEIGHTS, network)
    known = {"denoiser": shape, "classes": ["a", "b"], "words": ["x", "y", "z"]}
    known["defaults"] = {"generate": {"guidance": 3.0}}
    checkpoint.write_config(folder, config.model_copy(update=known))
    z, t, label = torch.randn(2, 4, 8, 8), torch.tensor([300, 900]), torch.tensor([1, 2])
    tokens = torch.tensor([[2, 3, 0, 0], [0, 0, 0, 0]])
    plain, signal = checkpoint.load_denoiser(folder), checkpoint.load_diffuser(folder).signal_and_noise(t, z)[0]
    assert plain.text is not None
    with torch.no_grad():
        said = plain(z, t, label, plain.text(tokens))
        unsaid = plain(z, t, torch.tensor([2, 2]), plain.text(torch.zeros_like(tokens)))
        got = teacher_of(folder, torch_cpu)(z, t, label, tokens)
        zero = checkpoint.load_diffuser(folder).signal_and_noise(t, z)[1] * z
    expected = zero + signal * (unsaid + 3 * (said - unsaid))
    assert (got - expected).square().mean() < 1e-3 * (expected - zero).square().mean()
    torch.testing.assert_close(said[1], unsaid[1])  # of nothing asked for, no more is made


@pytest.mark.parametrize(("segments", "sampler", "steps"), [(1, "lcm", 4), (3, "ddim", 3)])
def test_the_defaults_of_a_student_are_valid_and_have_its_steps(
    trained: Path, segments: int, sampler: str, steps: int
) -> None:
    settings = DenoiserSettings(learns="consistency", segments=segments, clamp_share=0.5)
    own = {"inpaint": {"mask_rule": "nearest", "steps": 6, "jump": 2}, "generate": {"eta": 0.5, "sampler": "ddim"}}
    config = checkpoint.read_config(trained).model_copy(update={"classes": ["a"], "defaults": own})
    defaults = few_step_defaults(config, settings)
    assert wrong_defaults(defaults) == ""
    assert (defaults["generate"]["sampler"], defaults["generate"]["steps"]) == (sampler, steps)
    assert defaults["generate"]["guidance"] == 1
    assert defaults["inpaint"]["mask_rule"] == "nearest"
    assert (defaults["inpaint"]["clamp"], defaults["inpaint"]["resamples"]) == ("clean", 1)


@pytest.mark.parametrize(
    ("changes", "classes", "wrong"),
    [
        ({"schedule": "cosine"}, (), "noise schedule"),
        ({"prediction": "eps"}, (), "prediction type"),
        ({}, ("a", "b"), "classes"),
    ],
)
def test_who_makes_other_pictures_is_no_teacher(
    tmp_path: Path, trained: Path, changes: dict[str, str], classes: tuple[str, ...], wrong: str
) -> None:
    request = settings_with(request_for(tmp_path / "run", init=trained), learns="consistency", **changes)
    with pytest.raises(CheckpointError, match=f"differs from what is to be trained in its {wrong}, "):
        teaching(request, classes, ())


def test_a_teacher_has_the_same_autoencoder(tmp_path: Path, trained: Path) -> None:
    copy_vae(trained, tmp_path / "run")
    request = request_for(tmp_path / "run", init=trained)
    assert teaching(request, (), ()) == trained
    codec = checkpoint.load_codec(trained)
    codec.latent_mean += 1
    checkpoint.write_weights(tmp_path / "run" / checkpoint.CODEC_WEIGHTS, codec)
    with pytest.raises(CheckpointError, match="in its autoencoder, "):
        teaching(request, (), ())
