"""The view Points: it shows what `inspection.points` says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import gradio as gr
import pytest
from PIL import Image

from ddpm_core.inspection.points import PointsRequest, flight, step_ladder
from ddpm_core.pipeline import LatentDiffusion
from ui.errors import Problem
from ui.tabs.inside.points import SHOWN, TEMPLATE, VIEW, stage
from ui.tabs.inside.view import Drawing
from ui.theme import STATIC


def test_the_numbers_are_those_of_the_functions(
    draw: Callable[..., Drawing], model: LatentDiffusion, tmp_path: Path
) -> None:
    asked = {"steps": 4, "count": 30}
    drawn, made = draw(VIEW, **asked), flight(model, PointsRequest(**asked))  # type: ignore[arg-type]
    rungs = step_ladder(model, PointsRequest(**asked))  # type: ignore[arg-type]
    for name in ("points", "labels", "ways", "arrows", "states"):
        assert drawn.shown[name] == getattr(made, name)
    assert f"{made.distance:.3f} from the nearest" in drawn.shown["charts"]
    assert (drawn.numbers["distance"], drawn.numbers["ends"]) == (made.distance, made.ways[-1])
    assert drawn.numbers["distance_by_steps"] == {str(rung.steps): rung.nearest for rung in rungs}
    assert drawn.numbers["distance_from_finest_by_steps"] == {str(rung.steps): rung.finest for rung in rungs}
    for rung in rungs:
        ends = "".join(f"M{x:g} {-y:g}h0" for x, y in rung.ends)
        assert (ends in drawn.shown["charts"]) == (rung.steps in SHOWN)
    with Image.open(drawn.save(tmp_path)) as gif:
        assert gif.n_frames == 5  # type: ignore[attr-defined]
    assert draw(VIEW, **asked, sampler="ddpm").shown["charts"].count("<polyline") == 1


def test_one_can_draw_a_shape(draw: Callable[..., Drawing], tmp_path: Path) -> None:
    empty = draw(VIEW, shape="drawn")
    assert empty.shown["can_draw"]
    assert "Draw on the field" in empty.shown["charts"]
    with pytest.raises(Problem, match="nothing drawn yet"):
        empty.save(tmp_path)
    drawn = draw(VIEW, shape="drawn", drawn="[[0, 0], [1, 1]]", count=5)
    assert drawn.shown["points"] == drawn.shown["drawn"] == [[0, 0], [1, 1]]


def test_the_script_finds_what_the_template_has() -> None:
    script = (STATIC / "points.js").read_text(encoding="utf-8")
    for part in ("canvas", 'class="play"', 'name="at"', 'name="trails"', 'name="arrows"', "output", "points-charts"):
        assert part in TEMPLATE
        assert part.split('"')[1 if '"' in part else 0] in script
    with gr.Blocks():
        assert stage("x").js_on_load == script
