"""The losses of a training run as curves, a plot for each stage."""

from __future__ import annotations

import math

import gradio as gr
import pandas

from ddpm_core.training.settings import STAGES, StageName
from ui import theme
from ui.components.progress import Updates
from ui.training.log import Curve, TrainingLog

TRAINING, HELD_OUT = "training", "held out"
COLOURS = {TRAINING: theme.ACCENT.c500, HELD_OUT: theme.HELD_OUT}


class LossPlots:
    """The plots, each hidden before its stage's first step.

    Attributes:
        row: all of them.
        by_stage: each.
    """

    def __init__(self) -> None:
        """Place them here."""
        with gr.Row(visible=False, elem_id="train-curves") as self.row:
            self.by_stage = {
                stage: gr.LinePlot(
                    None, x="step", y="loss", color="of", title=f"Loss of the {called}", x_title="step", y_title=" ",
                    color_title=" ", color_map=COLOURS, height=200, visible=False, elem_id=f"train-loss-{stage}",
                )
                for stage, called in STAGES.items()
            }  # fmt: skip

    @property
    def parts(self) -> list[gr.blocks.Block]:
        """The components that `shows` fills."""
        return [*self.by_stage.values(), self.row]

    def shows(self, log: TrainingLog) -> Updates:
        """What draws the losses in a run's log."""
        curves = {stage: log.curve(stage) for stage in STAGES}
        tables = {stage: table(stage, curve) if curve else None for stage, curve in curves.items()}
        plots: Updates = {
            self.by_stage[stage]: gr.update(value=rows, visible=rows is not None) for stage, rows in tables.items()
        }
        return {**plots, self.row: gr.update(visible=any(rows is not None for rows in tables.values()))}


def table(stage: StageName, curve: Curve) -> pandas.DataFrame:
    """What a stage's plot draws: a row (step, loss, of) each."""
    rows = [(step, loss, TRAINING) for step, loss in curve.training]
    if stage != "vae":  # its first row names the series: the plot does not learn of one that comes later
        rows += [(step, loss, HELD_OUT) for step, loss in [(0, math.nan), *curve.held_out]]
    return pandas.DataFrame(rows, columns=["step", "loss", "of"])
