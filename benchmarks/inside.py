"""How fast the views of *Look inside* answer: `python -m benchmarks.inside --checkpoint checkpoints/faces-128`.

A view is asked once, once again, and then with every slider dragged to values it has not had. Timed is from the
request to the first answer, without the browser; the last column is until all is drawn. On a busy machine look at
processor time: on one thread (OMP_NUM_THREADS=1) it is what a quiet one takes.
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
PLACES = 5  # that each slider is dragged to, unless it is said otherwise
WANTED = 0.5  # seconds


def dragged(view: View, places: int = PLACES) -> list[dict[str, Any]]:
    """Values of one slider at a time, all others at their defaults; without sliders, nothing."""
    asked: list[dict[str, Any]] = []
    with gr.Blocks():
        for field, make in view.controls.items():
            default = view.request.model_fields[field].default
            control = make(f"bench-{field}", default)
            if not isinstance(control, gr.Slider):
                continue
            low, high, step = control.minimum, control.maximum, control.step
            values = {low + round((high - low) * i / places / step) * step for i in range(1, places + 1)} - {default}
            asked += [{field: int(value) if isinstance(default, int) else value} for value in sorted(values)]
    return [one for one in asked if "eta" not in one] or [{}]  # which belongs to one sampler alone


Seconds = tuple[float, float]  # passed, and of processor time
Answer = tuple[Seconds, Seconds]  # until something is shown, and until all is drawn


def measure(model: LatentDiffusion, view: View, places: int = PLACES) -> tuple[Answer, Answer, list[Answer]]:
    """Seconds of the first answer, its picture included; of the same again; and of those that follow."""

    def answer(**fields: Any) -> Answer:
        start, spent = time.perf_counter(), time.process_time()
        given = fields | ({"seed": SEED} if view.of_a_picture else {})
        about: Any = subject(model, None, SEED) if view.of_a_picture else None
        request = view.request(**given)
        first: list[Seconds] = []
        for sketch in view.sketches(model, about, request) if view.sketches else ():
            if not first:
                sketch()
                first.append((time.perf_counter() - start, time.process_time() - spent))
        view.draw(model, about, request)
        whole = time.perf_counter() - start, time.process_time() - spent
        return (first or [whole])[0], whole

    return answer(), answer(), [answer(**fields) for fields in dragged(view, places)]


def main(
    checkpoint: Annotated[Path, typer.Option(help="checkpoint folder")] = CHECKPOINT,
    places: Annotated[
        int, typer.Option(min=1, help="places that each slider is dragged to; 1 is done soonest")
    ] = PLACES,
    only: Annotated[str | None, typer.Option(help=f"one view alone: {', '.join(VIEWS)}")] = None,
) -> None:
    """Time every view's answers and print one line for each."""
    model = LatentDiffusion.load(checkpoint)
    typer.echo(
        f"{'view':<12} {'first':>15} {'again':>15} {'median':>15} {'slowest':>15} {'all drawn':>15}  "
        f"seconds / of processor time; wanted {WANTED}"
    )
    for name, view in VIEWS.items():
        if only in (None, name):
            (first, _), (again, _), others = measure(model, view, places)
            passed, spent = ([shown[kind] for shown, _ in others] for kind in (0, 1))
            whole = median(drawn[0] for _, drawn in others), median(drawn[1] for _, drawn in others)
            verdict = (
                "ok" if median(passed) <= WANTED else "slower" if median(spent) > WANTED else "slower: busy machine"
            )
            pairs = (first, again, (median(passed), median(spent)), (max(passed), max(spent)), whole)
            typer.echo(" ".join([f"{name:<12}", *(f"{a:7.2f}/{b:7.2f}" for a, b in pairs)]) + f"  {verdict}")


if __name__ == "__main__":
    run(main)
