"""Pictures that do not fit into memory: the run is the same, bit for bit, and decodes them once."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from ddpm_core.checkpoints import native as checkpoint
from ddpm_core.checkpoints import stored
from ddpm_core.checkpoints.atomic import CheckpointError
from ddpm_core.checkpoints.stored import StoredTensor
from ddpm_core.commands import train
from ddpm_core.data import load as data
from ddpm_core.images.files import PictureError, open_picture
from ddpm_core.training import stored_pictures
from ddpm_core.training.distributed import World
from ddpm_core.training.pictures import Pictures, read_pictures
from ddpm_core.training.settings import StageName, TrainRequest
from ddpm_core.training.stages.run import state_file
from tests.command_lines import assert_refused
from tests.training.small_runs import request_for as small
from tests.training.small_runs import run_all, settings_with

SIZE = 16
QUICK = ["--preset", "tiny", "--size", SIZE, "--batch-size", 4, "--device", "cpu", "--precision", "fp32"]


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """No tensor is small enough for memory."""
    monkeypatch.setattr(stored, "IN_MEMORY", 0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twenty pictures in two folders and, in between, a file that is none."""
    for number in range(20):
        path = tmp_path / "in" / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.linear_gradient("L").resize((20 + number, 24)).rotate(18 * number).convert("RGB").save(path)
    (tmp_path / "in" / "a" / "14.png").write_bytes(b"no picture")
    return tmp_path / "in"


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that were decoded."""
    names: list[str] = []

    def noting(source: Any, side: int) -> Image.Image:
        names.append(Path(str(source)).name)
        return open_picture(source, side)

    monkeypatch.setattr(data, "open_picture", noting)
    return names


def request_for(folder: Path, out: Path, **settings: Any) -> TrainRequest:
    values = {"data": folder, "out": out, "size": SIZE, "views": 2, "zoom": 0.3, "held_out": 0.2}
    return TrainRequest.model_validate(values | settings)


def assert_same(one: Pictures, other: Pictures) -> None:
    assert one.basis == other.basis
    assert (one.files, one.classes) == (other.files, other.classes)
    skipped = [[(str(source), reason) for source, reason in each.skipped] for each in (one, other)]
    assert skipped[0] == skipped[1]
    assert one.held_out is not None
    assert other.held_out is not None
    for mine, theirs in ((one.train, other.train), (one.held_out, other.held_out)):
        assert torch.equal(mine.pixels[:], theirs.pixels[:])
        assert mine.labels is not None
        assert theirs.labels is not None
        assert torch.equal(mine.labels, theirs.labels)


@pytest.mark.parametrize("packed", [False, True])
def test_they_are_those_of_memory_and_are_decoded_once(
    folder: Path, tmp_path: Path, opened: list[str], monkeypatch: pytest.MonkeyPatch, packed: bool
) -> None:
    source = Path(shutil.make_archive(str(tmp_path / "in"), "zip", folder)) if packed else folder
    request = request_for(source, tmp_path / "run")
    expected = read_pictures(request)
    assert not (tmp_path / "run").exists()
    monkeypatch.setattr(stored, "IN_MEMORY", 0)
    made = read_pictures(request)
    assert isinstance(made.train.pixels, StoredTensor)
    assert_same(made, expected)
    opened.clear()
    assert_same(read_pictures(request), expected)
    assert opened == []


def touched(folder: Path, request: TrainRequest) -> TrainRequest:
    os.utime(folder / "a" / "0.png", (1, 1))
    return request


def added(folder: Path, request: TrainRequest) -> TrainRequest:
    shutil.copy(folder / "a" / "0.png", folder / "a" / "21.png")
    return request


def renamed(folder: Path, request: TrainRequest) -> TrainRequest:
    (folder / "a" / "0.png").rename(folder / "a" / "00.png")
    return request


def cut_otherwise(folder: Path, request: TrainRequest) -> TrainRequest:
    return request.model_copy(update={"zoom": 0.2})


def cut_short(folder: Path, request: TrainRequest) -> TrainRequest:
    path = request.out / "training" / stored_pictures.FILES["train"]
    path.write_bytes(path.read_bytes()[:-1])
    return request


@pytest.mark.parametrize("change", [touched, added, renamed, cut_otherwise, cut_short])
def test_where_the_data_is_another_they_are_decoded_anew_and_it_is_said(
    folder: Path, tmp_path: Path, large: None, opened: list[str], change
) -> None:
    request = request_for(folder, tmp_path / "run")
    read_pictures(request)
    request = change(folder, request)
    opened.clear()
    said: list[str] = []
    made = read_pictures(request, say=said.append)
    assert opened
    assert said[0].startswith("The pictures are no longer as they were decoded into ")
    fresh = read_pictures(request.model_copy(update={"out": tmp_path / "other"}))
    assert_same(made, fresh)


def test_views_belong_to_the_seed_and_without_views_it_does_not_matter(folder: Path, large: None) -> None:
    paths = sorted(folder.rglob("*.png"))
    prints = [
        stored_pictures.fingerprint(folder, paths, {"size": 16, "views": views, "zoom": 0.3, "seed": seed})
        for views in (1, 2)
        for seed in (0, 1)
    ]
    assert len(set(prints)) == 3
    assert prints[0] == prints[1]


def test_fewer_pictures_go_back_to_memory_and_the_file_goes(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = request_for(folder, tmp_path / "run")
    with monkeypatch.context() as patch:
        patch.setattr(stored, "IN_MEMORY", 0)
        read_pictures(request)
    assert len(list((request.out / "training").iterdir())) == 2
    assert isinstance(read_pictures(request).train.pixels, torch.Tensor)
    assert list((request.out / "training").iterdir()) == []


def test_none_that_can_be_used_is_the_same_sentence_as_in_memory_each_time(tmp_path: Path, large: None) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "x.png").write_bytes(b"no picture")
    for _ in range(2):
        with pytest.raises(PictureError, match="None of 1 files could be used"):
            read_pictures(request_for(tmp_path / "in", tmp_path / "run"))


def test_of_several_processes_the_first_decodes_and_the_others_read(
    folder: Path, tmp_path: Path, large: None, opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(World, "barrier", lambda self: None)  # there are no others to wait for
    request = request_for(folder, tmp_path / "run")
    with pytest.raises(CheckpointError, match="all processes need the same --out"):
        read_pictures(request, world=World(rank=1, size=2))
    assert opened == []
    first = read_pictures(request, world=World(rank=0, size=2))
    opened.clear()
    assert_same(read_pictures(request, world=World(rank=1, size=2)), first)
    assert opened == []


def test_a_run_from_files_ends_where_one_in_memory_does_and_goes_on_from_its_state(
    folder: Path, tmp_path: Path, opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def go_on(out: Path, stage: StageName, until: int | None = None) -> None:
        request = settings_with(small(out, data=folder, held_out=0.2, resume=True), clamp_share=0.5, clamp_recolour=0.5)
        run_all(stage, request, read_pictures(request), until)

    memory, files = tmp_path / "memory", tmp_path / "files"
    go_on(memory, "vae")
    go_on(memory, "denoiser", until=3)
    shutil.copytree(memory, files)  # a run of an earlier version, say
    shutil.rmtree(files / "training" / "tensorboard")
    for name in ("vae.safetensors", "training/vae.safetensors", "training/latents.safetensors"):
        (files / name).unlink()
    go_on(memory, "denoiser")
    monkeypatch.setattr(stored, "IN_MEMORY", 0)
    go_on(files, "vae", until=2)
    opened.clear()
    go_on(files, "vae")
    go_on(files, "denoiser", until=5)
    go_on(files, "denoiser")
    assert opened == []
    for name in (*stored_pictures.FILES.values(), "latents.safetensors", "recoloured.safetensors"):
        assert (files / "training" / name).is_file()
    for stage in ("vae", "denoiser"):
        one, other = (checkpoint.read_tensors(state_file(out, stage))[0] for out in (memory, files))
        assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_disk_without_room_is_one_sentence_before_anything_is_read(
    call, folder: Path, tmp_path: Path, large: None, opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored.shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10, 10, 0))
    for dry in ([], ["--dry-run"]):
        outcome = call(train.main, "--data", folder, "--out", tmp_path / "run", *QUICK, *dry)
        assert_refused(outcome, "pictures.safetensors cannot be written", "0.0 GB are free")
        assert not (tmp_path / "run").exists()
