"""Which one is real? Of two pictures one was made; right answers are counted. Off unless asked for."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import gradio as gr

from ddpm_core.diffusion.samplers import last
from ddpm_core.evaluation.which_is_real import (
    Answer,
    answers_in,
    check_writable,
    made_one,
    real_one,
    real_pictures,
    record,
    told_apart,
)
from ddpm_core.requests import GenerateRequest
from ui.components.events import AT_ONCE, ONE_AT_A_TIME, PAGE_ONLY, announced
from ui.components.progress import Updates, status
from ui.components.run_control import RunControl
from ui.errors import Problem, as_warning
from ui.files import cached
from ui.help import lead
from ui.models import Shelf
from ui.serving.turns import in_turns

SIDES = ("left", "right")


@dataclass(frozen=True)
class Round:
    """A pair that is shown, and how the visitor has done so far; stays with the server.

    Attributes:
        real: which side is real; None when that has been said.
        answer: what is kept if the real one is picked.
    """

    real: int | None = None
    answer: Answer | None = None
    right: int = 0
    asked: int = 0


class RealTab:
    """The tab's components and what its buttons do.

    Args:
        folder: of real pictures.
        results: the file that answers are added to.
    """

    def __init__(self, shelf: Shelf, checkpoint: gr.Dropdown, folder: Path, results: Path):
        """Build the tab inside the current layout.

        Raises:
            PictureError: the folder holds no pictures.
            UserError: nothing can be added to the file.
        """
        check_writable(results)
        self.shelf, self.sources, self.results = shelf, real_pictures(folder), results
        self.draw = random.SystemRandom()
        self.round = gr.State(Round())
        lead("Which one is real?", "One of two pictures was made by the model. Pick the one that is real.")
        with gr.Row(elem_classes="studio"):
            self.pictures = [
                gr.Image(
                    None, format="png", type="filepath", interactive=False, label=f"The {side} one",
                    buttons=[], elem_id=f"real-{side}",
                )
                for side in SIDES
            ]  # fmt: skip
        self.bar = RunControl.place_bar("real", "Nothing is shown yet.")
        with gr.Row(elem_classes="actions"):
            self.picks = [
                gr.Button(f"The {side} one is real", interactive=False, elem_id=f"real-pick-{side}") for side in SIDES
            ]
            self.another = gr.Button("Show two pictures", variant="primary", elem_id="real-another")
        shows = [*self.pictures, *self.picks, self.round, self.bar]
        pair = announced(as_warning(self._pair), "real", lambda *_: GenerateRequest().model_calls)
        self.another.click(pair, [checkpoint, self.round], shows, **PAGE_ONLY, **ONE_AT_A_TIME)
        for side, button in enumerate(self.picks):
            said = as_warning(lambda shown, side=side: self._said(shown, side))
            gr.on([button.click, self.pictures[side].select], said, self.round, shows, **AT_ONCE)

    def _pair(self, checkpoint: str, shown: Round) -> Iterator[Updates]:
        """Two new pictures, the real one on a random side."""
        model = self.shelf.load(checkpoint)
        real, name = real_one(model, self.sources, self.draw)
        request = made_one(model, self.draw)
        made = model.pictures(last(in_turns(model.generate(request))).latent)[0]
        side = self.draw.randrange(2)
        files = [cached(picture) for picture in ((real, made) if side == 0 else (made, real))]
        answer = Answer(model.name, request.seed, request.label, name, True)
        yield {
            **dict(zip(self.pictures, files, strict=True)),
            **{button: gr.update(interactive=True) for button in self.picks},
            self.round: replace(shown, real=side, answer=answer),
            self.bar: status("Which one is real?"),
        }

    def _said(self, shown: Round, side: int) -> Updates:
        """Count and keep which side was picked."""
        if shown.real is None or shown.answer is None:
            raise Problem("Show two pictures first.")
        answer = replace(shown.answer, right=side == shown.real)
        record(self.results, answer)
        now = replace(shown, real=None, right=shown.right + answer.right, asked=shown.asked + 1)
        return {
            self.round: now,
            self.bar: status(self._verdict(answer, now)),
            **{button: gr.update(interactive=False) for button in self.picks},
        }

    def _verdict(self, answer: Answer, now: Round) -> str:
        score: Any = told_apart(answers_in(self.results), answer.checkpoint)  # not None: `answer` is among them
        good, count, low, high = score
        low, high = f"{100 * low:.0f}", f"{100 * high:.0f}"
        if answer.right:
            return (
                f"Right. You: {now.right} of {now.asked}. Everybody: {good} of {count}, surely {low} to {high} %; "
                f"guessing gives 50 %."
            )
        return (
            f"Wrong: it is the other one. You: {now.right} of {now.asked}. Everybody: {good} of {count}, surely "
            f"{low} to {high} %; guessing gives 50 %."
        )
