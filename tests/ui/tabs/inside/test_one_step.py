"""The view One step: it shows what `inspection.one_step` says."""

from __future__ import annotations

from collections.abc import Callable

from ddpm_core.inspection.one_step import OneStepRequest, ladder, three_ways
from ddpm_core.inspection.subject import subject_of_seed
from ddpm_core.pipeline import LatentDiffusion
from ui.tabs.inside.draw import data_uri
from ui.tabs.inside.one_step import VIEW
from ui.tabs.inside.view import Drawing


def test_the_numbers_are_those_of_the_functions(draw: Callable[..., Drawing], model: LatentDiffusion) -> None:
    drawn = draw(VIEW, t=300, steps=4)
    made = three_ways(model, subject_of_seed(model, 3), OneStepRequest(seed=3, t=300, steps=4))
    for name in ("noisy", "blurred", "predicted", "iterated"):
        estimate = getattr(made, name)
        assert drawn.numbers[f"psnr_{name}"] == estimate.psnr
        assert f"<strong>{estimate.psnr:.1f} dB</strong>" in drawn.shown
        assert data_uri(estimate.picture) in drawn.shown
    assert f"{made.calls} calls" in drawn.shown
    assert "ladder" not in drawn.numbers


def test_the_ladder_is_shown_when_it_is_asked_for(draw: Callable[..., Drawing], model: LatentDiffusion) -> None:
    drawn, rungs = draw(VIEW, ladder=True, sampler="ddim"), ladder(model, 3, "ddim")
    assert drawn.numbers["ladder"] == {str(rung.steps): rung.psnr for rung in rungs[:-1]} | {"40": None}
    assert all(data_uri(rung.picture) in drawn.shown for rung in rungs)
