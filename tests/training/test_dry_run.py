"""The dry run: what it says, and that nothing is read, started or written."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from ddpm_core.checkpoints import native as checkpoint
from ddpm_core.checkpoints import stored
from ddpm_core.commands import train
from ddpm_core.data import load as data
from ddpm_core.display.units import in_hours
from ddpm_core.images.files import open_picture
from ddpm_core.networks.unet import UNet
from ddpm_core.networks.vae import VAE
from ddpm_core.training import dry_run, memory_budget
from ddpm_core.training.presets import PRESETS
from tests.command_lines import Outcome, assert_refused

TINY = ["--preset", "tiny", "--device", "cpu", "--precision", "fp32", "--batch-size", 2]


@pytest.fixture
def try_out(call, picture_folder: Path, tmp_path: Path):
    """A dry run of the tiny preset into a folder that is not there."""

    def dry_run(*arguments: object, source: Path = picture_folder, out: Path = tmp_path / "runs" / "mine") -> Outcome:
        return call(train.main, "--data", source, "--out", out, *TINY, "--dry-run", *arguments)

    return dry_run


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> float:
    """Every step takes so many seconds, by the clock."""

    def take(steps: Iterator[Any]) -> float:
        next(steps)
        return 3.0

    monkeypatch.setattr(dry_run, "_seconds", take)
    return 3.0


def stage_of(out: str, stage: str) -> str:
    """The lines about a stage."""
    return re.split(r"\n(?! )", out[out.index(f"{stage}: ") :])[0]


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_it_says_what_is_in_the_data_and_not_used_or_not_understood(
    try_out, picture_folder: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(picture_folder, tmp_path / "in")
    for name in ("a.xyz", "b.xyz", "notes.md"):
        (folder / name).write_bytes(b"")
    (folder / "labels.csv").write_text("name,age\nAda,36\n")
    said = try_out(source=folder).out
    assert "In the data and not used: 2 .xyz, 1 .md.\n" in said
    assert "labels.csv names none of the" in said
    assert "(its columns are: name, age)" in said


def test_it_says_what_there_is_and_what_it_takes_and_writes_nothing(try_out, tmp_path: Path) -> None:
    outcome = try_out()
    assert outcome.status == 0
    assert outcome.err == ""
    assert "23 pictures to train on, 1 held out.\n24 squares of 32 pixels in memory: 0.1 MB.\n" in outcome.out
    shapes = {"vae": VAE(4, (16, 32), 1, 1, 8), "denoiser": UNet(4, (32, 64), 1)}
    for stage, network in shapes.items():
        said = stage_of(outcome.out, stage)
        assert f"{stage}: {sum(parameter.numel() for parameter in network.parameters()):,} parameters" in said
        for part in ("weights", "gradients", "moving average", "optimiser", "activations", "pictures"):
            assert re.search(rf"{part} [\d.]+ MB", said), part
        assert ("latents" in said) == (stage == "denoiser")
        assert re.search(
            r"about [\d.e-]+ s per iteration on cpu, float32, threads: 1\n  50 iterations: about \d+ s", said
        )
    assert re.search(r"In all about \d+ s", outcome.out)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(("load", "said"), [((1.3, 2), True), ((0.9, 2), False), (None, False)])
def test_a_busy_machine_is_told_of_beside_the_times(
    try_out, monkeypatch: pytest.MonkeyPatch, load: tuple[float, int] | None, said: bool
) -> None:
    monkeypatch.setattr(dry_run, "load_average", lambda: load)
    *_, before, last = try_out("--stage", "vae").out.splitlines()
    assert last == "Nothing was written."
    assert before.startswith("The machine is busy (load 1.3, CPUs: 2), and times are as measured" if said else "In all")


def test_what_is_too_large_for_memory_is_said_to_be_on_the_disk(
    try_out, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored, "IN_MEMORY", 0)
    outcome = try_out("--stage", "denoiser", "--codec", "pixel")
    where = tmp_path / "runs" / "mine" / "training"
    assert f"24 squares of 32 pixels in files in {where}, read as they are needed: 0.1 MB.\n" in outcome.out
    said = stage_of(outcome.out, "denoiser")
    memory, disk = (line for line in said.splitlines() if "pictures" in line or "memory" in line)
    assert "pictures" not in memory
    assert "latents" not in memory
    assert re.fullmatch(r"  on the disk, and in memory only as far as .*: pictures 0\.1 MB, latents 0\.6 MB", disk)


def test_no_more_than_a_handful_of_pictures_is_read(
    try_out, picture_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = []

    def read(source: Path, side: int) -> Image.Image:
        opened.append(source.name)
        return open_picture(source, side)

    monkeypatch.setattr(data, "open_picture", read)
    outcome = try_out("--stage", "vae")
    assert outcome.status == 0
    assert sorted(opened) == sorted(path.name for path in picture_folder.iterdir())[: dry_run.LOOKED_AT]
    assert "cannot be used" not in outcome.out


def test_files_that_are_no_pictures_are_refused_as_by_the_run(call, try_out, tmp_path: Path) -> None:
    folder = tmp_path / "phone"
    folder.mkdir()
    for number in range(dry_run.LOOKED_AT + 2):
        (folder / f"IMG_{number:04d}.jpg").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(2000))
    refused = call(train.main, "--data", folder, "--out", tmp_path / "run", *TINY)
    outcome = try_out(source=folder)
    assert_refused(outcome, f"None of {dry_run.LOOKED_AT + 2} files could be used as a picture", "IMG_0000.jpg")
    assert refused.err.endswith(outcome.err)  # after its progress bar
    assert outcome.out == ""


def test_files_that_cannot_be_used_are_counted_among_those_looked_at(
    try_out, picture_folder: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(picture_folder, tmp_path / "in")
    for name in ("00.png", "03.png"):
        (folder / name).write_bytes(b"none")
    some = "2 of the first 16 files cannot be used (00.png, 03.png): 00.png is not a picture that can be read"
    assert some in try_out("--stage", "vae", source=folder).out
    for path in sorted(folder.iterdir())[: dry_run.LOOKED_AT + 1]:
        path.write_bytes(b"none")
    more = "17 of the first 23 files cannot be used (00.png, 01.png, 02.png, ...): 00.png is"  # one can, after a while
    assert more in try_out("--stage", "vae", source=folder).out


def test_a_long_step_is_not_waited_for_at_full_size(try_out, slow: float) -> None:
    outcome = try_out("--stage", "vae", "--batch-size", 64, "--vae-accumulate", 2, "--iterations", 30)
    assert f"about {slow * 64 * 2:.3g} s per iteration" in outcome.out  # of one picture, so many times
    assert "30 iterations: about 3 h 12 min" in outcome.out
    assert "In all about 3 h 12 min" in outcome.out


def test_a_short_step_is_timed_at_full_size(try_out, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def take(steps: Iterator[Any]) -> float:
        seen.append(next(steps).step)
        return 0.5

    monkeypatch.setattr(dry_run, "_seconds", take)
    outcome = try_out("--stage", "vae", "--batch-size", 6)
    assert "about 0.5 s per iteration" in outcome.out
    assert seen == [1, 2, 1, 2, 1, 2, 3, 4]  # of 1, 4 and 6 pictures


def test_classes_are_named_and_distinguished_as_in_the_run(try_out, tmp_path: Path) -> None:
    for name in ("ant", "bee"):
        (tmp_path / "insects" / name).mkdir(parents=True)
        for number in range(3):
            Image.new("RGB", (32, 32)).save(tmp_path / "insects" / name / f"{number}.png")
    outcome = try_out("--codec", "pixel", source=tmp_path / "insects")
    assert "6 pictures to train on, 0 held out.\n2 classes: ant, bee.\n" in outcome.out
    network = UNet(12, (32, 64), 1, classes=2)
    assert f"denoiser: {sum(parameter.numel() for parameter in network.parameters()):,} parameters" in outcome.out
    assert "vae" not in outcome.out


@pytest.mark.integration
def test_of_a_run_resumed_it_says_what_is_left(
    call, try_out, slow: float, picture_folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    arguments = ["--data", picture_folder, "--out", out, *TINY]
    assert call(train.main, *arguments, "--iterations", 2, "--stage", "vae").status == 0
    before = contents(tmp_path)
    outcome = try_out("--resume", "--iterations", 12, out=out)
    assert f"10 of 12 iterations are left: about {in_hours(slow * 2 * 10)}" in stage_of(outcome.out, "vae")
    assert f"12 iterations: about {in_hours(slow * 2 * 12)}" in stage_of(outcome.out, "denoiser")
    assert f"In all about {in_hours(slow * 2 * 22)}" in outcome.out
    assert "0 of 2 iterations are left: about 0 s" in try_out("--resume", "--iterations", 2, out=out).out
    assert contents(tmp_path) == before


@pytest.mark.integration
def test_of_a_run_resumed_with_other_settings_it_says_what_the_run_would(call, try_out, tmp_path: Path) -> None:
    out = tmp_path / "run"
    source = tmp_path / "pictures"
    source.mkdir()
    Image.new("RGB", (32, 32)).save(source / "one.png")
    arguments = ["--data", source, "--out", out, *TINY, "--stage", "vae", "--iterations", 1]
    assert call(train.main, *arguments).status == 0
    resumed = ["--stage", "vae", "--resume", "--iterations", 1, "--threads", 1]
    said = try_out(*resumed, "--vae-learning-rate", 0.25, source=source, out=out).out
    assert "--vae-learning-rate was 0.0005 and is 0.25 from here on." in said
    assert "threads was" not in said  # which is of the machine, and changes nothing
    assert_refused(try_out(*resumed, "--vae-full-width", 16, source=source, out=out), "--vae-full-width", "cannot")


def test_a_place_that_is_taken_is_refused_as_the_run_would(try_out, own_checkpoint: Path) -> None:
    before = contents(own_checkpoint)
    assert_refused(try_out(out=own_checkpoint), str(own_checkpoint), "another --out")
    assert contents(own_checkpoint) == before


def test_what_the_run_lacks_is_named_by_its_own_folder(try_out, tmp_path: Path) -> None:
    outcome = try_out("--stage", "denoiser", out=tmp_path / "run")
    assert outcome.status == 2
    assert str(tmp_path / "run" / checkpoint.CONFIG) in outcome.err
    assert not (tmp_path / "run").exists()


def test_data_that_cannot_be_used_are_refused_in_a_line(try_out, tmp_path: Path) -> None:
    assert_refused(try_out(source=tmp_path / "nowhere"), "nowhere")


def test_a_batch_too_large_is_reported_to_be_divided(try_out, monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = try_out("--stage", "vae", "--batch-size", 256)
    assert "does not fit" not in outcome.out
    monkeypatch.setattr(memory_budget, "available_memory", lambda: 60 * 10**6)
    outcome = try_out("--stage", "vae", "--batch-size", 256)
    parts, each = map(int, re.search(r"batch of 256 does not fit; going on with (\d+) x (\d+)", outcome.out).groups())
    assert parts * each == 256
    assert parts > 1
    assert float(re.search(r"memory: about ([\d.]+) MB", outcome.out).group(1)) < 70


def test_several_processes_are_not_tried_out(try_out, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert_refused(try_out(), "--dry-run", "torchrun")


def test_the_preset_is_the_one_requested() -> None:
    assert PRESETS["tiny"]["size"] == 32  # which the other tests rely on
