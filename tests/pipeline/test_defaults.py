"""Defaults that a checkpoint has of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from ddpm_core.checkpoints.atomic import CheckpointError
from ddpm_core.checkpoints.native import read_config, write_config
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import EditRequest, GenerateRequest, InpaintRequest


def test_a_checkpoint_has_defaults_of_its_own_and_what_is_given_goes_first(own_checkpoint: Path) -> None:
    config = read_config(own_checkpoint)
    own = {"inpaint": {"clamp": "clean", "steps": 12, "resamples": 1}, "generate": {"sampler": "unipc"}}
    write_config(own_checkpoint, config.model_copy(update={"defaults": own}))
    model = LatentDiffusion.load(own_checkpoint)
    request = model.request(InpaintRequest, seed=3, steps=5)
    assert request == InpaintRequest(seed=3, steps=5, clamp="clean", resamples=1)
    assert model.request(GenerateRequest).sampler == "unipc"
    assert model.request(EditRequest) == EditRequest()
    with pytest.raises(ValidationError):
        model.request(InpaintRequest, jump=2)  # 1 resample is the checkpoint's own


def test_another_sampler_or_spacing_than_a_checkpoints_own_comes_without_their_settings(own_checkpoint: Path) -> None:
    own = {"sampler": "sde-dpm-solver++", "noise_above": 200, "spacing": "power", "exponent": 1.5}
    write_config(own_checkpoint, read_config(own_checkpoint).model_copy(update={"defaults": {"generate": own}}))
    model = LatentDiffusion.load(own_checkpoint)
    assert model.request(GenerateRequest) == GenerateRequest(**own)
    assert model.request(GenerateRequest, sampler="ddim", eta=0.5) == GenerateRequest(
        sampler="ddim", eta=0.5, spacing="power", exponent=1.5
    )
    assert model.request(GenerateRequest, spacing="karras") == GenerateRequest(
        sampler="sde-dpm-solver++", noise_above=200, spacing="karras"
    )
    with pytest.raises(ValidationError, match="noise_above"):
        model.request(GenerateRequest, sampler="ddim", noise_above=200)  # what is given is never left out


@pytest.mark.parametrize(
    ("defaults", "sentence"),
    [
        ({"paint": {}}, "defaults: there is no action 'paint'; choose from: generate"),
        ({"generate": {"seed": 3}}, "generate takes none for 'seed'; choose from: steps"),
        ({"generate": {"clamp": "clean"}}, "generate takes none for 'clamp'"),
        ({"inpaint": {"steps": 0}}, "inpaint steps should be greater"),
    ],
)
def test_defaults_that_no_request_takes_are_refused(own_checkpoint: Path, defaults: dict, sentence: str) -> None:
    write_config(own_checkpoint, read_config(own_checkpoint).model_copy(update={"defaults": defaults}))
    with pytest.raises(CheckpointError, match=f"config.json cannot be used: .*{sentence}"):
        LatentDiffusion.load(own_checkpoint)
