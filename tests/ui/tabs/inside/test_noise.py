"""The view Noise: it shows what `inspection.noising` says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from ddpm_core.inspection.noising import OWN, levels_at, noised
from ddpm_core.inspection.subject import subject_of_seed
from ddpm_core.pipeline import LatentDiffusion
from ui.tabs.inside.draw import data_uri
from ui.tabs.inside.noise import ALSO, VIEW
from ui.tabs.inside.view import Drawing


def test_the_numbers_are_those_of_the_functions(
    draw: Callable[..., Drawing], model: LatentDiffusion, tmp_path: Path
) -> None:
    drawn, made = draw(VIEW, t=400), noised(model, subject_of_seed(model, 3), VIEW.request(seed=3, t=400))  # type: ignore[arg-type]
    assert (drawn.numbers["alpha_bar"], drawn.numbers["log_snr"]) == (made.alpha_bar, made.log_snr)
    for picture in (made.pixels, made.decoded, *made.channels):
        assert data_uri(picture) in drawn.shown
    for name, level in levels_at(model, 400).items():
        assert drawn.numbers["schedules"][name] == {"alpha_bar": level.alpha_bar, "log_snr": level.log_snr}
        if name not in (OWN, "linear"):  # which is the checkpoint's
            assert f"{ALSO.get(name, name)} <strong>{level.alpha_bar:.3g}</strong>" in drawn.shown
    assert f"linear (this checkpoint) <strong>{made.alpha_bar:.3g}</strong>" in drawn.shown
    assert f"{made.alpha_bar:.1%}" in drawn.shown
    assert Path(drawn.save(tmp_path)).name == "noise-t-400.png"
    assert Image.open(tmp_path / "noise-t-400.png").width > 3 * 128


def test_the_clean_picture_has_no_ratio_that_json_knows(draw: Callable[..., Drawing]) -> None:
    drawn = draw(VIEW, t=0)
    assert drawn.numbers["alpha_bar"] == pytest.approx(1)
    assert drawn.numbers["log_snr"] is None
    assert "∞" in drawn.shown
