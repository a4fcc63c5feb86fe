"""Training that starts from the weights of a finished checkpoint: what fits is taken over, what does not is said."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ddpm_core.checkpoints import folders
from ddpm_core.checkpoints import native as checkpoint
from ddpm_core.checkpoints.native import CheckpointConfig
from ddpm_core.commands import train
from ddpm_core.diffusion.diffuser import Diffuser
from ddpm_core.networks.codec import PixelCodec
from ddpm_core.networks.unet import UNet
from ddpm_core.networks.vae import VAE
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.training.initialization import shapes_of
from tests.command_lines import Outcome, assert_refused
from tests.runs import flags, progress, write_pictures

pytestmark = pytest.mark.integration

VAE_SHAPE = {"latent_channels": 6, "channels": [16, 24], "decoder_blocks": 1, "full_width": 8}
UNET_SHAPE = {"latent_channels": 6, "channels": [32, 64], "blocks": 1, "prediction": "eps"}
PIXEL_SHAPE = {"latent_channels": 12, "channels": [32], "blocks": 1, "mixer": "none"}
FROZEN = ["--vae-learning-rate", 1e-9, "--denoiser-learning-rate", 1e-9]  # so small that nothing moves


def write_checkpoint(
    folder: Path, shaken: Callable[..., nn.Module], encoding: nn.Module, unet: dict[str, Any], size: int, **parts: Any
) -> Path:
    """A complete checkpoint of random networks."""
    torch.manual_seed(7)
    encoding.measure_latents(encoding.means(torch.rand(8, 3, size, size) * 2 - 1).detach())  # type: ignore[operator]
    checkpoint.write_config(folder, CheckpointConfig(size=size, denoiser=unet, **parts))
    checkpoint.write_weights(folder / checkpoint.CODEC_WEIGHTS, encoding)
    checkpoint.write_weights(folder / checkpoint.DENOISER_WEIGHTS, shaken(UNet(**unet), seed=2))
    return folder


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pictures(tmp_path_factory.mktemp("data") / "photos", size=32)


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory, shaken: Callable[..., nn.Module]) -> Path:
    """A checkpoint whose every setting of shape differs from the tiny preset's; tests only read it."""
    folder, vae = tmp_path_factory.mktemp("start") / "faces", shaken(VAE(**VAE_SHAPE), seed=1)
    diffuser = Diffuser(schedule="cosine").config()
    parts = {"diffuser": diffuser, "training": {"vae": {"data": "crowd"}}, "defaults": {"inpaint": {"steps": 12}}}
    return write_checkpoint(folder, shaken, vae, UNET_SHAPE, 16, vae=VAE_SHAPE, **parts)


@pytest.fixture(scope="module")
def insects(tmp_path_factory: pytest.TempPathFactory, shaken: Callable[..., nn.Module]) -> Path:
    """A checkpoint on pixels, of 8 of them, with the classes 1, 3 and 5; tests only read it."""
    folder = tmp_path_factory.mktemp("start") / "insects"
    unet = PIXEL_SHAPE | {"classes": 3}
    parts: dict[str, Any] = {"codec": "pixel", "vae": {"stride": 2}, "classes": ["1", "3", "5"]}
    return write_checkpoint(folder, shaken, PixelCodec(2), unet, 8, **parts)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory, shaken: Callable[..., nn.Module]) -> Path:
    """The same without classes."""
    folder = tmp_path_factory.mktemp("start") / "plain"
    return write_checkpoint(folder, shaken, PixelCodec(2), PIXEL_SHAPE, 8, codec="pixel", vae={"stride": 2})


def digits(folder: Path, *classes: int) -> Path:
    """Pictures of these classes in MNIST's layout."""
    label = np.array(classes, np.uint8)[np.arange(24) % len(classes)]
    pixels = np.random.default_rng(0).integers(0, 256, (24, 8, 8)).astype(np.uint8)
    path = folder / f"{'-'.join(map(str, classes))}.npz"
    np.savez(path, x_train=pixels, y_train=label)
    return path


def tune(call, data: Path, out: Path, init: Path, *more: object) -> Outcome:
    """One step from a checkpoint, with the tiny preset and no setting of shape."""
    few = ["--device", "cpu", "--precision", "fp32", "--batch-size", 2, "--iterations", 1, *FROZEN]
    return call(train.main, "--init", init, "--data", data, "--out", out, "--preset", "tiny", *few, *more)


