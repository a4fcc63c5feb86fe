"""The view Clamp: an inpainting step by step, by three rules of holding what is kept, side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

from ddpm_core.diffusion.constraints import clamp_noised, clamp_to_mean, repaint_timesteps
from ddpm_core.images.animation import save_gif
from ddpm_core.images.masks import FACE_PARTS
from ddpm_core.inspection.autoencoder import AMPLIFIED, difference_picture
from ddpm_core.inspection.clamping import (
    RULES,
    ClampRequest,
    Moment,
    Runs,
    call_at,
    changed_pixels,
    edge,
    moment_at,
    moved_kept,
    put_back,
    recorded,
    requests_of,
    runs,
    runs_under_way,
)
from ddpm_core.inspection.sheet import labelled_sheet
from ddpm_core.inspection.subject import Subject
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import MAX_SEED
from ui.tabs.inside.draw import Figure, Line, chart, charts, figures, note
from ui.tabs.inside.grids import titled_row
from ui.tabs.inside.view import Drawing, View, choice, number, slider

# What the names mean, where they are first read.
CLAMPING = "To clamp is to put the kept cells back after every step. Three rules differ in how; above stands the first:"
MEANT = {
    "clean clamp": "kept cells are put back as they are in the picture, without noise",
    "noised clamp": "kept cells are put back with as much noise as the cells made anew have at that step",
    "RePaint": "the noised clamp, and each step but the last is taken four times, so that both sides of the edge agree",
}
FRAMES = 12
SIDE = 160

FORMULA = r"""
$$\text{clean: } z_s \leftarrow m \odot z_s + (1 - m) \odot x_0, \qquad
\text{noised: } z_s \leftarrow m \odot z_s + (1 - m) \odot
\big(\sqrt{\bar\alpha_s}\, x_0 + \sqrt{1 - \bar\alpha_s}\, \epsilon\big)$$

