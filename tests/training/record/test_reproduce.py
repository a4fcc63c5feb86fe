"""The command that a run can be repeated by."""

from __future__ import annotations

import shlex
from typing import Any

import pytest

from ddpm_core.cli import merge
from ddpm_core.commands import train
from ddpm_core.images.files import PictureError
from ddpm_core.training.presets import PRESETS
from ddpm_core.training.record.reproduce import command
from ddpm_core.training.settings import TrainRequest

pytestmark = pytest.mark.integration


def given(call, monkeypatch: pytest.MonkeyPatch, line: str) -> TrainRequest:
    """What a printed command asks for."""
    asked = []

    def read(request: TrainRequest, *_: Any) -> None:
        asked.append(request)
        raise PictureError("enough")

    monkeypatch.setattr(train, "read_pictures", read)
    python, _, module, *arguments = shlex.split(line)
    assert (python, module) == ("python", "ddpm_core.train")
    call(train.main, *arguments)
    return asked[0]


CHANGES: list[dict[str, Any]] = [
    {},
    {"flips": False, "about": "It's a “quoted” word", "denoiser": {"channels": (32, 64), "learning_rate": 3e-5}},
    {"codec": "pixel", "size": 64, "denoiser": {"mixer": "none"}},
    {"stage": "vae", "codec": "vae", "vae": {"iterations": 7}},
    {"stage": "denoiser", "views": 1, "denoiser": {"iterations": 7}},
    {"init": "checkpoints/faces-128", "vae": {"learns": "decoder"}},
]


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("changes", CHANGES)
def test_the_command_asks_for_the_settings_recorded(
    call, monkeypatch: pytest.MonkeyPatch, preset: str, changes: dict[str, Any]
) -> None:
    known = {"data": "photos", "out": "checkpoints/mine"}
    request = TrainRequest.model_validate(merge(PRESETS[preset], known, changes))
    names = {"data": "photos"} | ({"init": "faces-128"} if request.init else {})
    recorded = merge(names, *(request.recorded(stage) for stage in request.stages))
    asked = given(call, monkeypatch, command(recorded, "mine", request.stage if request.stage != "all" else None))
    for stage in request.stages:
        assert asked.recorded(stage) == request.recorded(stage)
    assert (asked.data, asked.out, asked.init) == (request.data, request.out, request.init)
    assert asked.stages == request.stages


def test_the_command_starts_from_the_nearest_preset() -> None:
    request = TrainRequest.model_validate(merge(PRESETS["digits"], {"data": "mnist.npz", "out": "digits", "seed": 5}))
    line = command({"data": "mnist.npz"} | request.recorded("denoiser"), "digits")
    assert line == "python -m ddpm_core.train --data mnist.npz --out checkpoints/digits --preset digits --seed 5"
