"""Endpoints that answer with pictures: one way for all, so what one says and refuses, all do."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ddpm_core.checkpoints.atomic import CheckpointError
from ddpm_core.images.files import read_parameters
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import (
    AnagramRequest,
    BetweenRequest,
    EditRequest,
    EnlargeRequest,
    GenerateRequest,
    HybridRequest,
    InpaintRequest,
)
from tests.conftest import write_enlarging_checkpoint
from ui.api.pictures import inputs_of, made_and_saved
from ui.errors import Problem
from ui.files import cached
from ui.models import Shelf
from ui.page import build

ACTIONS = [GenerateRequest, InpaintRequest, EditRequest, EnlargeRequest, BetweenRequest, AnagramRequest, HybridRequest]


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Any]:
    """A picture and a mask."""
    Image.new("RGB", (40, 36), (90, 60, 30)).save(tmp_path / "photo.png")
    mask = Image.new("L", (40, 36))
    mask.paste(255, (10, 10, 30, 26))
    mask.save(tmp_path / "mask.png")
    return {"picture": str(tmp_path / "photo.png"), "mask": str(tmp_path / "mask.png"), "checkpoint": ""}


@pytest.mark.parametrize("kind", ACTIONS)
def test_an_action_is_what_the_model_calls_it(kind: type[GenerateRequest]) -> None:
    assert callable(getattr(LatentDiffusion, kind.action))


@pytest.mark.parametrize(
    ("kind", "prefix", "size"),
    [(GenerateRequest, "", 32), (EditRequest, "edited-photo-", 32), (InpaintRequest, "inpainted-photo-", 40)],
)
def test_what_is_made_is_saved_with_what_it_is(
    shelf: Shelf, files: dict[str, Any], tmp_path: Path, kind: type[GenerateRequest], prefix: str, size: int
) -> None:
    _, (saved,), (made,) = made_and_saved(shelf, kind, files | {"seed": 3, "steps": 2}, tmp_path)
    assert Path(saved).name.startswith(prefix)
    assert read_parameters(saved)["action"] == kind.action
    assert (made.width, Image.open(saved).width) == (32, size)


def test_an_enlargement_is_made_by_a_checkpoint_that_was_trained_to(
    own_checkpoint: Path, files: dict[str, Any], tmp_path: Path
) -> None:
    shelf, given = Shelf.around(own_checkpoint, "cpu"), files | {"seed": 3, "steps": 1, "count": 2}
    with pytest.raises(CheckpointError, match="No checkpoint here enlarges"):
        made_and_saved(shelf, EnlargeRequest, given, tmp_path)
    write_enlarging_checkpoint(own_checkpoint.with_name("larger"))
    request, saved, _ = made_and_saved(shelf, EnlargeRequest, given, tmp_path)
    assert request.model_calls == 2
    assert [Path(path).name for path in saved] == [f"enlarged-photo-larger-seed-{seed}.png" for seed in (3, 4)]
    assert all(Image.open(path).size == (80, 72) for path in saved)
    assert read_parameters(saved[1])["seed"] == 4


def test_a_fill_larger_than_the_models_pictures_is_made_by_what_enlarges_and_says_so(
    own_checkpoint: Path, files: dict[str, Any], tmp_path: Path
) -> None:
    write_enlarging_checkpoint(own_checkpoint.with_name("larger"))
    shelf, given = Shelf.around(own_checkpoint, "cpu"), files | {"seed": 3, "steps": 1, "count": 2}
    pictures: dict[bool, list[np.ndarray]] = {}
    for enlarge in (True, False):
        _, saved, _ = made_and_saved(shelf, InpaintRequest, given | {"enlarge": enlarge}, tmp_path)
        assert [read_parameters(path).get("enlarged_by") for path in saved] == ["larger" if enlarge else None] * 2
        pictures[enlarge] = [np.asarray(Image.open(path)).copy() for path in saved]
    painted = np.asarray(Image.open(files["mask"])) > 0
    for finer, plain in zip(*(pictures[enlarge] for enlarge in (True, False)), strict=True):
        assert (finer[~painted] == (90, 60, 30)).all()
        assert (finer != plain)[painted].any()
    _, (alone,), _ = made_and_saved(shelf, InpaintRequest, given | {"seed": 4, "count": 1}, tmp_path)
    apart = np.abs(np.asarray(Image.open(alone)).astype(int) - pictures[True][1])
    assert apart.max() <= 1  # the same fill, whatever the batch

    Image.open(files["picture"]).crop((5, 5, 37, 35)).save(tmp_path / "small.png")  # 32 pixels, as the model's
    Image.open(files["mask"]).crop((5, 5, 37, 35)).save(tmp_path / "mask.png")
    small = given | {"picture": str(tmp_path / "small.png")}
    _, saved, _ = made_and_saved(shelf, InpaintRequest, small, tmp_path)
    assert "enlarged_by" not in read_parameters(saved[0])


def test_an_enlargement_of_many_windows_is_reckoned_and_bounded_by_all_of_them(
    own_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_enlarging_checkpoint(own_checkpoint.with_name("larger"))
    shelf, outside = Shelf.around(own_checkpoint, "cpu"), tmp_path / "outside.png"
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "cache"))
    Image.new("RGB", (64, 64)).save(outside)
    upload = cached(Image.open(outside))
    handler = next(fn.fn for fn in build(shelf).fns.values() if fn.api_name == "enlarge")
    usual = {name: each.default for name, each in inspect.signature(handler).parameters.items()}  # type: ignore[arg-type]
    values = {"seed": 3, "steps": 100, "count": 2, "checkpoint": ""}
    for path, calls in ((upload, 25 * 200), (str(outside), 200)):  # of what the page does not hand out nothing is read
        given = usual | values | {"picture": {"path": path}}
        assert handler.expects(*given.values()) == calls  # type: ignore[union-attr]
    with pytest.raises(Problem, match="would take 20,000 calls"):
        made_and_saved(shelf, EnlargeRequest, values | {"picture": upload, "count": 8}, tmp_path)


@pytest.mark.parametrize(
    ("kind", "missing", "words"),
    [
        (InpaintRequest, "mask", "a picture and a mask"),
        (EditRequest, "picture", "A picture is needed"),
        (EnlargeRequest, "picture", "A picture is needed"),
    ],
)
def test_a_file_that_is_missing_is_asked_for(
    files: dict[str, Any], kind: type[GenerateRequest], missing: str, words: str
) -> None:
    with pytest.raises(Problem, match=words):
        inputs_of(kind(), files | {missing: None})
