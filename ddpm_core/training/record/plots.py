"""Plots of a stage's run, drawn from its own record."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FuncFormatter
from PIL import Image

from ddpm_core.checkpoints.atomic import write_atomically
from ddpm_core.diffusion.diffuser import Diffuser
from ddpm_core.display.palette import ACCENT, DARK, INK, LINE, PALE, PAPER, QUIET, SECOND
from ddpm_core.errors import UserError
from ddpm_core.training.losses import DECILES
from ddpm_core.training.record.journal import BY_TIMESTEP, NOISE, loss_file
from ddpm_core.training.settings import STAGES, StageName

LINES = 6  # moments of a run that its loss by timestep is shown at
WINDOWS = 30  # the curve is a mean over one part of so many of the run
KEY: dict[str, Any] = {"frameon": True, "facecolor": PAPER, "edgecolor": "none", "labelcolor": INK, "framealpha": 0.8}
TENTHS = {"held_out_decile_": "held-out pictures", "train_decile_": "training pictures (none were held out)"}
MEASURES = {
    "held_out_psnr": "held-out PSNR, dB",
    "held_out_gradient_ratio": "held-out edges, share",
    "held_out_accuracy": "held out, read right",
    "gradient_norm": "gradient norm",
}


def draw(notes: Path, stage: StageName, rows: Sequence[dict[str, Any]]) -> list[Path]:
    """Write the plots of a stage's run, of the rows of its record, into the folder of that; returns their files."""
    figures = {loss_file(stage): loss_by_step(rows, stage), BY_TIMESTEP: loss_by_timestep(rows)}
    if rows and (diffuser := _schedule_of(notes, stage)):
        figures[NOISE] = signal_and_noise(diffuser)
    return [save(figure, notes / name) for name, figure in figures.items() if figure is not None]


def save(figure: Figure, path: Path) -> Path:
    """Write a plot as PNG, atomically; returns its path."""
    write_atomically(path, partial(figure.savefig, format="png"))
    return path


