"""Finished pictures as files a visitor can keep."""

from __future__ import annotations

from copy import copy
from pathlib import Path

from PIL import Image

from ddpm_core.images.files import read_parameters, save_png
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import EditRequest, GenerateRequest
from ui.results import Results, save
from ui.run_inputs import RunInputs

TEAL = Image.new("RGB", (32, 32), "teal")


def test_every_picture_of_a_batch_is_a_file_that_says_how_it_alone_was_made(
    tiny_model: LatentDiffusion, tmp_path: Path
) -> None:
    paths = save([TEAL, TEAL], GenerateRequest(seed=5, count=2), tiny_model, tmp_path)
    assert len({Path(path).name for path in paths}) == 2
    assert [(read_parameters(path)["seed"], read_parameters(path)["count"]) for path in paths] == [(5, 1), (6, 1)]


def test_pictures_of_a_model_of_the_hub_are_files_too(tiny_model: LatentDiffusion, tmp_path: Path) -> None:
    model = copy(tiny_model)
    model.name = "someone/tiny@refs/pr/1"
    (path,) = save([TEAL], GenerateRequest(seed=5), model, tmp_path)
    assert Path(path).parent == tmp_path
    assert read_parameters(path)["checkpoint"] == "someone/tiny@refs/pr/1"


def test_a_picture_painted_on_one_made_here_says_how_that_was_made_and_bears_its_name(
    tiny_model: LatentDiffusion, tmp_path: Path
) -> None:
    save_png(TEAL, tmp_path / "mine.png", {"action": "generate", "seed": 3})
    TEAL.save(tmp_path / "photo.png")
    for name, past in (("mine", {"action": "generate", "seed": 3}), ("photo", None)):
        (path,) = save([TEAL], EditRequest(seed=9), tiny_model, tmp_path, "edited-", str(tmp_path / f"{name}.png"))
        assert Path(path).name.startswith(f"edited-{name}-tiny-")
        assert read_parameters(path).get("continued_from") == past


def test_files_of_an_edit_are_there_as_long_as_somebody_holds_it(tiny_model: LatentDiffusion) -> None:
    results = Results.edited(TEAL, [TEAL, TEAL], RunInputs(EditRequest(seed=9, count=2)), tiny_model)
    assert results.pair(1) == (results.before, results.files[1])
    files = [Path(path) for path in (results.before, *results.files)]
    assert all(path.is_file() for path in files)
    results.folder.cleanup()
    assert not any(path.exists() for path in files)
