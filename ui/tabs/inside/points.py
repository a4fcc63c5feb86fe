"""The view Points: points fly from noise to a shape, by an exact predictor and the samplers of pictures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import gradio as gr

from ddpm_core.diffusion.diffuser import Diffuser
from ddpm_core.inspection.points import (
    EDGE,
    FINEST,
    PointsRequest,
    exact_predictor,
    flight,
    held_coordinate,
    point_predictor,
    step_ladder,
)
from ddpm_core.inspection.points_picture import flight_frames
from ddpm_core.inspection.subject import Subject
from ddpm_core.pipeline import LatentDiffusion
from ui.errors import Problem
from ui.results import animate
from ui.tabs.inside.draw import Line, chart, charts, note
from ui.tabs.inside.grids import points_over, side_by_side
from ui.tabs.inside.view import WAITING, Drawing, View, choice, sampler_menu, slider, unseen
from ui.theme import STATIC

FORMULA = r"""
$$\hat x_0(z, t) = \sum_i w_i\, x_i, \quad w = \mathrm{softmax}_i
\left(-\frac{\lVert z - \sqrt{\bar\alpha_t}\, x_i \rVert^2}{2 (1 - \bar\alpha_t)}\right), \qquad
\nabla_z \log p_t(z) = -\frac{\epsilon(z, t)}{\sqrt{1 - \bar\alpha_t}}$$

The exact denoiser of a finite set: Karras et al. 2022,
[Elucidating the Design Space of Diffusion-Based Generative Models](https://arxiv.org/abs/2206.00364), equation 57. The
score: Song et al. 2021, [Score-Based Generative Modeling](https://arxiv.org/abs/2011.13456), section 3.
"""
SHOWN = (1, 5, 10, 20)  # steps whose ends are drawn small, beside one another
TEMPLATE = """
<div class="points">
  <div class="points-play">
    <canvas width="720" height="720" role="img"
      aria-label="Points flying from noise to a shape; the line below says how far they are."></canvas>
    <div class="points-bar">
      <button type="button" class="play">Play</button>
      <input type="range" name="at" min="0" max="1" step="0.05" value="0" aria-label="From noise to the shape">
      <label><input type="checkbox" name="trails" checked> ways</label>
      <label><input type="checkbox" name="arrows"> score</label>
    </div>
    <output></output>
  </div>
  <div class="points-charts"></div>
</div>
"""


def stage(elem_id: str) -> gr.HTML:
    """A canvas on which points are played."""
    script = (STATIC / "points.js").read_text(encoding="utf-8")
    return gr.HTML(
        message(WAITING), html_template=TEMPLATE, js_on_load=script, elem_id=elem_id, elem_classes="inside-stage",
        apply_default_css=False,
    )  # fmt: skip


def draw(model: LatentDiffusion, subject: Subject | None, request: PointsRequest) -> Drawing:
    """The flight, and what the number of steps does to where it ends."""
    can_draw = request.shape == "drawn"
    if can_draw and not request.drawn:
        return nothing_drawn()
    made, rungs = flight(model, request), step_ladder(model, request)
    lines = [Line([(rung.steps, rung.nearest) for rung in rungs], "from the nearest point of the shape")]
    if rungs[0].finest is not None:
        exact = [(rung.steps, rung.finest) for rung in rungs if rung.finest is not None]
        lines.insert(0, Line(exact, f"from where {FINEST} steps end"))
    most = max(value for line in lines for _, value in line.points)
    at = min(request.steps, 50)
    said = chart("How far the ends are off, by number of steps", lines, "steps", "distance", at, (0, most))
    numbers: dict[str, Any] = {
        "states": made.states, "ends": made.ways[-1], "points": made.points, "distance": made.distance,
        "distance_by_steps": {str(rung.steps): rung.nearest for rung in rungs},
        "distance_from_finest_by_steps": {str(rung.steps): rung.finest for rung in rungs},
    }  # fmt: skip
    shown = {
        "points": made.points, "labels": made.labels, "ways": made.ways, "arrows": made.arrows, "states": made.states,
        "drawn": json.loads(request.drawn) if can_draw else [], "can_draw": can_draw,
        "charts": side_by_side(
            *(
                points_over(made.points, rung.ends, EDGE, f"{rung.steps} step{'s' * (rung.steps > 1)}", rung.steps)
                for rung in rungs
                if rung.steps in SHOWN
            ),
            small=True,
        )
        + charts(said)
        + note(f"In {request.steps} steps the ends are {made.distance:.3f} from the nearest point, on average."),
    }  # fmt: skip
    name = f"points-{request.shape}-{request.sampler}-{request.steps}"
    return Drawing(shown, numbers, lambda folder: animate(flight_frames(made), folder, name))


def nothing_drawn() -> Drawing:
    """A field to draw on, of which nothing can be taken away yet."""
    said = (
        "Draw on the field: what you draw is what the noise becomes. Further strokes are added. By keyboard, arrows go "
        "over the field, Space puts a point, and Enter hands them in."
    )

    def save(folder: Path) -> str:
        raise Problem("There is nothing drawn yet: draw on the field, or give `drawn`, a list of [x, y] in JSON.")

    return Drawing({**message(said), "can_draw": True}, {}, save, empty=True)


def message(sentence: str) -> dict[str, Any]:
    """An empty field beside a sentence."""
    return {
        "points": [], "labels": [], "ways": [[]], "arrows": [[]], "states": [0], "drawn": [], "can_draw": False,
        "charts": note(sentence),
    }  # fmt: skip


VIEW = View(
    "points",
    "Points",
    "Diffusion in the plane with an exact predictor: nothing is trained, so whatever goes wrong is the sampler's.",
    PointsRequest,
    draw,
    {
        "shape": choice("Shape", [(one, one) for one in get_args(PointsRequest.model_fields["shape"].annotation)]),
        "steps": slider("Steps", 1, 50),
        "sampler": sampler_menu(PointsRequest),
        "eta": slider("Eta (DDIM alone)", 0, 1, 0.1),
        "colour": choice("Colour", [("any", "any"), ("first", "first"), ("second", "second")]),
        "guidance": slider("Guidance to the colour", 0, 8, 0.5),
        "hold": choice("Keep a coordinate, as an inpainting does", [("none", "nothing"), ("x", "x"), ("y", "y")]),
        "at": slider("Kept at", -2, 2, 0.1),
        "clamp": choice("Clamp", [("clean", "clean"), ("noised", "noised")]),
        "seed": slider("Seed of the noise", 0, 20),
        "drawn": unseen(),
    },
    FORMULA,
    (exact_predictor, point_predictor, held_coordinate, flight, Diffuser.add_noise),
    more=frozenset({"eta", "colour", "guidance", "hold", "at", "clamp", "seed"}),
    of_a_picture=False,
    stage=stage,
    message=message,
)
