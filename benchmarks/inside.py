"""How fast the views of *Look inside* answer: `python -m benchmarks.inside --checkpoint checkpoints/faces-128`.

A view's first answer for a checkpoint and a seed may take longer, as it makes what all others look at. After it, every
control that is a slider is dragged to values it has not had, and each answer is timed, from the request to what the
page is handed; what a browser does with it is not in the time.
"""

from __future__ import annotations

import time
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import gradio as gr
import typer

from benchmarks.pipeline import CHECKPOINT
from ddpm_core.cli import run
from ddpm_core.pipeline import LatentDiffusion
from ui.tabs.inside.view import View, subject
from ui.tabs.inside.views import VIEWS

SEED = 127
PLACES = 5  # that each slider is dragged to
WANTED = 0.5  # seconds


def dragged(view: View) -> list[dict[str, Any]]:
    """Values of one slider at a time, all others as they are at first; without sliders, nothing."""
    asked: list[dict[str, Any]] = []
    with gr.Blocks():
        for field, make in view.controls.items():
            default = view.request.model_fields[field].default
            control = make(f"bench-{field}", default)
            if not isinstance(control, gr.Slider):
                continue
            low, high, step = control.minimum, control.maximum, control.step
            values = {low + round((high - low) * i / PLACES / step) * step for i in range(1, PLACES + 1)} - {default}
            asked += [{field: int(value) if isinstance(default, int) else value} for value in sorted(values)]
    return [one for one in asked if "eta" not in one] or [{}]  # which belongs to one sampler alone


def measure(model: LatentDiffusion, view: View) -> tuple[float, list[float]]:
    """Seconds of the first answer, the picture it is about included, and of those that follow."""

    def answer(**fields: Any) -> float:
        start = time.perf_counter()
        given = fields | ({"seed": SEED} if view.of_a_picture else {})
        about: Any = subject(model, None, SEED) if view.of_a_picture else None
        view.draw(model, about, view.request(**given))
        return time.perf_counter() - start

    first = answer()
    return first, [answer(**fields) for fields in dragged(view)]


def main(
    checkpoint: Annotated[Path, typer.Option(help="checkpoint folder")] = CHECKPOINT,
    only: Annotated[str | None, typer.Option(help=f"one view alone: {', '.join(VIEWS)}")] = None,
) -> None:
    """Time every view's answers and print one line for each."""
    model = LatentDiffusion.load(checkpoint)
    typer.echo(f"{'view':<16} {'first':>7} {'median':>7} {'slowest':>7}  seconds; after the first use at most {WANTED}")
    for name, view in VIEWS.items():
        if only in (None, name):
            first, others = measure(model, view)
            verdict = "ok" if median(others) <= WANTED else "slower"
            typer.echo(f"{name:<16} {first:7.2f} {median(others):7.2f} {max(others):7.2f}  {verdict}")


if __name__ == "__main__":
    run(main)
