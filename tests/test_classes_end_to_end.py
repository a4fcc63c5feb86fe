"""Classes: what the network is given, how it is followed, and what is said when there is no such class."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from ddpm_core.checkpoints import native as checkpoint
from ddpm_core.checkpoints.atomic import CheckpointError
from ddpm_core.commands import sample
from ddpm_core.diffusion.guidance import classifier_free_guidance
from ddpm_core.diffusion.prediction import Prediction, predictor
from ddpm_core.diffusion.samplers import SAMPLERS, last
from ddpm_core.images.files import read_parameters
from ddpm_core.networks.cpu.packed import ready
from ddpm_core.networks.unet import UNet
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import EditRequest, GenerateRequest, InpaintRequest
from ddpm_core.training.losses import with_labels_dropped
from tests.command_lines import assert_refused
from tests.conftest import CLASSES, write_class_checkpoint

SHAPE = {"latent_channels": 3, "channels": (32, 32), "blocks": 1, "mixer": "none"}
T = torch.tensor([5, 900])


# The network


def test_a_network_is_given_classes_and_answers_accordingly(shaken) -> None:
    unet, noisy = shaken(UNet(**SHAPE, classes=3)).eval(), torch.randn(2, 3, 8, 8)
    answers = [unet(noisy, T, torch.full((2,), label)) for label in range(4)]
    for one in range(4):
        for other in range(one):
            assert not torch.equal(answers[one], answers[other])
    assert torch.equal(unet(noisy, T), answers[3])  # given nothing it is given "no class"
    mixed = unet(noisy, T, torch.tensor([0, 2]))
    torch.testing.assert_close(mixed, torch.stack([answers[0][0], answers[2][1]]))


def test_a_network_without_classes_is_what_it_was() -> None:
    assert not any("label" in name for name in UNet(**SHAPE).state_dict())
    assert UNet(**SHAPE, classes=3).label.weight.shape == (4, 64)  # type: ignore[union-attr]


def test_a_number_of_classes_below_0_is_refused() -> None:
    with pytest.raises(ValueError, match="-1 classes"):
        UNet(**SHAPE, classes=-1)


def test_a_network_made_ready_for_use_still_takes_classes(shaken) -> None:
    unet, noisy = shaken(UNet(**SHAPE, classes=3)).eval(), torch.randn(2, 3, 8, 8)
    label = torch.tensor([2, 0])
    with torch.inference_mode():
        before = unet(noisy, T, label)
        after = ready(unet, torch.device("cpu"))(noisy, T, label)
    torch.testing.assert_close(after, before, rtol=0.1, atol=0.05)


@pytest.mark.parametrize(("probability", "least", "most"), [(0.0, 0, 0), (0.1, 900, 1100), (1.0, 10_000, 10_000)])
def test_a_fraction_of_labels_is_dropped(probability: float, least: int, most: int) -> None:
    label = torch.arange(10_000) % 5
    dropped = with_labels_dropped(label, probability, none=5)
    assert least <= (dropped == 5).sum() <= most
    assert torch.equal(dropped[dropped != 5], label[dropped != 5])


# Guidance


@pytest.mark.parametrize("scale", [0.0, 1.0, 3.5])
def test_one_call_gives_both_halves_of_classifier_free_guidance_and_at_scale_1_the_class_alone(scale: float) -> None:
    calls = []

    def predict(noisy: Tensor, t: Tensor, labels: Tensor) -> Prediction:
        calls.append(len(noisy))
        return Prediction(noisy * (1 + labels)[:, None, None, None] + t[:, None, None, None])

    z = torch.randn(2, 3, 4, 4)
    guided = classifier_free_guidance(predict, label=1, null_label=4, scale=scale)(z, T).eps
    conditional, unconditional = (predict(z, T, torch.full((2,), label)).eps for label in (1, 4))
    torch.testing.assert_close(guided, unconditional + scale * (conditional - unconditional))
    assert calls[0] == (2 if scale == 1 else 4)
    assert len(calls) == 3


def test_scale_0_follows_no_class_and_scale_1_the_class_alone(class_model: LatentDiffusion) -> None:
    noisy = torch.randn(2, 48, 8, 8)
    plain = predictor(class_model.denoiser, class_model.diffuser)
    with torch.inference_mode():
        wanted = [plain(noisy, T).eps, plain(noisy, T, torch.tensor([2, 2])).eps]
        for scale, eps in enumerate(wanted):
            guided = class_model.class_predictor("bee", scale)(noisy, T).eps
            torch.testing.assert_close(guided, eps, rtol=1e-2, atol=1e-2)
    assert (wanted[0] - wanted[1]).abs().max() > 0.1


# Requests


def made(model: LatentDiffusion, **choices: object) -> np.ndarray:
    request = GenerateRequest.model_validate({"steps": 4, **choices})
    return np.stack([np.asarray(p) for p in model.pictures(last(model.generate(request)).latent)]).astype(int)


def test_the_class_requested_decides_what_is_made(class_model: LatentDiffusion) -> None:
    pictures = [made(class_model, label=label) for label in (None, *CLASSES)]
    for one in range(4):
        for other in range(one):
            assert abs(pictures[one] - pictures[other]).mean() > 1
    assert not np.array_equal(made(class_model, label="ant", guidance=5), pictures[1])


def test_a_class_goes_by_its_name_or_else_by_its_number(class_model: LatentDiffusion) -> None:
    assert np.array_equal(made(class_model, label=2), made(class_model, label="bee"))
    assert np.array_equal(made(class_model, label=0), made(class_model, label="1"))  # named "1", numbered 0
    assert not np.array_equal(made(class_model, label="1"), made(class_model, label="ant"))
    assert np.array_equal(made(class_model, label=""), made(class_model))


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_seed_gives_the_same_picture_of_a_class_whatever_the_count(
    class_model: LatentDiffusion, sampler: str
) -> None:
    together = made(class_model, seed=3, count=3, label="bee", sampler=sampler)
    for i in range(3):
        # In bf16 the products of another number of pictures are rounded otherwise, and random weights amplify that.
        assert abs(made(class_model, seed=3 + i, label="bee", sampler=sampler)[0] - together[i]).max() <= 6
    assert abs(together[1] - together[0]).max() > 100


def test_inpainting_and_editing_follow_a_class_too(class_model: LatentDiffusion) -> None:
    image, mask = torch.zeros(1, 3, 32, 32), torch.ones(1, 1, 32, 32, dtype=torch.bool)
    mask[..., :8] = False
    for run in (
        lambda label: class_model.inpaint(InpaintRequest(steps=3, label=label), image, mask),
        lambda label: class_model.edit(EditRequest(steps=3, label=label), image),
    ):
        ant, bee = (last(run(label)).latent for label in ("ant", "bee"))
        assert (ant - bee).abs().mean() > 0.01


@pytest.mark.parametrize("label", ["wasp", "3", "-1", "x" * 5000])
def test_a_class_that_is_not_there_is_refused_before_the_first_step(class_model: LatentDiffusion, label: str) -> None:
    with pytest.raises(ValueError, match=r"insects has no class .*; choose from: 1, ant, bee\.$") as caught:
        class_model.generate(GenerateRequest(label=label))
    assert len(str(caught.value)) < 200


def test_a_class_is_refused_by_a_model_without_classes(tiny_model: LatentDiffusion) -> None:
    for run in (tiny_model.generate, lambda request: tiny_model.edit(request, torch.zeros(1, 3, 32, 32))):
        with pytest.raises(ValueError, match="tiny was trained without classes"):
            next(run(EditRequest(label="7")))


def test_only_pictures_of_a_class_say_class_and_guidance(class_model: LatentDiffusion) -> None:
    said = class_model.png_parameters(GenerateRequest(label="bee", guidance=3))
    assert (said["label"], said["guidance"]) == ("bee", 3)
    assert not {"label", "guidance"} & set(class_model.png_parameters(GenerateRequest()))


def test_class_names_that_do_not_fit_the_network_are_refused(tmp_path: Path) -> None:
    folder = write_class_checkpoint(tmp_path / "own")
    path = folder / checkpoint.CONFIG
    path.write_text(json.dumps(json.loads(path.read_text()) | {"classes": ["ant"]}))
    with pytest.raises(CheckpointError, match="inconsistent"):
        LatentDiffusion.load(folder, "cpu")


# The command line


def test_the_sample_command_makes_the_class_requested(call, class_checkpoint: Path, tmp_path: Path) -> None:
    common = ["--checkpoint", class_checkpoint, "--steps", 3]
    assert call(sample.main, *common, "--class", "bee", "--guidance", 3, "--out", tmp_path / "bee").status == 0
    assert call(sample.main, *common, "--out", tmp_path / "any").status == 0
    said = read_parameters(tmp_path / "bee" / "0.png")
    assert (said["label"], said["guidance"]) == ("bee", 3.0)
    assert (tmp_path / "bee" / "0.png").read_bytes() != (tmp_path / "any" / "0.png").read_bytes()


def test_a_class_that_is_not_there_is_refused_in_a_line(
    call, class_checkpoint: Path, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    out = ["--out", tmp_path / "s"]
    assert_refused(call(sample.main, "--checkpoint", class_checkpoint, "--class", "wasp", *out), "wasp", "1, ant, bee")
    assert_refused(call(sample.main, "--checkpoint", tiny_checkpoint, "--class", 7, *out), "without classes")
    assert_refused(call(sample.main, "--checkpoint", class_checkpoint, "--guidance", 21, *out), "guidance", "21")
    assert not list(tmp_path.rglob("*.png"))
