"""Tensors in a file: written in any order, read by rows, and never taken for whole when they are not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from ddpm_core.checkpoints import stored
from ddpm_core.checkpoints.atomic import CheckpointError, UnwritableError
from ddpm_core.checkpoints.stored import TensorWriter, chunks_of, open_stored, write_stored

ROWS = torch.arange(7 * 2 * 3, dtype=torch.float32).view(7, 2, 3)


def fill(writer: TensorWriter) -> dict[str, str]:
    """Two tensors; of the second, rows backwards, of which the first and the fourth are not kept."""
    writer.add("bytes", torch.uint8, (3, 5))
    writer.put("bytes", 0, np.full((3, 5), 9, np.uint8))
    writer.add("rows", torch.float32, (7, 2, 3))
    for number in reversed(range(7)):
        writer.put("rows", number, ROWS[number].numpy())
    writer.keep("rows", [1, 2, 4, 5, 6])
    return {"of": "a test"}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    write_stored(tmp_path / "x.safetensors", 1000, fill)
    return tmp_path / "x.safetensors"


def test_it_is_a_safetensors_file_that_the_library_reads_too(file: Path) -> None:
    tensors, (found, metadata) = load_file(file), open_stored(file)
    assert metadata == {"of": "a test"}
    assert torch.equal(tensors["rows"], ROWS[[1, 2, 4, 5, 6]])
    assert tensors["bytes"].unique().tolist() == [9]
    assert {name: (each.dtype, each.shape) for name, each in found.items()} == {
        name: (each.dtype, each.shape) for name, each in tensors.items()
    }


def test_a_file_of_the_library_is_read_by_rows(tmp_path: Path) -> None:
    save_file({"rows": ROWS}, tmp_path / "x.safetensors", {"of": "them"})
    found, metadata = open_stored(tmp_path / "x.safetensors")
    rows = found["rows"]
    assert (len(rows), rows.nbytes, metadata) == (7, ROWS.nbytes, {"of": "them"})
    for index in (torch.tensor([6, 0, 0, 3]), slice(2, 5), slice(None, None, 3), slice(None)):
        assert torch.equal(rows[index], ROWS[index])
    read = rows[:2]
    read += 1  # it is a copy
    assert torch.equal(rows[:2], ROWS[:2])


def test_all_of_it_comes_in_chunks(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored, "CHUNK", 50)
    rows = open_stored(file)[0]["rows"]
    assert [len(chunk) for chunk in rows.chunks()] == [2, 2, 1]
    assert torch.equal(torch.cat(list(chunks_of(rows))), rows[:])
    assert [chunk is ROWS for chunk in chunks_of(ROWS)] == [True]


def test_none_of_the_rows_may_be_kept(tmp_path: Path) -> None:
    def none(writer: TensorWriter) -> dict[str, str]:
        writer.add("rows", torch.float32, (7, 2, 3))
        writer.keep("rows", [])
        return {}

    write_stored(tmp_path / "x.safetensors", 0, none)
    rows = open_stored(tmp_path / "x.safetensors")[0]["rows"]
    assert (rows[:].shape, list(rows.chunks())) == ((0, 2, 3), [])


@pytest.mark.parametrize("damage", ["short", "nothing", "words", "header", "absurd", "kind", "gone"])
def test_what_is_not_whole_is_said_to_be_damaged(file: Path, damage: str) -> None:
    content = file.read_bytes()
    if damage == "kind":
        save_file({"rows": ROWS.double()}, file)
    elif damage == "gone":
        file.unlink()
    else:
        header = json.dumps({"x": {"dtype": "U8", "shape": [2], "data_offsets": [0, 1]}}).encode()
        changed = {
            "short": content[:-1],
            "nothing": b"",
            "words": b"x" * 4000,
            "header": content[:100],
            "absurd": len(header).to_bytes(8, "little") + header + b"1",
        }
        file.write_bytes(changed[damage])
    with pytest.raises(CheckpointError, match="missing" if damage == "gone" else "damaged or not a safetensors"):
        open_stored(file)


@pytest.mark.parametrize("change", [Path.unlink, lambda path: path.write_bytes(b"short")])
def test_a_file_that_goes_while_it_is_read_is_one_sentence(file: Path, change) -> None:
    rows = open_stored(file)[0]["rows"]
    change(file)
    with pytest.raises(CheckpointError, match=r"x\.safetensors can no longer be read .*; go on with --resume\.$"):
        rows[:2]


def test_a_disk_without_room_is_told_of_before_anything_is_made(tmp_path: Path, monkeypatch) -> None:
    class Usage(NamedTuple):
        free: int

    monkeypatch.setattr(stored.shutil, "disk_usage", lambda folder: Usage(3_000_000_000))
    asked: list[TensorWriter] = []
    path = tmp_path / "run" / "training" / "x.safetensors"
    with pytest.raises(UnwritableError, match=r"it takes 9\.8 GB of the disk, and 3\.0 GB are free"):
        write_stored(path, 9_830_000_000, lambda writer: asked.append(writer) or {})
    assert (asked, path.parent.exists()) == ([], False)


def test_a_disk_that_fills_up_leaves_nothing_behind(tmp_path: Path) -> None:
    def full(writer: TensorWriter) -> dict[str, str]:
        fill(writer)
        raise OSError(28, "No space left on device")

    with pytest.raises(UnwritableError, match="No space left on device"):
        write_stored(tmp_path / "x.safetensors", 1000, full)
    assert list(tmp_path.iterdir()) == []