def weights(folder: Path, name: str = checkpoint.DENOISER_WEIGHTS) -> dict[str, Tensor]:
    return {key: tensor.float() for key, tensor in checkpoint.read_tensors(folder / name)[0].items()}


def assert_close(one: dict[str, Tensor], other: dict[str, Tensor], without: tuple[str, ...] = ()) -> None:
    """All weights are alike but for those whose names begin with one of `without`."""
    names = {name for name in one.keys() | other.keys() if not name.startswith(without)} if without else one.keys()
    assert names
    for name in names:
        torch.testing.assert_close(
            one[name], other[name], rtol=2e-3, atol=2e-3, msg=lambda text, name=name: name + text
        )


def refused_with(outcome: Outcome, *words: str) -> None:
    assert outcome.status == 2
    assert "Traceback" not in outcome.err
    line = outcome.err.splitlines()[-1]
    assert line.startswith("Error: ")
    assert all(word in line for word in words), line


# What is taken over


def test_a_checkpoint_gives_its_weights_and_its_shapes(call, photos: Path, start: Path, tmp_path: Path) -> None:
    out = tmp_path / "mine"
    outcome = tune(call, photos, out, start)
    assert outcome.status == 0, outcome.err
    assert f"The autoencoder starts from the weights of {start}." in outcome.out
    assert f"The denoiser starts from the weights of {start}." in outcome.out
    assert "--vae-learns decoder" in outcome.out
    assert_close(weights(out), weights(start))
    assert_close(weights(out, checkpoint.CODEC_WEIGHTS), weights(start, checkpoint.CODEC_WEIGHTS), ("latent_",))
    before, after = checkpoint.read_config(start), checkpoint.read_config(out)
    assert (after.size, after.diffuser["schedule"]) == (16, "cosine")
    assert after.defaults == before.defaults
    assert {name: after.codec_settings[name] for name in before.codec_settings} == before.codec_settings
    assert {name: after.denoiser[name] for name in before.denoiser} == before.denoiser
    assert after.denoiser["dropout"] == 0.1  # no weight depends on it
    LatentDiffusion.load(out, "cpu")


def test_what_is_given_goes_before_what_the_checkpoint_has_and_that_before_the_preset(start: Path) -> None:
    assert shapes_of(start) == {
        "size": 16,
        "codec": "vae",
        "vae": {
            "latent_channels": 6,
            "channels": (16, 24),
            "encoder_blocks": 1,
            "decoder_blocks": 1,
            "full_width": 8,
        },
        "denoiser": {
            "backbone": "unet",
            "channels": (32, 64),
            "blocks": 1,
            "mixer": "serpentine",
            "patch": 1,
            "prediction": "eps",
            "variance": "fixed",
            "schedule": "cosine",
        },
    }


@pytest.mark.parametrize("stage", ["vae", "denoiser"])
def test_another_size_of_pictures_keeps_every_weight(call, photos: Path, start: Path, tmp_path: Path, stage: str):
    out = tmp_path / "mine"
    outcome = tune(call, photos, out, start, "--size", 32, "--stage", stage)
    assert outcome.status == 0, outcome.err
    assert "trained at 16 pixels and now at 32" in outcome.out
    name = f"{stage}.safetensors"
    assert_close(weights(out, name), weights(start, name), ("latent_",))
    assert checkpoint.read_config(out).size == 32
    if stage == "denoiser":
        assert LatentDiffusion.load(out, "cpu").size == 32


def test_the_denoiser_alone_takes_the_autoencoder_along(call, photos: Path, start: Path, tmp_path: Path) -> None:
    out = tmp_path / "mine"
    outcome = tune(call, photos, out, start, "--stage", "denoiser")
    assert outcome.status == 0, outcome.err
    assert f"The autoencoder is that of {start}, as it is." in outcome.out
    assert (out / checkpoint.CODEC_WEIGHTS).read_bytes() == (start / checkpoint.CODEC_WEIGHTS).read_bytes()
    assert checkpoint.read_config(out).training["vae"] == {"data": "crowd"}  # so it says where it is from
    assert checkpoint.read_config(out).defaults == {"inpaint": {"steps": 12}}
    assert_close(weights(out), weights(start))
    LatentDiffusion.load(out, "cpu")


