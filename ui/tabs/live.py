"""Running a sampler in front of a visitor: previews at a bearable rate, progress, time left, Stop.

One way for all tabs: `watch` walks a sampler's steps and says when a preview is due, `RunControl` is the
button that turns into Stop, with the bar under the picture.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.components import Component
from gradio.events import Dependency

from ddpm_core.diffusion.samplers import Step
from ui.errors import gentle

PREVIEW_SECONDS = 0.125  # between previews; the page cannot show many more and has no way to say so
PREVIEW_SHARE = 0.1  # what previews may cost of the time between them: the picture is what is waited for

# Buttons of different tabs share one line: the limit is per id, and the machine has one model's worth of memory.
ONE_AT_A_TIME: dict[str, Any] = {"concurrency_id": "model", "concurrency_limit": 1}
# Handlers of the page itself; what other programs may call stands in `ui.api`.
PAGE_ONLY: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
AT_ONCE: dict[str, Any] = {**PAGE_ONLY, "queue": False}

Status = dict[str, Any]


@dataclass(frozen=True)
class Tick:
    """One step of a watched run.

    Attributes:
        step: what the sampler yielded.
        done, total: steps taken and to take.
        elapsed: seconds so far.
        due: whether to show a preview now. Decode only then.
        told: whether to say now how far it is. A handler is to yield at least that: only there can it be stopped.
    """

    step: Step
    done: int
    total: int
    elapsed: float
    due: bool
    told: bool

    @property
    def status(self) -> Status:
        """What the bar shows."""
        left = self.elapsed / self.done * (self.total - self.done)
        return status(f"step {self.done} of {self.total} · {seconds(left)} left", self.done / self.total)

    @property
    def finished(self) -> Status:
        """What the bar shows when the results are there."""
        return status(f"{self.total} step{'s' * (self.total > 1)} in {seconds(self.elapsed)}", 1)


def watch(steps: Iterable[Step], total: int, clock: Callable[[], float] = time.monotonic) -> Iterator[Tick]:
    """Walk through `total` sampler steps; a preview is due every `PREVIEW_SECONDS` at most, and never at the end.

    Where showing one takes long, on a slow machine or for many pictures, they come less often (`PREVIEW_SHARE`), and
    between them the bar alone is told.
    """
    start = shown = spoke = clock()
    pause = PREVIEW_SECONDS
    for done, step in enumerate(steps, start=1):
        now = clock()
        told = now - spoke >= PREVIEW_SECONDS and done < total
        due = told and now - shown >= pause
        yield Tick(step, done, total, now - start, due, told)
        if told:
            spoke = clock()  # counted from when it had been shown, so slow pages get fewer
        if due:
            shown = spoke
            pause = max(PREVIEW_SECONDS, (shown - now) / PREVIEW_SHARE)


def seconds(duration: float) -> str:
    """A duration the way one says it."""
    if duration < 10:
        return f"{duration:.1f} s"
    if duration < 90:
        return f"{duration:.0f} s"
    return f"{duration / 60:.0f} min"


def status(text: str = "", share: float = 0.0) -> Status:
    """What the bar shows: a line, and how far it is filled (0 to 1)."""
    return {"text": text, "percent": round(100 * share)}


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
        told = gentle(work, lambda sentence: {bar: status(sentence)})
        job = began.then(told, list(inputs), [*outputs, bar], **PAGE_ONLY, **ONE_AT_A_TIME)
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
