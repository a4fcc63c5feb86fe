"""`python -m ddpm_core.inpaint`, called as a user's shell does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ddpm_core.commands import inpaint
from ddpm_core.images.files import read_parameters
from tests.command_lines import assert_refused
from tests.conftest import write_enlarging_checkpoint


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (50, 70, 3), dtype=np.uint8)).save(path)
    return path


def test_a_ready_mask_fills_the_picture_at_its_own_size_once_per_seed(
    call, tiny_checkpoint: Path, photo: Path, tmp_path: Path
) -> None:
    arguments = ["--region", "face", "--seed", 4, "--count", 2, "--steps", 2, "--out", tmp_path / "out"]
    outcome = call(inpaint.main, photo, "--checkpoint", tiny_checkpoint, *arguments)
    assert (outcome.status, outcome.out) == (0, f"Wrote 2 pictures to {tmp_path / 'out'}: 4.png, 5.png\n")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["4.png", "5.png"]
    before, after = (np.asarray(Image.open(path)) for path in (photo, tmp_path / "out" / "5.png"))
    changed = (before != after).any(2)
    assert changed[28, 35]
    assert not changed[:3].any()
    assert not changed[:, :5].any()
    said = read_parameters(tmp_path / "out" / "5.png")
    assert (said["action"], said["seed"], said["steps"]) == ("inpaint", 5, 2)


def test_a_fill_larger_than_the_models_pictures_is_made_by_what_enlarges_beside_it(
    call, own_checkpoint: Path, photo: Path, tmp_path: Path
) -> None:
    write_enlarging_checkpoint(own_checkpoint.with_name("larger"))
    pictures = []
    for flag, by in (("--enlarge", "larger"), ("--no-enlarge", None)):
        arguments = ["--region", "face", "--steps", 1, flag, "--out", tmp_path / flag]
        assert call(inpaint.main, photo, "--checkpoint", own_checkpoint, *arguments).status == 0
        assert read_parameters(tmp_path / flag / "0.png").get("enlarged_by") == by
        pictures.append(np.asarray(Image.open(tmp_path / flag / "0.png")))
    assert (pictures[0] != pictures[1]).any()


def test_what_is_wrong_is_said_by_the_options_that_were_typed(
    call, class_checkpoint: Path, photo: Path, tmp_path: Path
) -> None:
    common = [photo, "--checkpoint", class_checkpoint, "--region", "face", "--out", tmp_path / "out"]
    outcome = call(inpaint.main, *common, "--churn", 3)
    assert_refused(outcome, "Error: --resamples must be 1 with --churn, since both add noise between steps.")
    outcome = call(inpaint.main, *common, "--resamples", 1, "--jump", 2)
    assert_refused(outcome, "Error: --jump belongs to --resamples above 1 and must be 1 without, not '2'.")
    outcome = call(inpaint.main, *common, "--class", "ant", "--classifier-guidance", 2)
    assert_refused(outcome, "set --classifier-guidance to 0")


def test_results_of_a_second_photo_leave_those_of_the_first_and_bear_its_name(
    call, tiny_checkpoint: Path, photo: Path, tmp_path: Path
) -> None:
    def fill(picture: Path, steps: int = 1) -> str:
        arguments = ["--region", "face", "--steps", steps, "--resamples", 1, "--seed", 1, "--out", out]
        outcome = call(inpaint.main, picture, "--checkpoint", tiny_checkpoint, *arguments)
        assert outcome.status == 0
        return outcome.out

    out, other, namesake = tmp_path / "out", tmp_path / "bert.png", tmp_path / "elsewhere" / "bert.png"
    namesake.parent.mkdir()
    for number, path in enumerate((other, namesake)):
        Image.effect_noise((40, 40), 20 + number).convert("RGB").save(path)
    fill(photo)
    first = (out / "1.png").read_bytes()
    assert fill(other) == (
        f"{out / 'bert-1.png'}, since 1.png is another picture's.\nWrote 1 picture to {out}: bert-1.png\n"
    )
    fill(namesake)
    assert sorted(path.name for path in out.iterdir()) == ["1.png", "bert-1-2.png", "bert-1.png"]
    assert (out / "1.png").read_bytes() == first
    fill(photo, steps=2)  # its own it may write over
    assert len(list(out.iterdir())) == 3
    assert read_parameters(out / "1.png")["steps"] == 2


def test_the_jump_takes_effect_and_is_recorded_in_the_picture(
    call, tiny_checkpoint: Path, photo: Path, tmp_path: Path
) -> None:
    pixels = {}
    for jump in (1, 2):
        arguments = ["--region", "face", "--steps", 4, "--jump", jump, "--out", tmp_path / str(jump)]
        assert call(inpaint.main, photo, "--checkpoint", tiny_checkpoint, *arguments).status == 0
        made = tmp_path / str(jump) / "0.png"
        assert read_parameters(made)["jump"] == jump
        pixels[jump] = np.asarray(Image.open(made))
    assert (pixels[1] != pixels[2]).any()


def test_a_mask_file_of_another_scale_says_what_is_made_anew(
    call, tiny_checkpoint: Path, photo: Path, tmp_path: Path
) -> None:
    mask = np.zeros((100, 140), np.uint8)
    mask[40:60, 40:80] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    arguments = ["--mask", tmp_path / "mask.png", "--steps", 2, "--out", tmp_path / "out"]
    assert call(inpaint.main, photo, "--checkpoint", tiny_checkpoint, *arguments).status == 0
    changed = (np.asarray(Image.open(photo)) != np.asarray(Image.open(tmp_path / "out" / "0.png"))).any(2)
    rows, columns = np.nonzero(changed)
    assert (rows.min(), rows.max() + 1) == (20, 30)
    assert (columns.min(), columns.max() + 1) == (20, 40)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], ["--mask", "--region"]),
        (["--region", "face", "--mask", "m.png"], ["--mask", "--region"]),
        (["--region", "elbow"], ["'elbow'", "face"]),
        (["--mask", "missing.png"], ["missing.png"]),
        (["--region", "face", "--steps", "0"], ["steps", "'0'"]),
        (["--region", "face", "--grow", "200"], ["Widened", "200"]),
        (["--region", "face", "--steps", "4", "--jump", "4"], ["jump", "'4'"]),
    ],
)
def test_what_cannot_be_done_is_reported_in_a_sentence(
    call, tiny_checkpoint: Path, photo: Path, tmp_path: Path, arguments: list[str], words: list[str]
) -> None:
    outcome = call(inpaint.main, photo, "--checkpoint", tiny_checkpoint, "--out", tmp_path / "out", *arguments)
    assert_refused(outcome, *words)
    assert not (tmp_path / "out").exists()


def test_where_nothing_can_be_written_is_reported_before_the_work(
    call, tiny_checkpoint: Path, photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def work(*_: object) -> None:
        raise AssertionError("it was made before it was known where to put it")

    monkeypatch.setattr("ddpm_core.commands._results.last", work)
    arguments = ["--region", "face", "--checkpoint", tiny_checkpoint, "--out", photo]
    assert_refused(call(inpaint.main, photo, *arguments), f"nothing can be written into {photo}")
