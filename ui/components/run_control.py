"""The big button of a tab, which is Stop while something runs, and the bar under the picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.components import Component
from gradio.events import Dependency

from ui.components.events import AT_ONCE, ONE_AT_A_TIME, PAGE_ONLY, announced
from ui.components.progress import status
from ui.errors import as_warning
from ui.serving.together import ModelRequest

# Of JavaScript: what a sentence quotes, a file's name say, is text on the page and no markup.
ESCAPED = "${value.text.replace(/[&<>]/g, (sign) => '&#' + sign.charCodeAt(0) + ';')}"
TEMPLATE = (  # the line under it says how far it is: nobody has to hear it twice
    f'<div class="track" aria-hidden="true"><i style="width:${{value.percent}}%"></i></div><p>{ESCAPED}</p>'
)


@dataclass(frozen=True)
class Run:
    """What a button of a tab runs.

    Attributes:
        work: generator, whose dictionaries update `outputs` and the tab's bar.
        inputs: what `work`, `expects` and `asks` are called with.
        supersedes: what is cancelled when it begins.
        expects, asks: see `events.announced`.
        button: what begins it; the big one unless given.
    """

    work: Callable[..., Any]
    inputs: Sequence[Component]
    outputs: Sequence[Component]
    supersedes: Sequence[Dependency] = ()
    expects: Callable[..., int] | None = None
    asks: Callable[..., ModelRequest] | None = None
    button: gr.Button | None = None


class RunControl:
    """The Run and Stop buttons of a tab, and its bar."""

    def __init__(self, label: str, name: str):
        """Place both buttons here; the bar's place is under the picture (`place_bar`)."""
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
            html_template=TEMPLATE,
            elem_id=f"{name}-bar",
            elem_classes="bar",
            apply_default_css=False,
        )

    def wire(self, bar: gr.HTML, *runs: Run) -> None:
        """Have their buttons run them; Stop ends whichever goes on, and all report to `bar`."""
        # Buttons and bar change in the browser: it needs no answer for that, and there may be nobody to give one.
        shows = [self.run, self.stop, bar]
        ended = f"(bar) => window.studio.ended('{self.name}', bar)"
        jobs: list[dict[str, Any]] = [self._job(run, bar, shows, ended) for run in runs]
        # Pressed by the page itself: a run that is lost before it has begun ends in nothing that Gradio could tell of.
        lost = gr.Button(elem_id=f"{self.name}-lost", elem_classes="unseen")
        lost.click(None, bar, shows, js=ended, **AT_ONCE)
        # Cancelling closes the generator at its next step, and with it the sampler.
        stopped = f"(bar) => window.studio.stopped('{self.name}', bar)"
        self.stop.click(None, bar, shows, js=stopped, cancels=jobs, **AT_ONCE)

    def _job(self, run: Run, bar: gr.HTML, shows: list[Component], ended: str) -> Dependency:
        """What the button of `run` starts, and Stop is to cancel."""
        began = (run.button or self.run).click(
            None, outputs=shows, js=f"() => window.studio.began('{self.name}')", cancels=list(run.supersedes), **AT_ONCE
        )
        work = as_warning(run.work, lambda sentence: {bar: status(sentence)})
        handler = announced(work, self.name, run.expects, run.asks)
        job = began.then(handler, list(run.inputs), [*run.outputs, bar], **PAGE_ONLY, **ONE_AT_A_TIME)
        job.then(None, bar, shows, js=ended, **AT_ONCE)
        job.failure(None, bar, shows, js=ended, **AT_ONCE)
        return job
