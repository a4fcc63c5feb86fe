"""Which denoiser can guide which."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from ddpm_core.checkpoints import native as checkpoint
from ddpm_core.checkpoints.atomic import CheckpointError
from ddpm_core.checkpoints.guide import put_guide
from ddpm_core.networks.unet import UNet


def test_what_does_not_fit_is_refused_and_nothing_written(own_checkpoint: Path, tmp_path: Path) -> None:
    weaker = Path(shutil.copytree(own_checkpoint, tmp_path / "weaker"))
    before = {path.name: path.read_bytes() for path in own_checkpoint.iterdir()}
    plain = checkpoint.read_config(weaker)

    def refused(what: str) -> None:
        with pytest.raises(CheckpointError, match=what):
            put_guide(own_checkpoint, weaker, 1.5)
        assert {path.name: path.read_bytes() for path in own_checkpoint.iterdir()} == before

    checkpoint.write_config(weaker, plain.model_copy(update={"diffuser": plain.diffuser | {"schedule": "cosine"}}))
    refused("noise schedules differ")
    with_classes = plain.denoiser | {"classes": 2}
    checkpoint.write_config(weaker, plain.model_copy(update={"denoiser": with_classes, "classes": ["a", "b"]}))
    checkpoint.write_weights(weaker / checkpoint.DENOISER_WEIGHTS, UNet(**with_classes))
    refused("classes or words")
    shutil.copy(own_checkpoint / checkpoint.DENOISER_WEIGHTS, weaker)
    checkpoint.write_config(weaker, plain)
    codec = checkpoint.load_codec(weaker)
    codec.latent_mean += 1
    checkpoint.write_weights(weaker / checkpoint.CODEC_WEIGHTS, codec)
    refused("autoencoders differ")