after every step, $m$ being 1 where cells are made anew. The noised clamp, and going back up to take steps again, are
Lugmayr et al. 2022, [RePaint](https://arxiv.org/abs/2201.09865), equations 8a to 8c and algorithm 1. The clean clamp is
the original project's own.
"""


def draw(model: LatentDiffusion, subject: Subject, request: ClampRequest) -> Drawing:
    """What the model is shown and answers at one moment, and the end, by each rule."""
    made = runs(model, subject, request)
    rows, numbers = [], {}
    for name, run in made.by_rule.items():
        moment = moment_at(run, request.at)
        moved = moved_kept(moment.answer, subject.latent, made.cells)
        shown, answer = (model.pictures(latent)[0] for latent in (moment.shown, moment.answer))
        row = [
            Figure(shown, f"what the model is shown at t = {moment.t}"),
            Figure(answer, f"what it answers, {moved:.2f} deviations off where cells are kept"),
            Figure(
                run.filled,
                f"the end, after {len(run.moments)} calls; neighbours across the edge differ by {run.edge:.1f} of 255 "
                f"(in the picture itself by {made.edge:.1f})",
            ),
        ]
        rows.append(titled_row(f"{name[0].upper()}{name[1:]}: {MEANT[name]}", figures(row), len(row)))
        numbers[name] = {
            "t": moment.t, "moved_kept": moved, "edge": run.edge, "calls": len(run.moments),
            "kept_pixels_changed_by_decoding": run.changed_by_decoding, "kept_pixels_changed": run.changed,
        }  # fmt: skip
    lines = []
    for name, run in made.by_rule.items():
        off = [moved_kept(one.answer, subject.latent, made.cells) for one in run.moments]
        points = [(100 * i / max(1, len(off) - 1), value) for i, value in enumerate(off)]
        looked_at = points[call_at(run, request.at)]
        lines.append(Line(points, name, f"{looked_at[1]:.2f}", here=looked_at))
    over_time = chart(
        "How far its answers would move what is kept, were it not put back", lines, "percent of the run", "deviations",
        request.at,
    )  # fmt: skip

    def save(folder: Path) -> str:
        frames = []
        for i in range(FRAMES):
            at = round(100 * i / (FRAMES - 1))
            moments = [moment_at(run, at) for run in made.by_rule.values()]
            pictures = [model.pictures(latent)[0] for one in moments for latent in (one.shown, one.answer)]
            words = [f"{name}\n{kind}" for name in RULES for kind in ("is shown", "answers")]
            order = [0, 2, 4, 1, 3, 5]
            frames.append(labelled_sheet([pictures[j] for j in order], [words[j] for j in order], columns=3, side=SIDE))
        path = folder / f"clamp-{request.region}-{request.fill}.gif"
        save_gif(frames, path, 4.0, max(frames[0].size))
        return str(path)

    return Drawing(
        "<h4>What becomes of what is kept where it is put back without noise; grey is no difference</h4>"
        + figures(what_is_kept(model, subject, made, request.at))
        + note(CLAMPING) + "".join(rows) + charts(over_time),
        {**numbers, "kept_pixels": made.kept, "edge_of_the_picture": made.edge}, save,
    )  # fmt: skip


def what_is_kept(model: LatentDiffusion, subject: Subject, made: Runs, at: int) -> list[Figure]:
    """Why kept pixels stay: an answer moves them, they are put back, and in the end pasted."""
    run = made.by_rule["clean clamp"]
    answer = moment_at(run, at).answer
    moved = moved_kept(answer, subject.latent, made.cells)
    held = put_back(answer, subject.latent, made.cells)
    begun, answered, put = (model.pictures(latent)[0] for latent in (subject.latent, answer, held))
    return [
        Figure(made.picture, "tinted cells are made anew, all others are kept"),
        Figure(
            difference_picture(begun, answered),
            f"what the model's answer would change, {AMPLIFIED} times as strong: kept cells, too, by {moved:.2f} "
            "deviations",
        ),
        Figure(
            difference_picture(begun, put),
            "after the step kept cells are put back: what is left of the change is in the tinted ones, and within "
            "the reach of the decoder around them",
        ),
        Figure(
            difference_picture(subject.picture, run.decoded),
            f"of {made.kept:,} kept pixels differ in the end, decoded: the autoencoder is no exact copy",
            f"{run.changed_by_decoding:,}",
        ),
        Figure(
            difference_picture(subject.picture, run.filled),
            f"of {made.kept:,} kept pixels differ once those of the upload are pasted over them: bit for bit",
            f"{run.changed:,}",
        ),
    ]


def sketches(model: LatentDiffusion, subject: Subject, request: ClampRequest) -> Iterator[Callable[[], str]]:
    """What each rule's run has come to."""
    asked = requests_of(request)

    def show(moments: Mapping[str, list[Moment]]) -> str:
        taken = {name: (moments[name][-1], len(moments[name])) for name in asked}
        shown = [
            Figure(model.pictures(now.answer)[0], f"{name}: call {calls} of {asked[name].calls}, t = {now.t}")
            for name, (now, calls) in taken.items()
        ]
        return titled_row("What the model answers, so far", figures(shown), len(shown))

    for moments in runs_under_way(model, subject, request):
        yield partial(show, moments)


VIEW = View(
    "clamp",
    "Clamp",
    "Drag through an inpainting: after every step the kept cells are put back, and what is painted has to follow.",
    ClampRequest,
    draw,
    {
        "at": slider("How far, percent", 0, 100),
        "region": choice("Made anew", [(name, name) for name in FACE_PARTS]),
        "fill": number("Seed of the filling", 0, MAX_SEED),
        "steps": slider("Steps", 4, 60),
    },
    FORMULA,
    (clamp_to_mean, clamp_noised, repaint_timesteps, recorded, put_back, changed_pixels, moved_kept, edge),
    more=frozenset({"fill", "steps"}),
    sketches=sketches,
    restarts=frozenset({"region", "fill", "steps"}),
)
