"""What is measured of a checkpoint depends on what it knows and on what it was trained on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ddpm_core.checkpoints.native import CONFIG
from ddpm_core.data.load import find_pictures
from ddpm_core.evaluation import checkpoint as measuring
from ddpm_core.evaluation.measures import MEANING
from ddpm_core.pipeline import LatentDiffusion


def test_a_denoiser_is_measured_on_the_part_of_the_data_that_it_was_trained_on(
    own_checkpoint: Path, tmp_path: Path
) -> None:
    config = own_checkpoint / CONFIG
    config.write_text(json.dumps(json.loads(config.read_text()) | {"training": {"denoiser": {"data": "synthetic"}}}))
    assert measuring.data_of_denoiser(own_checkpoint, tmp_path) == tmp_path
    (tmp_path / "synthetic").mkdir()
    assert measuring.data_of_denoiser(own_checkpoint, tmp_path) == tmp_path / "synthetic"


def test_what_the_run_learned_is_not_what_it_is_measured_on(own_checkpoint: Path) -> None:
    config = own_checkpoint / CONFIG
    runs = {"vae": {}, "denoiser": {"held_out": 0.2}}
    config.write_text(json.dumps(json.loads(config.read_text()) | {"training": runs}))
    assert measuring.held_out_by(own_checkpoint, "denoiser") == 0.2
    assert measuring.held_out_by(own_checkpoint, "vae") == 0.05  # of versions in which it was no setting


def measured(samples: measuring.Samples) -> measuring.Measures:
    return {name: value for measure in samples.steps().values() for name, value in measure().items()}


@pytest.mark.parametrize("framing", ["any", "face"])
def test_eyes_are_looked_for_where_faces_are_known(
    tiny_checkpoint: Path, picture_folder: Path, framing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, files, asked = LatentDiffusion.load(tiny_checkpoint, "cpu"), find_pictures(picture_folder), []
    model.framing = framing  # type: ignore[assignment]
    monkeypatch.setattr(measuring, "eyes_found", lambda pictures: asked.append(len(pictures)) or len(asked) / 4)
    measures = measured(measuring.Samples(model, files, 3))
    names = {"eyes_found", "eyes_found_floor"}
    assert names <= MEANING.keys()
    if framing == "any":
        assert (asked, names & measures.keys()) == ([], set())
    else:
        assert asked == [3, len(files["val"])]
        assert (measures["eyes_found"], measures["eyes_found_floor"]) == (0.25, 0.5)


def test_without_held_out_pictures_eyes_are_not_compared(tiny_checkpoint: Path, picture_folder: Path) -> None:
    model, files = LatentDiffusion.load(tiny_checkpoint, "cpu"), find_pictures(picture_folder)
    model.framing = "face"
    measures = measured(measuring.Samples(model, files | {"val": []}, 2))
    assert measures == {"samples": 2, **dict.fromkeys(measures.keys() - {"samples"})}
    assert {"eyes_found", "eyes_found_floor", "swd", "memorised_share", "features"} <= measures.keys() <= MEANING.keys()


def test_the_autoencoder_is_measured_on_some_of_very_many(
    tiny_checkpoint: Path, picture_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, files = LatentDiffusion.load(tiny_checkpoint, "cpu"), find_pictures(picture_folder)
    files |= {"val": files["train"][:7]}
    assert measuring.measure_codec(model, files)["pictures"] == 7
    monkeypatch.setattr(measuring, "MOST", 4)
    assert measuring.measure_codec(model, files)["pictures"] == 4