def test_an_autoencoder_that_is_there_stays_and_it_is_reported_that_latents_are_others(
    call, photos: Path, start: Path, tmp_path: Path
) -> None:
    out = tmp_path / "mine"
    assert tune(call, photos, out, start, "--stage", "vae", "--vae-learning-rate", 1e-2).status == 0
    vae = (out / checkpoint.CODEC_WEIGHTS).read_bytes()
    outcome = tune(call, photos, out, start, "--stage", "denoiser")
    assert outcome.status == 0, outcome.err
    assert "not the one it learned with" in outcome.out
    assert (out / checkpoint.CODEC_WEIGHTS).read_bytes() == vae


def test_resumed_it_starts_from_its_own_weights(call, photos: Path, start: Path, tmp_path: Path) -> None:
    out = tmp_path / "mine"
    assert tune(call, photos, out, start, "--vae-learning-rate", 1e-2).status == 0
    before = weights(out, checkpoint.CODEC_WEIGHTS)
    outcome = tune(call, photos, out, start, "--iterations", 2, "--resume")
    assert outcome.status == 0, outcome.err
    assert "starts from" not in outcome.out
    assert progress(out, "vae") == 2
    assert_close(weights(out, checkpoint.CODEC_WEIGHTS), before, ("latent_",))


# Classes


def made(folder: Path, label: int | None) -> Tensor:
    """What a denoiser makes of fixed noise, told a class or none."""
    noisy = torch.randn(2, 12, 4, 4, generator=torch.Generator().manual_seed(0))
    told = None if label is None else torch.full((2,), label)
    with torch.no_grad():
        return checkpoint.load_denoiser(folder)(noisy, torch.tensor([10, 900]), told)


def assert_alike(one: Tensor, other: Tensor) -> None:
    assert (one - other).square().mean() < 1e-4 * other.square().mean()


def test_classes_known_by_name_are_taken_over_and_new_ones_begin_as_none(call, insects: Path, tmp_path: Path) -> None:
    out = tmp_path / "mine"
    outcome = tune(call, digits(tmp_path, 0, 3, 5), out, insects)
    assert outcome.status == 0, outcome.err
    assert "New classes, whose embedding starts anew: 0." in outcome.out
    assert "Classes it knew and that are no more: 1." in outcome.out
    assert checkpoint.read_config(out).classes == ["0", "3", "5"]
    assert_close(weights(out), weights(insects), ("label.",))
    for after, before in ((0, None), (1, 1), (2, 2), (None, None)):
        assert_alike(made(out, after), made(insects, before))


def test_the_same_classes_are_taken_over_without_a_word(call, insects: Path, tmp_path: Path) -> None:
    outcome = tune(call, digits(tmp_path, 1, 3, 5), tmp_path / "mine", insects)
    assert outcome.status == 0, outcome.err
    assert "mbedding" not in outcome.out
    assert_close(weights(tmp_path / "mine"), weights(insects))


def test_wholly_new_classes_are_reported_to_start_anew(call, insects: Path, plain: Path, tmp_path: Path) -> None:
    data = digits(tmp_path, 7, 8)
    for init in (insects, plain):
        out = tmp_path / init.name
        outcome = tune(call, data, out, init)
        assert outcome.status == 0, outcome.err
        assert "The classes are new, so their embedding starts anew" in outcome.out
        for label in (0, 1, None):
            assert_alike(made(out, label), made(init, None))


def test_without_classes_it_begins_with_what_it_made_of_none(call, insects: Path, tmp_path: Path) -> None:
    out = tmp_path / "mine"
    outcome = tune(call, digits(tmp_path, 1, 3, 5), out, insects, "--classes", "none")
    assert outcome.status == 0, outcome.err
    assert "There are no classes any more" in outcome.out
    assert checkpoint.load_denoiser(out).label is None
    assert_alike(made(out, None), made(insects, None))
    assert not torch.allclose(made(insects, 0), made(insects, None), atol=1e-3)


@pytest.mark.parametrize(("more", "framing"), [((), "face"), (("--framing", "any"), "any")])
@pytest.mark.parametrize("stage", ["all", "denoiser"])
def test_what_the_pictures_show_is_inherited_unless_set(
    call, photos: Path, start: Path, tmp_path: Path, more: tuple, framing: str, stage: str
) -> None:
    shutil.copytree(start, tmp_path / "faces")
    config = checkpoint.read_config(start).model_copy(update={"framing": "face"})
    checkpoint.write_config(tmp_path / "faces", config)
    out = tmp_path / "mine"
    assert tune(call, photos, out, tmp_path / "faces", "--stage", stage, *more).status == 0
    assert checkpoint.read_config(out).framing == framing
    again = tune(call, photos, out, tmp_path / "faces", "--stage", stage, *more, "--resume", "--iterations", 2)
    assert again.status == 0, again.err
    assert checkpoint.read_config(out).framing == framing


