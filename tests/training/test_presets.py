"""Presets: rows that a run can start from, whatever its pictures show."""

from __future__ import annotations

from pathlib import Path

import pytest

from ddpm_core.checkpoints import native as checkpoint
from ddpm_core.commands import train
from ddpm_core.training.presets import PRESETS
from ddpm_core.training.settings import TrainRequest
from tests.runs import flags, write_pictures

OF_THE_DATA = ("data", "about", "framing", "classes")


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_is_a_request_and_says_nothing_of_the_data(preset: str) -> None:
    request = TrainRequest.model_validate({"data": "photos", "out": "mine"} | PRESETS[preset])
    assert not PRESETS[preset].keys() & set(OF_THE_DATA)
    assert (request.about, request.framing) == ("", "auto")


@pytest.mark.integration
def test_pictures_of_ones_own_under_the_preset_faces_are_not_said_to_be_somebody_elses(call, tmp_path: Path) -> None:
    data, out = write_pictures(tmp_path / "photos"), tmp_path / "run"
    outcome = call(train.main, *flags(data, out, "--preset", "faces", "--views", 1, steps=1))
    assert outcome.status == 0, outcome.err
    config, card = checkpoint.read_config(out), (out / checkpoint.CARD).read_text()
    assert (config.about, config.framing) == ("", "any")
    assert "(MIT)" not in card
    assert "Their source and licence were not stated (`--about`)." in card
    assert config.training["denoiser"]["denoiser"]["clamp_timesteps"] == "uniform"  # it was that preset


@pytest.mark.integration
def test_what_one_says_of_the_data_is_written(call, tmp_path: Path) -> None:
    data, out = write_pictures(tmp_path / "photos"), tmp_path / "run"
    more = ["--preset", "faces", "--views", 1, "--about", "Us, at home", "--framing", "face"]
    assert call(train.main, *flags(data, out, *more, steps=1)).status == 0
    config = checkpoint.read_config(out)
    assert (config.about, config.framing) == ("Us, at home", "face")
    assert "Us, at home." in (out / checkpoint.CARD).read_text()


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_is_a_valid_request(preset: str) -> None:
    request = TrainRequest.model_validate(PRESETS[preset] | {"data": "in", "out": "out"})
    assert request.size % 2 ** len(request.vae.channels) == 0
    assert TrainRequest.model_validate_json(request.model_dump_json()) == request
    assert request.data == Path("in")
