"""What is said of a run that goes on with something else than it had."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from ddpm_core.checkpoints import native as checkpoint
from ddpm_core.checkpoints.native import CheckpointConfig, CheckpointError
from ddpm_core.training.resume import other_basis, refuse_other_classes

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
