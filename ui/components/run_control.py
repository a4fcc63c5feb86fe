"""The one big button of a tab, which is a Stop button while something runs, and the bar under the picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import gradio as gr
from gradio.components import Component
from gradio.events import Dependency

from ui.components.events import AT_ONCE, ONE_AT_A_TIME, PAGE_ONLY
from ui.components.progress import Status, status
from ui.errors import gentle


class RunControl:
    """The one big button of a tab, and the bar; the button is a Stop button while something runs."""

    def __init__(self, label: str, name: str):
        """Place both buttons here; `bar` is placed by `place_bar`, under the picture."""
        self.name = name
        self.run = gr.Button(label, variant="primary", size="lg", elem_id=f"{name}-run", elem_classes="run")
        self.stop = gr.Button(
            "Stop", variant="stop", size="lg", visible=False, elem_id=f"{name}-stop", elem_classes="run"
        )

    @staticmethod
    def place_bar(name: str, text: str) -> gr.HTML:
        """The bar with its line of text."""
        return gr.HTML(
            status(text),
            html_template='<div class="track"><i style="width:${value.percent}%"></i></div><p>${value.text}</p>',
            elem_id=f"{name}-bar",
            elem_classes="bar",
            apply_default_css=False,
        )

    def wire(
        self,
        work: Callable[..., Any],
        inputs: Sequence[Component],
        outputs: Sequence[Component],
        bar: gr.HTML,
        supersedes: Sequence[Dependency] = (),
    ) -> None:
        """Have the button run the generator `work`, whose dictionaries update `outputs` and `bar`.

        Whatever it `supersedes` is cancelled when it begins.
        """
        began = self.run.click(
            lambda: (gr.update(visible=False), gr.update(visible=True), status("Starting …")),
            outputs=[self.run, self.stop, bar],
            cancels=list(supersedes),
            **AT_ONCE,
        )
        handler = gentle(work, lambda sentence: {bar: status(sentence)})
        job = began.then(handler, list(inputs), [*outputs, bar], **PAGE_ONLY, **ONE_AT_A_TIME)
        buttons = [self.run, self.stop]
        job.then(_ready, outputs=buttons, **AT_ONCE)
        # Cancelling closes the generator at its next step, and with it the sampler.
        self.stop.click(None, cancels=[job], **AT_ONCE).then(_stopped, bar, [*buttons, bar], **AT_ONCE)


def _ready() -> tuple[Any, Any]:
    return gr.update(visible=True), gr.update(visible=False)


def _stopped(shown: Status) -> tuple[Any, Any, Status]:
    where = str(shown["text"]).split(" · ")[0]
    text = f"Stopped at {where}." if where.startswith("step") else "Stopped."
    return *_ready(), {**shown, "text": text}
