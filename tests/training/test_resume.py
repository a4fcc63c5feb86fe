"""What is said of a run that goes on with something else than it had."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import pytest

from ddpm_core.checkpoints import native as checkpoint
from ddpm_core.checkpoints.native import CheckpointConfig, CheckpointError
from ddpm_core.training.resume import changes, other_basis, refuse_other_classes
from ddpm_core.training.settings import TrainRequest

BASIS = {"pictures": "10", "pixels": "ab", "classes": "cd", "autoencoder": "5 steps"}


def test_the_same_basis_needs_no_words() -> None:
    assert other_basis(BASIS, BASIS) == []


def test_what_an_earlier_version_did_not_note_is_not_compared() -> None:
    assert other_basis({"pictures": "10"}, BASIS) == []


def test_other_pictures_and_classes_are_recognised_by_their_fingerprints() -> None:
    assert "other ones, or cut out otherwise" in other_basis(BASIS, BASIS | {"pixels": "00"})[0]
    assert "the classes of some" in other_basis(BASIS, BASIS | {"classes": "00"})[0]


def test_more_pictures_are_recognised_by_their_number_alone() -> None:
    said = other_basis(BASIS, BASIS | {"pictures": "12", "pixels": "00", "classes": "00", "autoencoder": "7 steps"})
    assert said == [
        "Pictures: 10 when the run was saved, 12 from here on.",
        "Autoencoder: 5 steps when the run was saved, 7 steps from here on.",
    ]


def test_classes_are_the_same_however_their_letters_are_composed(tmp_path: Path) -> None:
    names = [unicodedata.normalize("NFD", "café"), "tea"]
    checkpoint.write_config(tmp_path, CheckpointConfig(size=16, denoiser={"classes": 2}, classes=names))
    refuse_other_classes(tmp_path, ("café", "tea"))
    with pytest.raises(CheckpointError, match="has other classes"):
        refuse_other_classes(tmp_path, ("tea", "café"))


@pytest.mark.parametrize("noted", [True, False], ids=["0.05", "not a setting yet"])
def test_what_was_learned_is_never_held_out_later(tmp_path: Path, noted: bool) -> None:
    request = TrainRequest(data=tmp_path / "in", out=tmp_path)
    before = request.model_dump(mode="json", exclude=set() if noted else {"held_out"})
    (tmp_path / "training").mkdir()
    (tmp_path / "training" / "denoiser.json").write_text(json.dumps(before))
    assert changes("denoiser", request) == []
    with pytest.raises(CheckpointError, match=r"--held-out was 0.05 and cannot become 0.2; resume it with"):
        changes("denoiser", request.model_copy(update={"held_out": 0.2}))


def test_the_same_schedule_under_another_name_is_no_news(tmp_path: Path) -> None:
    request = TrainRequest(data=tmp_path / "in", out=tmp_path, denoiser={"schedule": "scaled-linear"})
    before = request.model_dump(mode="json")
    before["denoiser"]["schedule"] = "quadratic"
    (tmp_path / "training").mkdir()
    (tmp_path / "training" / "denoiser.json").write_text(json.dumps(before))
    assert changes("denoiser", request) == []
