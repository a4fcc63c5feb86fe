"""What a run knows and writes of the pictures it was given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from ddpm_core.checkpoints import native as checkpoint
from ddpm_core.commands import train
from ddpm_core.images.files import open_picture
from ddpm_core.training.pictures import Pictures, found_in_data, read_pictures
from ddpm_core.training.settings import TrainRequest

pytestmark = pytest.mark.integration

TINY = ["--preset", "tiny", "--codec", "pixel", "--size", 16, "--batch-size", 2, "--precision", "fp32"]
QUICK = [*TINY, "--device", "cpu", "--iterations", 2, "--sample-every", 2, "--save-every", 1]


def fill(folder: Path, count: int = 6, first: int = 0) -> Path:
    folder.mkdir(exist_ok=True)
    for number in range(count):
        Image.new("RGB", (16, 16), (first + 40 * number, 90, 200 - 20 * number)).save(folder / f"{number}.png")
    return folder


def read(data: Path, **settings: Any) -> Pictures:
    return read_pictures(TrainRequest.model_validate({"data": data, "out": "nowhere", "size": 16} | settings))


def test_the_basis_tells_other_pictures_and_other_classes_under_the_same_names(tmp_path: Path) -> None:
    fill(tmp_path / "in")
    before = read(tmp_path / "in").basis
    assert read(tmp_path / "in").basis == before
    assert before["pictures"] == "6"
    assert "classes" not in before
    table = tmp_path / "in" / "labels.csv"
    labels = "".join(f"{number}.png,{'ab'[number % 2]}\n" for number in range(6))
    table.write_text("file,class\n" + labels)
    labelled = read(tmp_path / "in").basis
    assert labelled["pixels"] == before["pixels"]
    table.write_text("file,class\n" + labels.replace("0.png,a", "0.png,b"))
    assert read(tmp_path / "in").basis["classes"] != labelled["classes"]
    fill(tmp_path / "in", count=1, first=1)  # one pixel value of one picture
    assert read(tmp_path / "in").basis["pixels"] != before["pixels"]


def test_a_run_holds_out_what_it_is_asked_to(tmp_path: Path) -> None:
    pictures = read(fill(tmp_path / "in"), held_out=0.5)
    assert (len(pictures.train), len(pictures.held_out or [])) == (3, 3)


def test_a_run_says_and_keeps_what_was_found(call, tmp_path: Path) -> None:
    data, out = fill(tmp_path / "in"), tmp_path / "mine"
    for name in ("a.xyz", "b.xyz", "broken.png"):
        (data / name).write_bytes(b"no picture")
    outcome = call(train.main, "--data", data, "--out", out, *QUICK)
    assert outcome.status == 0, outcome.err
    line = "In the data and not used: 2 .xyz."
    assert line in outcome.out
    assert found_in_data(out / "training") == [
        "6 pictures to train on, 0 held out.",
        line,
        "1 files cannot be used; training/skipped.txt says why.",
    ]
    assert f"\n\n{line}\n\n" in (out / checkpoint.CARD).read_text(encoding="utf-8")
    assert found_in_data(tmp_path) == []


@pytest.mark.parametrize("where", ["photos/model", "photos"])
def test_a_run_inside_its_data_never_learns_from_its_own_grids(call, tmp_path: Path, where: str) -> None:
    data, out = fill(tmp_path / "photos"), tmp_path / where
    assert call(train.main, "--data", data, "--out", out, *QUICK).status == 0
    assert list((out / "training").glob("denoiser-*.png"))
    again = call(train.main, "--data", data, "--out", out, *QUICK, "--iterations", 4, "--resume")
    assert again.status == 0, again.err
    assert "6 pictures to train on, 0 held out." in again.out
    assert "from here on" not in again.out.replace("--denoiser-iterations was 2 and is 4 from here on", "")


def test_resuming_with_other_pictures_under_the_same_names_is_reported(call, tmp_path: Path) -> None:
    data, out = fill(tmp_path / "in"), tmp_path / "mine"
    assert call(train.main, "--data", data, "--out", out, *QUICK).status == 0
    more = ["--iterations", 4, "--resume"]
    sentence = "The pictures are as many as when the run was saved, but other ones"
    assert sentence not in call(train.main, "--data", data, "--out", out, *QUICK, *more).out
    assert open_picture(data / "0.png").getpixel((0, 0)) == (0, 90, 200)
    fill(data, count=1, first=9)
    more[1] = 6
    assert sentence in call(train.main, "--data", data, "--out", out, *QUICK, *more).out


def test_pictures_of_one_colour_can_be_learned(call, tmp_path: Path) -> None:
    data = tmp_path / "in"
    data.mkdir()
    for number in range(6):
        Image.new("RGB", (16, 16), (0, 255, 30)).save(data / f"{number}.png")
    outcome = call(train.main, "--data", data, "--out", tmp_path / "mine", *QUICK)
    assert outcome.status == 0, outcome.err
    assert "skipped" not in outcome.out + outcome.err


def test_a_run_of_which_no_step_could_be_taken_fails_and_leaves_no_model(
    call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ddpm_core.training.stages.denoiser import DenoiserStage

    loss = DenoiserStage.loss

    def spoilt(self: DenoiserStage, *arguments: Any) -> Any:
        return {name: term * float("nan") for name, term in loss(self, *arguments).items()}

    monkeypatch.setattr(DenoiserStage, "loss", spoilt)
    outcome = call(train.main, "--data", fill(tmp_path / "in"), "--out", tmp_path / "mine", *QUICK)
    assert outcome.status == 2
    assert "None of the 2 steps gave numbers that are finite, so nothing was learned" in outcome.err
    assert not (tmp_path / "mine" / checkpoint.DENOISER_WEIGHTS).exists()
