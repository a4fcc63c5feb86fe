"""What commands that make pictures have in common, called as they call it."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from ddpm_core.commands import _results as results
from ddpm_core.diffusion.samplers import last
from ddpm_core.errors import UserError
from ddpm_core.images.files import read_parameters
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import GenerateRequest


def test_pictures_are_those_of_the_last_step_and_one_is_written_with_how_it_was_made(
    word_model: LatentDiffusion, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    request = GenerateRequest(steps=2, seed=5, count=2, prompt="red zebra")
    folder = tmp_path / "new" / "folder"
    made = results.pictures_of(word_model, request, word_model.generate(request), folder)
    wanted = word_model.pictures(last(word_model.generate(request)).latent)
    assert [np.array_equal(one, other) for one, other in zip(made, wanted, strict=True)] == [True, True]
    assert "does not know, and passes over: zebra." in capsys.readouterr().out

    results.write_one(word_model, request, made[0], folder / "one.png")
    assert capsys.readouterr().out == f"Wrote {folder / 'one.png'}.\n"
    assert read_parameters(folder / "one.png")["seed"] == 5


def test_steps_are_counted_on_a_terminal(
    word_model: LatentDiffusion, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    results.pictures_of(word_model, (request := GenerateRequest(steps=3)), word_model.generate(request), tmp_path)
    assert "sampling 3/3" in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_into_is_refused_before_the_first_step(
    word_model: LatentDiffusion, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="nothing can be written into"):
        results.pictures_of(word_model, GenerateRequest(), iter(()), tmp_path / "file")
