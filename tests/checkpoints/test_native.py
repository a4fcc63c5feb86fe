"""Checkpoints on disk: what comes back, and what is said when it cannot."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from ddpm_core.checkpoints import native as checkpoint
from ddpm_core.checkpoints.atomic import CheckpointError
from ddpm_core.checkpoints.native import CheckpointConfig
from ddpm_core.networks.tables import BACKBONES
from ddpm_core.networks.unet import UNet
from ddpm_core.networks.vae import VAE
from ddpm_core.pipeline import LatentDiffusion
from tests.conftest import write_enlarging_checkpoint

WEIGHTS = [checkpoint.CODEC_WEIGHTS, checkpoint.DENOISER_WEIGHTS]


def refusal(folder: Path) -> str:
    """What loading the folder says; it has to be one sentence."""
    with pytest.raises(CheckpointError) as caught:
        LatentDiffusion.load(folder, "cpu")
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert sentence.endswith(".")
    assert len(sentence) < 500
    return sentence


def edit_config(folder: Path, **changes: Any) -> None:
    path = folder / checkpoint.CONFIG
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_weights_come_back_matrices_to_half_precision_and_vectors_exactly(tmp_path: Path, shaken) -> None:
    vae = shaken(VAE(channels=(16, 32), full_width=8))
    vae.measure_latents(torch.randn(9, 4, 3, 3) * 3 + 1)
    checkpoint.write_weights(tmp_path / "w.safetensors", vae)
    again = checkpoint.read_weights(tmp_path / "w.safetensors", VAE(channels=(16, 32), full_width=8))
    for (name, before), after in zip(vae.state_dict().items(), again.state_dict().values(), strict=True):
        assert after.dtype == torch.float32
        if before.ndim > 1:
            torch.testing.assert_close(after, before, rtol=1e-3, atol=1e-6)
        else:
            assert torch.equal(after, before), name


def test_a_loaded_model_is_ready_for_use(tiny_checkpoint: Path) -> None:
    for model in (checkpoint.load_vae(tiny_checkpoint), checkpoint.load_denoiser(tiny_checkpoint)):
        assert not model.training
        assert not any(parameter.requires_grad for parameter in model.parameters())


def test_the_config_comes_back_as_written(tmp_path: Path) -> None:
    config = CheckpointConfig(size=64, vae={"channels": [16, 32]}, about="Köln", training={"vae": {"iterations": 3}})
    checkpoint.write_config(tmp_path, config)
    assert checkpoint.read_config(tmp_path) == config


@pytest.mark.parametrize("name", [checkpoint.CONFIG, *WEIGHTS])
def test_a_missing_file_is_named(own_checkpoint: Path, name: str) -> None:
    (own_checkpoint / name).unlink()
    sentence = refusal(own_checkpoint)
    assert str(own_checkpoint / name) in sentence
    assert "missing" in sentence


@pytest.mark.parametrize("damage", ["half", "empty", "garbage", "text", "long header"])
@pytest.mark.parametrize("name", WEIGHTS)
def test_a_damaged_file_is_named(own_checkpoint: Path, name: str, damage: str) -> None:
    path = own_checkpoint / name
    whole = path.read_bytes()
    spoilt = {
        "half": whole[: len(whole) // 2],
        "empty": b"",
        "garbage": bytes(range(256)) * 20,
        "text": b"<html>404 Not Found</html>",
        "long header": (2**40).to_bytes(8, "little") + whole[8:],
    }
    path.write_bytes(spoilt[damage])
    sentence = refusal(own_checkpoint)
    assert str(path) in sentence
    assert "damaged" in sentence


@pytest.mark.parametrize("name", WEIGHTS)
def test_a_folder_in_a_files_place_is_named(own_checkpoint: Path, name: str) -> None:
    (own_checkpoint / name).unlink()
    (own_checkpoint / name).mkdir()
    assert str(own_checkpoint / name) in refusal(own_checkpoint)


@pytest.mark.parametrize("name", WEIGHTS)
def test_pickles_are_refused_whatever_they_are_called(own_checkpoint: Path, name: str) -> None:
    class Bomb:
        def __reduce__(self):
            return (Path.touch, (own_checkpoint / "went off",))

    torch.save({"weights": Bomb()}, own_checkpoint / name)
    assert name in refusal(own_checkpoint)
    assert not (own_checkpoint / "went off").exists()


@pytest.mark.parametrize(
    ("name", "part", "arguments"),
    [
        (WEIGHTS[0], "vae", {"channels": [16, 64]}),
        (WEIGHTS[0], "vae", {"latent_channels": 8, "channels": [16, 32]}),
        (WEIGHTS[1], "denoiser", {"channels": [32, 96], "blocks": 1}),
        (WEIGHTS[1], "denoiser", {"channels": [32, 64], "blocks": 2}),
        (WEIGHTS[1], "denoiser", {"channels": [32, 64], "blocks": 1, "mixer": "none"}),
    ],
)
def test_weights_of_another_model_are_named(own_checkpoint: Path, name: str, part: str, arguments: dict) -> None:
    edit_config(own_checkpoint, **{part: arguments})
    sentence = refusal(own_checkpoint)
    assert str(own_checkpoint / name) in sentence
    assert "does not match" in sentence


def test_one_parts_weights_in_the_others_place_are_named(own_checkpoint: Path) -> None:
    (own_checkpoint / WEIGHTS[1]).write_bytes((own_checkpoint / WEIGHTS[0]).read_bytes())
    assert WEIGHTS[1] in refusal(own_checkpoint)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"vae": {}}', '{"size": "big"}', "\x00\xff"])
def test_a_broken_config_is_named(own_checkpoint: Path, text: str) -> None:
    (own_checkpoint / checkpoint.CONFIG).write_text(text, encoding="latin-1")
    assert str(own_checkpoint / checkpoint.CONFIG) in refusal(own_checkpoint)


def test_an_unknown_key_of_the_config_is_named(own_checkpoint: Path) -> None:
    edit_config(own_checkpoint, flux_capacitor=1.21)
    sentence = refusal(own_checkpoint)
    assert "flux_capacitor" in sentence
    assert str(own_checkpoint / checkpoint.CONFIG) in sentence


@pytest.mark.filterwarnings("ignore:Initializing zero-element")
@pytest.mark.parametrize(
    ("part", "arguments"),
    [
        ("vae", {"depth": 3}),
        ("vae", {"channels": "wide"}),
        ("vae", {"channels": 64}),
        ("vae", {"channels": [0, 16]}),
        ("vae", {"channels": [-16, 16]}),
        ("vae", {"latent_channels": -4}),
        ("denoiser", {"mixer": "telepathy"}),
        ("denoiser", {"prediction": "score"}),
        ("denoiser", {"channels": [12, 64]}),
        ("denoiser", {"channels": []}),
        ("denoiser", {"dropout": 7}),
        ("diffuser", {"num_timesteps": 1}),
        ("diffuser", {"num_timesteps": "many"}),
        ("diffuser", {"gamma": 2}),
        ("diffuser", {"schedule": "bus"}),
        ("diffuser", {"beta_end": 2.0}),
    ],
)
def test_arguments_no_part_takes_are_named_with_their_file(own_checkpoint: Path, part: str, arguments: dict) -> None:
    fitting = json.loads((own_checkpoint / checkpoint.CONFIG).read_text())[part]
    edit_config(own_checkpoint, **{part: fitting | arguments})
    assert str(own_checkpoint / checkpoint.CONFIG) in refusal(own_checkpoint)


@pytest.mark.parametrize("size", [0, -32, 30])
def test_a_size_the_parts_cannot_have_is_refused(own_checkpoint: Path, size: int) -> None:
    edit_config(own_checkpoint, size=size)
    assert checkpoint.CONFIG in refusal(own_checkpoint)


def test_parts_that_do_not_fit_each_other_are_refused(own_checkpoint: Path) -> None:
    shape = {"latent_channels": 6, "channels": [32, 64], "blocks": 1}
    checkpoint.write_weights(own_checkpoint / WEIGHTS[1], UNet(**shape))
    edit_config(own_checkpoint, denoiser=shape)
    assert checkpoint.CONFIG in refusal(own_checkpoint)


@pytest.mark.parametrize("changes", [{"conditioning": None}, {"denoiser": {"conditioning_channels": 0}}])
def test_conditioning_channels_and_what_stands_in_them_go_together(tmp_path: Path, changes: dict[str, Any]) -> None:
    folder = write_enlarging_checkpoint(tmp_path / "larger")
    parts = checkpoint.load_parts(folder)
    assert parts.conditioning == checkpoint.ImageConditioning(factor=2, noise=0.2)
    config = checkpoint.read_config(folder)
    changed = config.denoiser | changes.get("denoiser", {})
    edit_config(folder, **changes | {"denoiser": changed})
    checkpoint.write_weights(folder / WEIGHTS[1], UNet(**changed))
    assert "do not fit" in refusal(folder)


def test_a_folder_that_does_not_exist_and_a_file_are_no_checkpoints(tmp_path: Path) -> None:
    assert str(tmp_path / "none") in refusal(tmp_path / "none")
    (tmp_path / "file").write_text("no folder")
    assert str(tmp_path / "file") in refusal(tmp_path / "file")


def test_the_config_is_read_once_while_a_trainer_may_put_another_in_its_place(
    own_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = checkpoint.read_config

    def replaced(folder: Path) -> CheckpointConfig:
        config = read(folder)
        edit_config(folder, vae={"channels": [8]}, denoiser={"channels": [64]}, guide={"blocks": 3}, size=7)
        return config

    monkeypatch.setattr(checkpoint, "read_config", replaced)
    parts = checkpoint.load_parts(own_checkpoint)
    assert parts.size == 32
    assert parts.denoiser.latent_channels == parts.codec.latent_channels == 4


def test_the_files_keys_are_those_that_older_readers_know(tmp_path: Path) -> None:
    config = CheckpointConfig(size=32, codec="pixel", codec_settings={"stride": 4})
    checkpoint.write_config(tmp_path, config)
    said = json.loads((tmp_path / checkpoint.CONFIG).read_text())
    assert said["vae"] == {"stride": 4}
    assert not {"codec_settings", "backbone", "conditioning"} & set(said)
    assert checkpoint.read_config(tmp_path) == config == CheckpointConfig(size=32, codec="pixel", vae={"stride": 4})


@pytest.mark.parametrize(("part", "name"), [("codec", "wavelet"), ("backbone", "transformer")])
def test_a_codec_or_backbone_that_is_not_in_its_table_is_named(own_checkpoint: Path, part: str, name: str) -> None:
    edit_config(own_checkpoint, **{part: name})
    assert f"{checkpoint.CONFIG} cannot be used: {part}: " in refusal(own_checkpoint)


def test_a_backbone_of_another_name_is_found_in_the_table(
    own_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Other(UNet):
        pass

    config = checkpoint.read_config(own_checkpoint).model_copy(update={"backbone": "other"})
    monkeypatch.setitem(BACKBONES, "other", Other)
    monkeypatch.setattr(checkpoint, "read_config", lambda folder: config)
    assert type(checkpoint.load_parts(own_checkpoint).denoiser) is Other
    assert type(checkpoint.load_denoiser(own_checkpoint)) is Other
    checkpoint.write_config(own_checkpoint, config)
    assert json.loads((own_checkpoint / checkpoint.CONFIG).read_text())["backbone"] == "other"


@pytest.mark.parametrize("channels", [[16, 10**6], [10**9], [float("inf")], [-(10**9), 16]])
def test_a_config_that_asks_for_more_than_its_weights_hold_is_refused_before_anything_is_made(
    own_checkpoint: Path, monkeypatch: pytest.MonkeyPatch, channels: list[int]
) -> None:
    shape = json.loads((own_checkpoint / checkpoint.CONFIG).read_text())["vae"]
    edit_config(own_checkpoint, vae=shape | {"channels": channels})
    monkeypatch.setattr(checkpoint, "build", lambda *_: pytest.fail("it was built"))
    assert "does not match" in refusal(own_checkpoint)
    edit_config(own_checkpoint, vae=shape | {"encoder_blocks": 10**9})
    assert "encoder_blocks is 1000000000" in refusal(own_checkpoint)


@pytest.mark.parametrize("changes", [{"size": 10**9}, {"diffuser": {"num_timesteps": 10**12}}])
def test_sizes_and_schedules_have_an_end(own_checkpoint: Path, changes: dict[str, Any]) -> None:
    edit_config(own_checkpoint, **changes)
    assert "config.json" in refusal(own_checkpoint)
