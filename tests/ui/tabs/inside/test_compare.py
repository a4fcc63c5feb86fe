"""The view Compare: it shows what `inspection.compare` made."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ddpm_core.checkpoints.atomic import CheckpointError
from ddpm_core.diffusion.samplers import last
from ddpm_core.errors import UserError
from ddpm_core.inspection.compare import ComparisonRequest, numbers
from ddpm_core.inspection.subject import subject_of_seed
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import GenerateRequest
from ui.tabs.inside.compare import VIEW, made_before, sketches
from ui.tabs.inside.draw import data_uri
from ui.tabs.inside.view import Drawing

GRID = {"across": "steps", "across_values": "1,2", "down": "sampler", "down_values": "ddim,heun"}


def test_what_is_shown_is_what_was_made(draw: Callable[..., Drawing], model: LatentDiffusion, tmp_path: Path) -> None:
    drawn = draw(VIEW, **GRID)
    made = made_before(model, subject_of_seed(model, 3), ComparisonRequest(seed=3, **GRID))  # type: ignore[arg-type]
    assert [one["calls"] for one in drawn.numbers["pictures"]] == [1, 2, 1, 3]
    assert [one["seconds"] for one in drawn.numbers["pictures"]] == [round(one.seconds, 4) for one in made]
    for one in made:
        assert one.picture is not None
        assert data_uri(one.picture) in drawn.shown
        assert numbers(one) in drawn.shown
    alone = last(model.generate(GenerateRequest(seed=3, steps=2, sampler="ddim"))).latent
    assert np.array_equal(np.asarray(made[1].picture), np.asarray(model.pictures(alone)[0]))
    assert Image.open(drawn.save(tmp_path)).format == "PNG"


def test_what_is_given_is_not_mistaken_for_what_is_not(
    draw: Callable[..., Drawing], model: LatentDiffusion, monkeypatch: pytest.MonkeyPatch
) -> None:
    grid = {"across": "seed", "across_values": "1", "down": "none"}
    monkeypatch.setattr(model, "defaults", {"generate": {"steps": 3}})
    own, given = draw(VIEW, **grid), draw(VIEW, **grid, steps=20)
    assert [one.numbers["pictures"][0]["calls"] for one in (own, given)] == [3, 20]


def test_what_is_made_already_is_shown_on_the_way(model: LatentDiffusion) -> None:
    request = ComparisonRequest(seed=4, **GRID)  # type: ignore[arg-type]
    subject = subject_of_seed(model, 4)
    shown = [sketch() for sketch in sketches(model, subject, request)]
    assert "Making 4 pictures" in shown[0]
    counts = [one.count("<img") for one in shown]
    assert counts == sorted(counts)
    assert set(counts) == {0, 1, 2, 3, 4}
    assert "3 of them done" in shown[counts.index(3)]
    assert [sketch() for sketch in sketches(model, subject, request)] == []  # remembered


def test_fillings_of_the_picture_are_compared_too(draw: Callable[..., Drawing]) -> None:
    drawn = draw(VIEW, across="clamp", down="none", region="eyes", steps=2)
    assert [one["clamp"] for one in drawn.numbers["pictures"]] == ["clean", "noised"]


def test_a_setting_without_effect_says_why_in_its_place(draw: Callable[..., Drawing]) -> None:
    drawn = draw(VIEW, across="eta", across_values="0,1", down="sampler", down_values="euler", steps=1)
    assert "belongs to the sampler ddim" in drawn.numbers["pictures"][1]["note"]
    assert "belongs to the sampler ddim" in drawn.shown


def test_checkpoints_beside_it_are_compared_and_none_elsewhere(draw: Callable[..., Drawing]) -> None:
    drawn = draw(VIEW, across="checkpoint", across_values="tiny,../tiny", down="none", steps=1)
    first, second = drawn.numbers["pictures"]
    assert first["calls"] == 1
    assert "no checkpoint" in second["note"]
    with pytest.raises(UserError, match="class"):
        draw(VIEW, across="guidance", down="none")
    assert issubclass(CheckpointError, UserError)
