"""What people can tell apart: pairs, answers that are kept, and how sure their share is."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from ddpm_core.checkpoints.atomic import UnwritableError
from ddpm_core.evaluation.which_is_real import (
    Answer,
    answers_in,
    made_one,
    real_one,
    real_pictures,
    record,
    told_apart,
)
from ddpm_core.images.files import PictureError
from ddpm_core.pipeline import LatentDiffusion

ANSWER = Answer("faces", 3, None, "a.png", True)


def test_a_pair_is_a_picture_of_the_folder_as_the_model_sees_it_and_a_request_at_random(
    picture_folder: Path, class_model: LatentDiffusion
) -> None:
    draw = random.Random(0)
    picture, name = real_one(class_model, real_pictures(picture_folder), draw)
    assert picture.size == (class_model.size, class_model.size)
    assert (picture_folder / name).exists()
    requests = [made_one(class_model, draw) for _ in range(8)]
    assert len({request.seed for request in requests}) == 8
    assert {request.label for request in requests} <= set(class_model.classes)


def test_a_folder_of_what_is_no_picture_is_refused(tmp_path: Path, class_model: LatentDiffusion) -> None:
    (tmp_path / "broken.png").write_bytes(b"no picture")
    with pytest.raises(PictureError):
        real_one(class_model, real_pictures(tmp_path), random.Random(0))


def test_answers_are_added_to_a_file_and_what_is_none_is_passed_over(tmp_path: Path) -> None:
    file = tmp_path / "results" / "answers.jsonl"
    assert answers_in(file) == []
    record(file, ANSWER)
    with open(file, "a") as lines:
        lines.write("half an ans\n[]\n")
    record(file, ANSWER)
    assert [answer["right"] for answer in answers_in(file)] == [True, True]
    with pytest.raises(UnwritableError, match="cannot be written to"):
        record(tmp_path, ANSWER)


def test_the_share_has_an_interval_that_narrows_and_is_of_one_checkpoint() -> None:
    def answers(right: int, count: int) -> list[dict]:
        return [{"checkpoint": "faces", "right": number < right} for number in range(count)]

    assert told_apart(answers(5, 10), "digits") is None
    assert told_apart(answers(5, 10), "faces") == pytest.approx((5, 10, 0.2366, 0.7634), abs=1e-4)  # Wilson's
    few, many = told_apart(answers(8, 10), "faces"), told_apart(answers(80, 100), "faces")
    assert few is not None
    assert many is not None
    assert few[2] < many[2] < 0.8 < many[3] < few[3]
