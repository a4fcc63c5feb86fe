"""Before and after under a line to drag, with the variants and what can be done with them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from ui.components.events import PAGE_ONLY
from ui.components.progress import Updates
from ui.components.run_control import RunControl
from ui.errors import Problem, as_warning
from ui.results import Results

DRAG = "Drag the line: before on the left, after on the right."
WAIT = gr.update(interactive=False)
TAKE = gr.update(interactive=True)


class ResultView:
    """The result of changing a picture.

    Attributes:
        results: state, the `Results` shown; None before the first.
        chosen: state, which variant the visitor picked.
        actions: the row of buttons.
    """

    def __init__(self, name: str, pair: tuple[str, str] | None, after: str | None, message: str):
        """Place it here.

        Args:
            name: of the tab, in the ids on the page.
            pair: files before and after.
            after: the file to download.
            message: what the bar says.
        """
        self.results, self.chosen = gr.State(None), gr.State(0)
        self.slider = gr.ImageSlider(
            pair, format="png", type="filepath", show_label=False, interactive=False, buttons=["fullscreen"],
            elem_id=f"{name}-result", elem_classes="stage", slider_position=50, max_height=2000,
        )  # fmt: skip
        self.bar = RunControl.place_bar(name, message)
        there = after is not None
        with gr.Row(elem_classes="actions") as self.actions:
            self.download = gr.DownloadButton(
                "Download PNG", after, size="sm", elem_id=f"{name}-download", interactive=there, scale=0
            )
            self.go_on = gr.Button(
                "Continue from this", size="sm", elem_id=f"{name}-continue", interactive=there, scale=0
            )
        self.variants = gr.Gallery(
            columns=8, show_label=False, allow_preview=False, format="png", interactive=False, buttons=[],
            elem_id=f"{name}-variants", elem_classes="thumbs", visible=False,
        )  # fmt: skip
        self.variants.select(
            as_warning(_choose_if_there), self.results, [self.slider, self.download, self.chosen], **PAGE_ONLY
        )

    @property
    def parts(self) -> list[gr.components.Component]:
        """The components that `unfinished`, `finished`, `opened` and `cleared` fill."""
        return [self.slider, self.variants, self.download, self.go_on, self.results, self.chosen]

    def unfinished(self, before: str, made: Sequence[str]) -> Updates:
        """What shows pictures that are still being made; nothing can be taken away."""
        return {self.slider: (before, made[0]), self.download: WAIT, self.go_on: WAIT, **self._variants(made)}

    def finished(self, results: Results) -> Updates:
        """What shows results."""
        return {
            self.slider: results.pair(0),
            self.download: gr.update(value=results.files[0], interactive=True),
            self.go_on: TAKE,
            self.results: results,
            self.chosen: 0,
            **self._variants(results.shown),
        }

    def opened(self, picture: str) -> Updates:
        """What shows a picture that nothing has been made of yet."""
        return {
            self.slider: (picture, picture), self.download: WAIT, self.go_on: WAIT, self.results: None,
            self.chosen: 0, **self._variants([]),
        }  # fmt: skip

    def made_before(self, before: str, after: str) -> Updates:
        """What shows a shipped result, which can be taken away."""
        taken = gr.update(value=after, interactive=True)
        return {**self.opened(before), self.slider: (before, after), self.download: taken, self.go_on: TAKE}

    def cleared(self) -> Updates:
        """What shows nothing, while no picture is open."""
        return {**self.opened(""), self.slider: None}

    def _variants(self, made: Sequence[str]) -> Updates:
        several = len(made) > 1
        return {self.variants: gr.update(value=list(made) if several else [], visible=several)}


def _choose_if_there(results: Results | None, event: gr.SelectData) -> tuple[Any, Any, int]:
    if results is not None and not Path(results.folder.name).is_dir():  # see `ui.serving.sweep`
        raise Problem("These pictures are gone, for they are more than an hour old; make them anew.")
    return _choose(results, event)


def _choose(results: Results | None, event: gr.SelectData) -> tuple[Any, Any, int]:
    """What the variant clicked on puts on the page: its pair, its file to download, its place."""
    if results is None:
        return gr.skip(), gr.skip(), 0
    index = int(event.index)
    return results.pair(index), results.files[index], index