def test_what_a_person_wrote_of_the_pictures_stays_when_the_run_goes_on(call, photos: Path, tmp_path: Path) -> None:
    command = [*flags(photos, tmp_path / "run", "--stage", "vae", steps=1)]
    assert call(train.main, *command).status == 0
    config = checkpoint.read_config(tmp_path / "run")
    assert config.framing == "any"
    checkpoint.write_config(tmp_path / "run", config.model_copy(update={"framing": "face"}))
    assert call(train.main, *command, "--resume", "--iterations", 2).status == 0
    assert checkpoint.read_config(tmp_path / "run").framing == "face"


# What does not fit


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--vae-channels", "16,32"], ["vae.safetensors does not match", "--vae-channels is 16,32 instead of 16,24"]),
        (["--vae-latent-channels", 4], ["--vae-latent-channels is 4 instead of 6"]),
        (["--stage", "denoiser", "--denoiser-channels", "32,32"], ["denoiser.safetensors does not match", "32,64"]),
        (["--stage", "denoiser", "--denoiser-mixer", "none"], ["--denoiser-mixer is none instead of serpentine"]),
        (["--codec", "pixel"], ["has the codec 'vae', not 'pixel'", "leave out --codec"]),
    ],
)
def test_what_cannot_be_taken_over_is_refused_and_named(
    call, photos: Path, start: Path, tmp_path: Path, more: list, words: list[str]
) -> None:
    refused_with(tune(call, photos, tmp_path / "mine", start, *more), *words)
    assert "mine" not in folders.list_checkpoints(tmp_path)


def test_other_latents_start_the_convolutions_at_them_anew(call, photos: Path, start: Path, tmp_path: Path) -> None:
    out = tmp_path / "mine"
    few = ["--preset", "tiny", "--device", "cpu", "--precision", "fp32", "--iterations", 1, "--size", 16]
    assert call(train.main, "--data", photos, "--out", out, *few, "--stage", "vae").status == 0
    outcome = tune(call, photos, out, start, "--stage", "denoiser")
    assert outcome.status == 0, outcome.err
    assert "The latent has 4 channels instead of 6" in outcome.out
    ends = ("input.weight", "output.2.")
    assert_close(weights(out), weights(start), ends)
    assert weights(out)["input.weight"].shape[1] == 4
    LatentDiffusion.load(out, "cpu")


def test_pixels_in_larger_squares_start_them_anew_too(call, plain: Path, tmp_path: Path) -> None:
    out = tmp_path / "mine"
    outcome = tune(call, digits(tmp_path, 1), out, plain, "--pixel-stride", 4)
    assert outcome.status == 0, outcome.err
    assert "The latent has 48 channels instead of 12" in outcome.out
    assert checkpoint.load_codec(out).stride == 4


def test_what_the_network_has_to_learn_anew_is_reported(call, photos: Path, start: Path, tmp_path: Path) -> None:
    more = ["--stage", "denoiser", "--denoiser-prediction", "v", "--denoiser-schedule", "linear"]
    outcome = tune(call, photos, tmp_path / "mine", start, *more)
    assert outcome.status == 0, outcome.err
    assert "It puts out 'eps' so far and has to learn 'v'." in outcome.out
    assert "'cosine' so far and has to learn 'linear'." in outcome.out


def test_a_checkpoint_that_is_none_is_refused_before_anything_is_read(call, tmp_path: Path) -> None:
    outcome = tune(call, tmp_path / "no pictures", tmp_path / "mine", tmp_path / "nowhere")
    assert_refused(outcome, str(tmp_path / "nowhere" / checkpoint.CONFIG), "missing")
    assert not (tmp_path / "mine").exists()


def test_a_checkpoint_given_away_is_not_trained_on_in_place_but_may_be_started_from(
    call, photos: Path, start: Path, tmp_path: Path
) -> None:
    shutil.copytree(start, tmp_path / "gift")
    outcome = tune(call, photos, tmp_path / "gift", start, "--resume")
    refused_with(outcome, "finished model", "--out", f"--init {tmp_path / 'gift'}")
    assert not (tmp_path / "gift" / "training").exists()