def loss_by_step(rows: Sequence[dict[str, Any]], stage: StageName) -> Figure | None:
    """Training and held-out loss by step, other measures below."""
    steps, losses = _series(rows, "loss")
    if not len(steps):
        return None
    below = {name: label for name, label in MEASURES.items() if len(_series(rows, name)[0])}
    figure = _blank(4.2 + 2.2 * len(below))
    panels = figure.subplots(
        1 + len(below), 1, sharex=True, squeeze=False, height_ratios=[2.2] + [1] * len(below)
    )  # fmt: skip
    loss = panels[0, 0]
    loss.plot(steps, losses, color=PALE, linewidth=0.8, label="each step")
    window = max(1, len(steps) // WINDOWS)
    if window > 1:
        smooth = np.convolve(losses, np.ones(window) / window, mode="valid")
        loss.plot(steps[window - 1 :], smooth, color=ACCENT, linewidth=1.8, label=f"mean of {window:,} steps")
    held_out_steps, held_out = _series(rows, "held_out_loss")
    if len(held_out):
        loss.plot(
            held_out_steps,
            held_out,
            color=SECOND,
            marker="o",
            markersize=4,
            linewidth=1.4,
            label="held out, averaged weights",
        )
    # What lies at the very start would press the rest flat.
    settled = losses[len(losses) // 20 :]
    top = max(np.percentile(settled, 99.5), held_out.max() if len(held_out) else -math.inf)
    if top > 0:
        loss.set_ylim(0, 1.1 * top)
    _dress(loss, f"Loss of the {STAGES[stage]}", "loss")
    loss.legend(**KEY, loc="upper right")
    for axes, (name, label) in zip(panels[1:, 0], below.items(), strict=True):
        if name == "gradient_norm":  # of every step, before clipping; a few are many times the others
            axes.plot(*_series(rows, name), color=PALE, linewidth=0.8)
            axes.set_yscale("log")
        else:
            axes.plot(*_series(rows, name), color=SECOND, marker="o", markersize=4, linewidth=1.4)
        _dress(axes, "", label)
    bottom = panels[-1, 0]
    bottom.set_xlabel("step", color=INK)
    bottom.xaxis.set_major_formatter(FuncFormatter(lambda step, _: f"{step:,.0f}"))
    return figure


def loss_by_timestep(rows: Sequence[dict[str, Any]]) -> Figure | None:
    """Denoising loss by tenth of the timesteps, at the end and on the way; None without measures."""
    prefix = next((prefix for prefix in TENTHS if any(f"{prefix}0" in row for row in rows)), None)
    if prefix is None:
        return None
    names = [f"{prefix}{number}" for number in range(DECILES)]
    measured = [row for row in rows if all(isinstance(row.get(name), float) for name in names)]
    if not measured:
        return None
    last = len(measured) - 1
    shown = sorted({round(last * moment / (LINES - 1)) for moment in range(LINES)})
    figure = _blank(4.6)
    axes = figure.subplots()
    shades = LinearSegmentedColormap.from_list("accent", [PALE, ACCENT])
    middle = (np.arange(DECILES) + 0.5) * 100 / DECILES
    for index in shown:
        row, final = measured[index], index == last
        style: dict[str, Any] = {"color": shades(index / max(1, last)), "linewidth": 1.4}
        if final:
            style = {"color": DARK, "linewidth": 2.4, "marker": "o"}
        axes.plot(middle, [row[name] for name in names], label=f"step {row['step']:,}", **style)
    _dress(axes, f"Denoising loss by timestep, {TENTHS[prefix]}", "mean squared error")
    axes.set_xlim(0, 100)
    axes.set_ylim(bottom=0)
    axes.set_xticks(np.arange(0, 101, 10))
    axes.set_xlabel("timestep, % of the way from picture to noise", color=INK)
    figure.legend(**KEY, loc="outside right center")
    return figure


def signal_and_noise(diffuser: Diffuser) -> Figure:
    """What a schedule leaves of the picture, alpha_bar, and the signal-to-noise ratio, by timestep."""
    states = np.arange(1, diffuser.num_timesteps)
    left = diffuser.alpha_bar[1:].numpy()
    figure = _blank(5.2)
    above, below = figure.subplots(2, 1, sharex=True)
    above.plot(states, left, color=ACCENT, linewidth=1.8)
    above.set_ylim(0, 1)
    _dress(above, f"Noise schedule {diffuser.schedule}", "alpha_bar")
    below.plot(states, left / (1 - left), color=ACCENT, linewidth=1.8)
    below.set_yscale("log")
    _dress(below, "", "signal / noise")
    below.set_xlabel("timestep", color=INK)
    return figure


def samples_by_timestep(moments: Sequence[tuple[int, Sequence[Image.Image]]]) -> Figure:
    """The clean pictures predicted on the way from noise: a column for each timestep, a row for each seed."""
    rows = len(moments[0][1])
    figure = _blank(0.6 + rows)
    panels = figure.subplots(rows, len(moments), squeeze=False)
    for column, (t, pictures) in enumerate(moments):
        panels[0, column].set_title(f"t = {t}", color=QUIET, fontsize=9)
        for axes, picture in zip(panels[:, column], pictures, strict=True):
            axes.imshow(picture)
            axes.set_axis_off()
    figure.suptitle(
        "Predicted clean pictures by timestep", x=0.012, ha="left", color=INK, fontsize=12, fontweight="bold"
    )
    return figure


def _schedule_of(notes: Path, stage: StageName) -> Diffuser | None:
    """The schedule a denoiser learns, of the settings beside its record; None if nobody knows."""
    if stage != "denoiser":
        return None
    try:
        settings = json.loads((notes / f"{stage}.json").read_text(encoding="utf-8"))
        return Diffuser(schedule=settings["denoiser"]["schedule"])
    except (OSError, ValueError, LookupError, TypeError, UserError):
        return None


def _blank(height: float) -> Figure:
    """An empty sheet 8 inches wide, which pyplot would keep for the process."""
    margins = ConstrainedLayoutEngine(h_pad=0.12, w_pad=0.12)
    return Figure(figsize=(8, height), dpi=120, layout=margins, facecolor=PAPER)


def _series(rows: Sequence[dict[str, Any]], name: str) -> tuple[np.ndarray, np.ndarray]:
    """Steps and values of the rows that have a finite number of that name."""
    points = [(row["step"], row[name]) for row in rows if isinstance(row.get(name), int | float)]
    points = [(step, value) for step, value in points if math.isfinite(value)]
    return np.array([step for step, _ in points]), np.array([value for _, value in points], dtype=float)


def _dress(axes: Axes, title: str, label: str) -> None:
    """The look of all plots: one light grid, no box, words in ink."""
    axes.set_facecolor(PAPER)
    axes.set_title(title, loc="left", color=INK, fontsize=12, fontweight="bold", pad=12)
    axes.set_ylabel(label, color=INK, labelpad=8)
    axes.grid(axis="y", color=LINE, linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(LINE)
    axes.tick_params(colors=QUIET, length=0)
