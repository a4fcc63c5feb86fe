"""Which folders stand for a checkpoint."""

from __future__ import annotations

from pathlib import Path

from ddpm_core.checkpoints.folders import files, list_checkpoints, load_parts, training_of
from ddpm_core.checkpoints.native import FILES, CheckpointConfig, write_config


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


def test_what_made_a_checkpoint_is_what_it_says(tmp_path: Path) -> None:
    write_config(tmp_path, CheckpointConfig(size=32, training={"vae": {"iterations": 3}}))
    assert training_of(tmp_path) == {"vae": {"iterations": 3}}
