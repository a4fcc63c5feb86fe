"""The table of samplers by steps: which rows there are, what is in them, and that an interrupted one goes on."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest
import torch
from PIL import Image

from benchmarks import samplers
from ddpm_core.data.load import load_pictures
from ddpm_core.diffusion.samplers import SAMPLERS
from ddpm_core.evaluation import checkpoint as measuring
from ddpm_core.evaluation.classifier import SETTINGS, trained_classifier
from ddpm_core.images.files import PictureError
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import GenerateRequest
from tests.command_lines import assert_refused
from tests.conftest import CLASSES


@pytest.fixture
def shades(tmp_path: Path) -> Path:
    """Thirty pictures of three classes, half of them held out."""
    folder = tmp_path / "shades"
    folder.mkdir()
    lines = ["file,split,class"]
    for number in range(30):
        Image.effect_noise((32, 32), 8 * number + 1).convert("RGB").save(folder / f"{number}.png")
        lines.append(f"{number}.png,{'val' if number % 2 else 'train'},{CLASSES[number % 3]}")
    (folder / "labels.csv").write_text("\n".join(lines))
    return folder


def test_more_than_a_hundred_steps_are_for_two_samplers_only() -> None:
    every = samplers.requests_of(list(SAMPLERS), [str(number) for number in samplers.STEPS])
    assert len(every) == 4 * len(SAMPLERS) + 2
    assert {(one.sampler, one.steps) for one in every if one.steps > 100} == {("ddim", 999), ("ddpm", 999)}
    assert [one.steps for one in every] == sorted(one.steps for one in every)  # what takes longest comes last


def test_rows_are_printed_and_written_and_those_there_are_not_measured_again(
    call, tiny_checkpoint: Path, shades: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "rows.json"
    command = ["--checkpoint", tiny_checkpoint, "--data", shades, "--pictures", 8, "--device", "cpu", "--json", file]
    outcome = call(samplers.main, *command, "--samplers", "ddim", "--steps", "2,1")
    assert outcome.status == 0, outcome.err
    first = json.loads(file.read_text())
    assert [(row["sampler"], row["steps"], row["pictures"]) for row in first] == [("ddim", 1, 8), ("ddim", 2, 8)]
    assert all(row["swd_ratio"] > 1 and row["seconds"] > 0 for row in first)  # noise is nowhere near
    assert first[0]["swd_ratio"] != first[1]["swd_ratio"]
    lines = outcome.out.splitlines()
    assert lines[0] == "| sampler | steps | SWD / floor | s per picture |"
    assert lines[2].startswith(f"| ddim | 1 | {first[0]['swd_ratio']:.3g} |")
    assert len(lines) == 4

    sampled = []
    measured = samplers.measured
    monkeypatch.setattr(samplers, "measured", lambda *each: sampled.append(each[1].sampler) or measured(*each))
    outcome = call(samplers.main, *command, "--samplers", "ddim,heun", "--steps", "2")
    assert outcome.status == 0, outcome.err
    assert sampled == ["heun"]
    assert json.loads(file.read_text())[:2] == first
    assert [line.split(" | ")[0] for line in outcome.out.splitlines()[2:]] == ["| ddim", "| heun"]
    assert call(samplers.main, *command[:-2], "--samplers", "ddim", "--steps", "1").status == 0
    assert sampled == ["heun", "ddim"]  # without a file, none is known


def test_an_interruption_leaves_the_rows_measured_before_it(
    call, tiny_checkpoint: Path, shades: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = samplers.measured

    def until_heun(*each):
        if each[1].sampler == "heun":
            raise OSError("interrupted.")
        return measured(*each)

    monkeypatch.setattr(samplers, "measured", until_heun)
    file = tmp_path / "rows.json"
    command = ["--checkpoint", tiny_checkpoint, "--data", shades, "--pictures", 8, "--steps", "1", "--json", file]
    outcome = call(samplers.main, *command, "--samplers", "euler,heun")
    assert outcome.status == 2
    assert "interrupted" in outcome.err
    assert [row["sampler"] for row in json.loads(file.read_text())] == ["euler"]


def test_a_checkpoint_with_classes_is_judged_by_a_classifier(
    call, class_checkpoint: Path, shades: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = SETTINGS.model_copy(update={"iterations": 3, "batch_size": 8})
    monkeypatch.setattr(measuring, "trained_classifier", partial(trained_classifier, settings=short))
    file = tmp_path / "rows.json"
    command = [
        "--checkpoint",
        class_checkpoint,
        "--data",
        shades,
        "--samplers",
        "unipc",
        "--steps",
        "1",
        "--json",
        file,
    ]
    outcome = call(samplers.main, *command, "--pictures", 8, "--device", "cpu", "--json", file)
    assert outcome.status == 0, outcome.err
    (row,) = json.loads(file.read_text())
    assert row["pictures"] == 9  # three of each class
    assert 0 <= row["class_accuracy"] <= 1
    assert row["classifier_frechet_ratio"] > 1
    assert "Fréchet" in outcome.out
    assert "FID" not in outcome.out
    assert "guidance" not in outcome.out

    warmed: list[float] = []
    warm_up = samplers.warm_up
    monkeypatch.setattr(samplers, "warm_up", lambda *each: warmed.append(each[1].guidance) or warm_up(*each))
    outcome = call(samplers.main, *command, "--pictures", 8, "--device", "cpu", "--guidance", "0,2,5")
    assert outcome.status == 0, outcome.err
    assert warmed == [0]  # as the first row that is missing
    assert outcome.out.startswith("| sampler | steps | guidance | read as asked |")
    rows = json.loads(file.read_text())
    assert [row["guidance"] for row in rows] == [2, 0, 5]  # that of 2 was there
    assert rows[0] == row
    assert len({row["classifier_frechet_ratio"] for row in rows}) == 3


def test_a_model_that_always_wants_a_class_is_warmed_up_without_guidance(class_checkpoint: Path) -> None:
    model = LatentDiffusion.load(class_checkpoint, "cpu")
    model.denoiser.null_class = None
    samplers.warm_up(model, GenerateRequest(guidance=1, steps=50, sampler="euler"))
    with pytest.raises(ValueError, match="set guidance to 1"):
        samplers.warm_up(model, GenerateRequest(guidance=2))


def test_what_is_held_out_is_compared_in_sets_with_as_many_of_each_kind(shades: Path) -> None:
    files = [shades / f"{number}.png" for number in range(12)]
    kinds = [files[:7], files[7:]]
    sets = samplers.held_out_sets(kinds, 8, 2)
    pixels = [[load_pictures([file], 8).pixels[0] for file in kind] for kind in kinds]
    assert [len(one) for one in sets] == [4, 4]  # the smaller kind has two pairs
    for one in sets:
        assert all(any(torch.equal(picture, other) for other in pixels[0]) for picture in one.pixels[:2])
        assert all(any(torch.equal(picture, other) for other in pixels[1]) for picture in one.pixels[2:])
    with pytest.raises(PictureError, match="5 pictures of a class"):
        samplers.held_out_sets(kinds, 8, 6)


def test_held_out_files_that_are_no_pictures_do_not_count(shades: Path) -> None:
    files = [shades / f"{number}.png" for number in range(6)]
    files[4].write_bytes(files[4].read_bytes()[:40])
    assert [len(one) for one in samplers.held_out_sets([files[:3], files[3:]], 8, 2)] == [4]
    with pytest.raises(PictureError, match="only 2 pictures of a class are held out and can be used"):
        samplers.held_out_sets([files[:3], files[3:]], 8, 3)
    with pytest.raises(PictureError, match="only 0 pictures of a class"):
        samplers.held_out_sets([files[:3], []], 8, 1)


def test_what_cannot_be_measured_is_refused_in_one_sentence(
    call, tiny_checkpoint: Path, class_checkpoint: Path, shades: Path, tmp_path: Path
) -> None:
    command = ["--checkpoint", tiny_checkpoint, "--data", shades, "--device", "cpu"]
    assert_refused(call(samplers.main, *command, "--samplers", "ddim,guess"), "guess", "choose from")
    assert_refused(call(samplers.main, *command, "--steps", "10,many"), "many")
    assert_refused(call(samplers.main, *command, "--steps", "1000"), "steps")
    with_classes = ["--checkpoint", class_checkpoint, *command[2:]]
    assert_refused(call(samplers.main, *with_classes, "--guidance", "1,much"), "guidance", "much")
    assert_refused(call(samplers.main, *with_classes, "--guidance", "99"), "guidance", "20")
    assert_refused(call(samplers.main, *command, "--samplers", "heun", "--steps", "999"), "ddim and ddpm")
    assert_refused(call(samplers.main, *command, "--steps", "1", "--pictures", 16), "15", "held out")
    (tmp_path / "other.json").write_text('[{"name": "speed"}]')
    assert_refused(call(samplers.main, *command, "--json", tmp_path / "other.json"), "other.json")
    assert json.loads((tmp_path / "other.json").read_text()) == [{"name": "speed"}]
