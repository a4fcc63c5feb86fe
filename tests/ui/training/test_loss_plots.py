"""Losses of a run's log in the page's plots."""

from __future__ import annotations

import json
from pathlib import Path

import gradio as gr

from ui.training.log import TrainingLog
from ui.training.loss_plots import LossPlots


def test_a_stage_is_drawn_from_its_first_step_on_and_its_plots_series_are_named_at_once(tmp_path: Path) -> None:
    with gr.Blocks():
        plots = LossPlots()
    log = TrainingLog(tmp_path, ["vae", "denoiser"])
    log.read()
    assert all(update["visible"] is False for update in plots.shows(log).values())

    rows = [{"step": 1, "loss": 0.5}, {"step": 2, "loss": 0.25, "held_out_loss": 0.375}]
    (tmp_path / "denoiser.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    log.read()
    shown = plots.shows(log)
    assert set(shown) == set(plots.parts)
    assert (shown[plots.row]["visible"], shown[plots.by_stage["vae"]]["visible"]) == (True, False)
    table = shown[plots.by_stage["denoiser"]]["value"]
    assert table["of"].tolist() == ["training", "training", "held out", "held out"]
    assert table["loss"].isna().tolist() == [False, False, True, False]  # of no step: it only names the series
    assert (table["step"].iloc[-1], table["loss"].iloc[-1]) == (2, 0.375)
