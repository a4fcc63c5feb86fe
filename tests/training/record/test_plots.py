"""Plots of a run: that they show what the record says."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ddpm_core.diffusion.diffuser import Diffuser
from ddpm_core.training.record.journal import BY_TIMESTEP, NOISE, loss_file
from ddpm_core.training.record.plots import (
    DARK,
    LINES,
    draw,
    loss_by_step,
    loss_by_timestep,
    samples_by_timestep,
    signal_and_noise,
)

pytestmark = pytest.mark.usefixtures("drawn")

Rows = list[dict[str, Any]]


def recorded(steps: int = 120, every: int = 10, prefix: str = "held_out_") -> Rows:
    """A run whose loss is 1/step, and whose tenths at each look are that times their number."""
    rows: Rows = []
    for step in range(1, steps + 1):
        rows.append({"step": step, "loss": 1 / step})
        if step % every == 0:
            rows[-1] |= {f"{prefix}decile_{number}": (number + 1) / step for number in range(10)}
            rows[-1] |= {"held_out_loss": 2 / step} if prefix == "held_out_" else {}
    return rows


def test_loss_by_timestep_ends_with_the_last_look_and_shows_the_way_there() -> None:
    figure = loss_by_timestep(recorded())
    assert figure is not None
    (axes,) = figure.axes
    lines = axes.get_lines()
    assert len(lines) == LINES
    np.testing.assert_allclose(lines[-1].get_ydata(), np.arange(1, 11) / 120)
    np.testing.assert_allclose(lines[0].get_ydata(), np.arange(1, 11) / 10)
    np.testing.assert_allclose(lines[0].get_xdata(), np.arange(5, 100, 10))
    assert [line.get_label() for line in lines][:: LINES - 1] == ["step 10", "step 120"]
    assert [line.get_color() == DARK for line in lines] == [False] * (LINES - 1) + [True]
    assert "held-out" in axes.get_title(loc="left")


def test_loss_by_timestep_says_when_none_were_held_out() -> None:
    figure = loss_by_timestep(recorded(prefix="train_"))
    assert figure is not None
    assert "training pictures (none were held out)" in figure.axes[0].get_title(loc="left")


@pytest.mark.parametrize("looks", [1, 3])
def test_few_looks_are_few_lines(looks: int) -> None:
    figure = loss_by_timestep(recorded(10 * looks))
    assert figure is not None
    assert len(figure.axes[0].get_lines()) == looks


def test_without_measures_there_is_no_loss_by_timestep() -> None:
    assert loss_by_timestep([{"step": 1, "loss": 1.0}]) is None
    broken = recorded(10)
    broken[-1]["held_out_decile_4"] = None
    assert loss_by_timestep(broken) is None


def test_the_curve_has_every_step_its_mean_and_the_held_out_loss() -> None:
    rows = recorded()
    rows[5]["loss"] = None  # as a step that was not finite is written
    rows[6]["loss"] = math.nan  # as it was written before
    figure = loss_by_step(rows, "denoiser")
    assert figure is not None
    (axes,) = figure.axes
    each, mean, held_out = axes.get_lines()
    assert list(each.get_xdata()) == [step for step in range(1, 121) if step not in (6, 7)]
    window = 118 // 30
    assert mean.get_ydata()[0] == pytest.approx(sum(1 / step for step in range(1, window + 1)) / window)
    assert mean.get_xdata()[0] == window
    assert list(held_out.get_xdata()) == list(range(10, 121, 10))
    assert held_out.get_ydata()[-1] == pytest.approx(2 / 120)


def test_measures_of_an_autoencoder_have_axes_of_their_own() -> None:
    rows = recorded(20, 40)
    rows[9] |= {"held_out_psnr": 20.0, "held_out_gradient_ratio": 0.8}
    rows[19] |= {"held_out_psnr": 24.0, "held_out_gradient_ratio": 0.9}
    figure = loss_by_step(rows, "vae")
    assert figure is not None
    loss, psnr, edges = figure.axes
    assert loss.get_title(loc="left") == "Loss of the autoencoder"
    assert list(psnr.get_lines()[0].get_ydata()) == [20.0, 24.0]
    assert list(edges.get_lines()[0].get_ydata()) == [0.8, 0.9]
    assert [bool(axes.get_xlabel()) for axes in figure.axes] == [False, False, True]


def test_the_gradient_norm_of_every_step_has_axes_of_its_own() -> None:
    figure = loss_by_step([row | {"gradient_norm": 3.0 / row["step"]} for row in recorded()], "denoiser")
    assert figure is not None
    _, norm = figure.axes
    np.testing.assert_allclose(norm.get_lines()[0].get_ydata(), 3 / np.arange(1, 121))
    assert norm.get_yscale() == "log"


def test_the_schedule_is_drawn_as_what_is_left_of_the_picture_and_as_a_ratio() -> None:
    diffuser = Diffuser(schedule="cosine")
    left, ratio = (axes.get_lines()[0] for axes in signal_and_noise(diffuser).axes)
    np.testing.assert_allclose(left.get_ydata(), diffuser.alpha_bar[1:])
    np.testing.assert_allclose(np.log(ratio.get_ydata()), [2 * diffuser.half_log_snr(t) for t in range(1, 1000)])
    assert list(left.get_xdata()) == list(range(1, 1000))


def test_a_denoisers_schedule_is_that_of_its_settings(tmp_path: Path) -> None:
    rows = [{"step": 1, "loss": 1.0}]
    (tmp_path / "denoiser.json").write_text(json.dumps({"denoiser": {"schedule": "cosine"}}))
    assert tmp_path / NOISE in draw(tmp_path, "denoiser", rows)
    (tmp_path / "denoiser.json").write_text(json.dumps({"denoiser": {"schedule": "bus"}}))
    assert tmp_path / NOISE not in draw(tmp_path, "denoiser", rows)


def test_plots_are_png_files_beside_the_record(tmp_path: Path) -> None:
    names = [loss_file("denoiser"), BY_TIMESTEP]
    assert draw(tmp_path, "denoiser", recorded()) == [tmp_path / name for name in names]
    for name in names:
        with Image.open(tmp_path / name) as picture:
            assert picture.format == "PNG"
            assert picture.width == 960
            assert len(picture.convert("RGB").getcolors(2**20)) > 20
    assert draw(tmp_path, "vae", []) == []


def test_samples_by_timestep_have_a_column_for_each_and_a_row_for_each_seed(tmp_path: Path) -> None:
    shades = {999: (40, 80), 500: (120, 160), 1: (200, 240)}
    figure = samples_by_timestep(
        [(t, [Image.new("RGB", (8, 8), (shade, 0, 0)) for shade in each]) for t, each in shades.items()]
    )
    panels = figure.get_axes()
    assert [axes.get_title() for axes in panels[:3]] == ["t = 999", "t = 500", "t = 1"]
    drawn = [int(np.asarray(axes.get_images()[0].get_array())[0, 0, 0]) for axes in panels]
    assert drawn == [40, 120, 200, 80, 160, 240]
