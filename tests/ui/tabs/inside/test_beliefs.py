"""The view What it believes: it shows what `inspection.beliefs` says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PIL import Image

from ddpm_core.checkpoints import native
from ddpm_core.inspection.beliefs import BANDS, OWN, beliefs
from ddpm_core.pipeline import LatentDiffusion
from tests.shipped_pictures import CHECKPOINTS
from ui.tabs.inside.beliefs import LONGEST, VIEW
from ui.tabs.inside.draw import data_uri
from ui.tabs.inside.view import Drawing


def test_the_numbers_are_those_of_the_functions(
    draw: Callable[..., Drawing], model: LatentDiffusion, tmp_path: Path
) -> None:
    drawn, run = draw(VIEW, steps=4, at=2), beliefs(model, 3, 4, OWN)
    assert data_uri(run[1].picture) in drawn.shown
    assert data_uri(run[1].change) in drawn.shown
    assert f"step 2 of 4: what it believes in state {run[1].t}" in drawn.shown
    assert drawn.numbers["spectrum"] == run[1].spectrum
    for band in BANDS:
        assert drawn.numbers["agreement"][band] == [one.agreement[band] for one in run]
        assert f"<strong>{run[1].agreement[band]:.0%}</strong>" in drawn.shown
    with Image.open(drawn.save(tmp_path)) as gif:
        assert gif.n_frames == 4  # type: ignore[attr-defined]
    assert draw(VIEW, steps=4, at=30).numbers["at"] == 4  # a run has no more steps than it has
    assert "the picture of seed 3" not in drawn.shown
    assert "where it ends: the picture of seed 3" in draw(VIEW).shown


def test_the_slider_goes_to_the_end_of_every_shipped_checkpoints_run() -> None:
    folders = [folder for folder in CHECKPOINTS.iterdir() if (folder / native.CONFIG).is_file()]
    own = [native.read_config(folder).defaults.get("generate", {}).get("steps", 0) for folder in folders]
    assert max(own) == LONGEST
