"""Files are whole or not there, and tensors come back as they were."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from ddpm_core.checkpoints.atomic import (
    CheckpointError,
    UnwritableError,
    forget_partials,
    numbers_in,
    read_tensors,
    write_atomically,
    write_tensors,
    writing,
)  # fmt: skip


def test_numbers_are_counted_by_the_head_of_a_file(tmp_path: Path) -> None:
    write_tensors(tmp_path / "x.safetensors", {"a": torch.zeros(2, 3), "b": torch.zeros(())})
    assert numbers_in(tmp_path / "x.safetensors") == 7
    (tmp_path / "y.safetensors").write_bytes(b"none")
    with pytest.raises(CheckpointError, match="damaged"):
        numbers_in(tmp_path / "y.safetensors")


def test_an_interrupted_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    path.write_text("old")

    def half(partial: Path) -> None:
        partial.write_text("ne")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_atomically(path, half)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_write_goes_through_a_neighbour_and_makes_the_folders_it_needs(tmp_path: Path) -> None:
    path, states = tmp_path / "a" / "b" / "x.txt", []

    def write(partial: Path) -> None:
        states.append((partial != path, path.parent in partial.parents, path.exists()))
        partial.write_text("new")

    write_atomically(path, write)
    assert states == [(True, True, False)]
    assert path.read_text() == "new"
    assert list(path.parent.iterdir()) == [path]


def test_tensors_of_any_layout_and_type_come_back_as_they_are(tmp_path: Path) -> None:
    tensors = {
        "channels last": torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last),
        "turned": torch.randn(3, 4).T,
        "number": torch.tensor(3.5),
        "counts": torch.arange(4),
        "half": torch.randn(3).bfloat16(),
        "parameter": nn.Parameter(torch.randn(2)),
        "nothing": torch.zeros(0, 3),
    }
    write_tensors(tmp_path / "x.safetensors", tensors, {"note": "Köln"})
    again, metadata = read_tensors(tmp_path / "x.safetensors")
    assert metadata == {"note": "Köln"}
    assert set(again) == set(tensors)
    for name, tensor in tensors.items():
        assert again[name].dtype == tensor.dtype
        assert torch.equal(again[name], tensor)


def test_what_cannot_be_written_is_named_with_the_systems_reason_and_without_advice(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(UnwritableError) as caught:
        write_atomically(tmp_path / "file" / "x.txt", Path.touch)
    assert str(caught.value) == f"{tmp_path / 'file' / 'x.txt'} cannot be written ({caught.value.strerror})."
    assert caught.value.strerror in ("Not a directory", "File exists")


def test_of_errors_within_each_other_the_innermost_is_reported(tmp_path: Path) -> None:
    with (
        pytest.raises(UnwritableError, match=r"inner cannot be written \(full\)\.$"),
        writing(tmp_path / "outer"),
        writing(tmp_path / "inner"),
    ):
        raise OSError(28, "full")


def test_what_interrupted_writes_left_goes_and_all_else_stays(tmp_path: Path) -> None:
    (tmp_path / ".x.txt.partial").mkdir()
    (tmp_path / ".x.txt.partial" / "x.txt").write_text("half")
    (tmp_path / ".y.partial").write_text("of an earlier version")
    for name in ("x.txt", ".partial", "notes.partial"):
        (tmp_path / name).write_text("mine")
    forget_partials(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".partial", "notes.partial", "x.txt"]
