"""Which folders stand for a checkpoint."""

from __future__ import annotations

from pathlib import Path

import pytest

from ddpm_core.checkpoints.atomic import CheckpointError
from ddpm_core.checkpoints.folders import (
    enlarges,
    enlarging,
    enlarging_beside,
    files,
    list_checkpoints,
    load_parts,
    needed_to_enlarge,
    training_of,
)
from ddpm_core.checkpoints.native import FILES, CheckpointConfig, read_config, write_config
from tests.conftest import write_enlarging_checkpoint


def test_only_complete_checkpoints_are_listed_by_name(tmp_path: Path) -> None:
    for name, parts in {"b": FILES, "a": FILES, "half": FILES[:2], "empty": []}.items():
        (tmp_path / name).mkdir()
        for part in parts:
            (tmp_path / name / part).touch()
    (tmp_path / "file").touch()
    assert list_checkpoints(tmp_path) == ["a", "b"]
    assert list_checkpoints(tmp_path / "none") == []


def test_the_files_of_a_checkpoint_are_those_that_loading_it_needs(tiny_checkpoint: Path) -> None:
    assert files(tiny_checkpoint) == [tiny_checkpoint / name for name in FILES]
    assert all(file.is_file() for file in files(tiny_checkpoint))
    assert load_parts(tiny_checkpoint).about == "Noise"


def test_those_that_enlarge_are_told_from_others_and_asked_for_where_there_are_none(
    tiny_checkpoint: Path, enlarging_checkpoint: Path, tmp_path: Path
) -> None:
    assert enlarges(enlarging_checkpoint)
    assert not enlarges(tiny_checkpoint)
    assert not enlarges(tmp_path)  # without a config
    assert enlarging({"tiny": tiny_checkpoint, "larger": enlarging_checkpoint}) == ["larger"]
    with pytest.raises(CheckpointError, match=r"No checkpoint in x enlarges pictures; look, or train one with"):
        needed_to_enlarge({"tiny": tiny_checkpoint}, None, "in x", "look, or ")


def test_what_enlarges_faces_lies_beside_those_that_make_faces(own_checkpoint: Path) -> None:
    assert enlarging_beside(own_checkpoint) is None
    larger = write_enlarging_checkpoint(own_checkpoint.with_name("larger"), framing="face")
    assert enlarging_beside(own_checkpoint) is None
    write_config(own_checkpoint, read_config(own_checkpoint).model_copy(update={"framing": "face"}))
    assert enlarging_beside(own_checkpoint) == larger
    write_enlarging_checkpoint(own_checkpoint.with_name("anything"))
    assert enlarging_beside(own_checkpoint) == own_checkpoint.with_name("anything")


def test_what_made_a_checkpoint_is_what_it_says(tmp_path: Path) -> None:
    write_config(tmp_path, CheckpointConfig(size=32, training={"vae": {"iterations": 3}}))
    assert training_of(tmp_path) == {"vae": {"iterations": 3}}
