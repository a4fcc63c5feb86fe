"""The Train tab: a checkpoint from pictures of one's own, trained by the shell's command."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import gradio as gr

from ddpm_core.images.files import PictureError, open_picture
from ddpm_core.training.pictures import found_in_data
from ddpm_core.training.presets import PRESETS
from ddpm_core.training.settings import STAGES
from ui.components.events import AT_ONCE, PAGE_ONLY
from ui.components.progress import Updates, status
from ui.components.run_control import RunControl
from ui.errors import Problem, as_warning
from ui.files import cached
from ui.help import lead
from ui.models import Shelf
from ui.training.log import Plot
from ui.training.loss_plots import LossPlots
from ui.training.order import Order
from ui.training.runs import Trainings
from ui.training.settings_form import INIT, place_settings, preset_values, starts
from ui.training.uploads import pack

REFRESH_SECONDS = 1.5  # seconds between refreshes of the page
EXAMPLE = Path(__file__).resolve().parents[2] / "checkpoints" / "digits" / "samples.png"
PRESET_NOTES = {  # about the presets; one that is not here is told by its numbers alone
    "quick": "A few hundred pictures of your own, and something to look at within the hour.",
    "faces": "Like the shipped faces, without guide and teaching: an evening on two CPU cores, less on a GPU.",
    "digits": "Handwritten digits, from MNIST: under twenty minutes on two CPU cores.",
    "tiny": "To try that everything works, in a minute or two; the pictures are no good.",
}
EXAMPLE_CAPTION = "What a finished run looks like: the shipped digits, a row of each."
GRID_CAPTION = {
    "vae": "Autoencoder after {} steps: pictures, each with what comes back beside it.",
    "denoiser": "Denoiser after {} steps: made from noise.",
    "classifier": "Classifier after {} steps: made from noise, guided to classes by it alone.",
    "guide": "Guide after {} steps: made from noise, above without it, below steered away from it.",
}
CLOSED = (
    "Training is off, because this page may be open to others than the owner of the machine. Started with "
    "<code>python app.py --allow-training</code>, the app lets everyone train who can open it; the shell can always: "
    "<code>python -m ddpm_core.train</code>."
)


@dataclass(frozen=True)
class PageState:
    """What a page shows already, so that only what is new is sent."""

    run: str = ""
    state: str = ""
    row_count: int = -1  # steps that are drawn
    grid: Path | None = None
    data: tuple[str, ...] = ()  # what is said of the pictures
    plots: tuple[Plot, ...] = ()  # of the run's record
    offered: tuple[tuple[str, ...], ...] = ()  # unfinished runs, and checkpoints


class TrainTab:
    """The tab's components and what its buttons do.

    Attributes:
        use: the button that takes the finished checkpoint to the first tab.
        shows: the components that `refresh` fills.
    """

    def __init__(self, shelf: Shelf, checkpoint: gr.Dropdown, trainings: Trainings):
        """Build the tab inside the current layout."""
        self.shelf, self.checkpoint, self.trainings = shelf, checkpoint, trainings
        self.page_state = gr.State(PageState())
        lead("Train", "Teach a model pictures of your own. It goes on when this page is closed.")
        with gr.Row(elem_classes="studio"):
            with gr.Column(scale=3, elem_classes="picture"):
                self._place_pictures()
            with gr.Column(scale=1, min_width=264, elem_classes="controls"):
                self.closed = gr.HTML(
                    f'<p class="hint">{CLOSED}</p>', elem_id="train-closed", visible=trainings.open_to == "nobody"
                )
                with gr.Column(elem_classes="part", visible=trainings.open_to != "nobody") as self.open:
                    self._place_controls()
        self.timer = gr.Timer(REFRESH_SECONDS, active=False)
        self.shows: list[Any] = [
            self.page_state, self.grid, self.caption, self.data, self.bar, self.use, *self.losses.parts,
            self.record, self.pictures, self.closed, self.open, self.control.run, self.control.stop, self.unfinished,
            self.again, self.timer, checkpoint, self.form[INIT],
        ]  # fmt: skip
        values = [
            self.page_state,
            self.name,
            self.files,
            self.path,
            self.preset,
            *self.both.values(),
            *self.form.values(),
        ]
        self.control.run.click(as_warning(self._start, self._say), values, self.shows, **PAGE_ONLY)
        self.control.stop.click(as_warning(self._stop, self._say), self.page_state, self.shows, **PAGE_ONLY)
        self.resume.click(
            as_warning(self._resume, self._say), [self.page_state, self.unfinished], self.shows, **PAGE_ONLY
        )
        self.preset.change(_about, self.preset, self.about, **AT_ONCE)
        start: Any = self.form[INIT]
        gr.on(
            [self.preset.change, start.input], as_warning(self._show_preset_values), [self.preset, start],
            list(self.form.values()), **PAGE_ONLY,
        )  # fmt: skip
        self.timer.tick(as_warning(self.refresh), self.page_state, self.shows, **AT_ONCE)

    def _place_pictures(self) -> None:
        self.example = cached(open_picture(EXAMPLE)) if EXAMPLE.is_file() else None
        self.grid = gr.Image(
            self.example, format="png", type="filepath", interactive=False, show_label=False,
            buttons=["download", "fullscreen"], elem_id="train-grid", elem_classes="stage",
        )  # fmt: skip
        self.bar = RunControl.place_bar("train", "Nothing is being trained.")
        self.caption = gr.HTML(_line(EXAMPLE_CAPTION if self.example else ""), elem_id="train-caption")
        self.data = gr.HTML("", elem_id="train-data")
        with gr.Row(elem_classes="actions"):
            self.use = gr.Button("Generate with it", size="sm", elem_id="train-use", visible=False)
        self.losses = LossPlots()
        with gr.Accordion("Plots of the run", open=False, visible=False, elem_id="train-plots") as self.record:
            self.pictures = gr.Gallery(
                show_label=False, columns=2, object_fit="contain", height="auto", interactive=False,
                buttons=["download", "fullscreen"], elem_classes="plots",
            )  # fmt: skip

    def _place_controls(self) -> None:
        self.name = gr.Textbox(
            label="Name", placeholder="mine", max_length=40, max_lines=1, elem_id="train-name",
            info="Of the checkpoint: letters, digits, - and _.",
        )  # fmt: skip
        self.files = gr.File(
            label="Pictures, or a .zip (≤ 100 MB)",
            file_count="multiple",
            file_types=[".zip", "image"],
            height=144,
            elem_id="train-files",
        )
        self.path = gr.Textbox(
            label="or a folder on this machine, of any size", placeholder="/home/me/photos", max_lines=1,
            elem_id="train-path", visible=self.trainings.open_to == "here",
        )  # fmt: skip
        first = next(iter(PRESET_NOTES))
        self.preset = gr.Dropdown(
            [*PRESET_NOTES, *(name for name in PRESETS if name not in PRESET_NOTES)], value=first, label="Preset",
            filterable=False, elem_id="train-preset",
        )  # fmt: skip
        self.about = gr.HTML(_about(first), elem_id="train-preset-about")
        self.control = RunControl("Train", "train")
        with gr.Row(visible=False, elem_classes="seed-row") as self.again:
            self.unfinished = gr.Dropdown(label="Unfinished", elem_id="train-unfinished", min_width=96, scale=4)
            self.resume = gr.Button("Resume", elem_id="train-resume", min_width=88, scale=0)
        with gr.Accordion("Advanced", open=False):
            gr.HTML(_line("What is left empty is as in the preset, or in the checkpoint to start from."))
            self.both: dict[str, gr.components.Component] = {
                "iterations": _whole("Steps of each stage", "iterations"),
                "batch_size": _whole("Pictures per step", "batch-size"),
            }
            self.form = place_settings(self.shelf.names(), first)

    def _say(self, sentence: str) -> Updates:
        return {self.bar: status(sentence)}

    def refresh(self, request: gr.Request, page_state: PageState) -> Updates:
        """What is new since the last refresh; nothing for those who may not train."""
        if not self.trainings.admits(request.headers):
            return {self.closed: gr.update(visible=True), self.open: gr.update(visible=False)}
        new: Updates = {}
        run = self.trainings.run
        if run is not None and not run.gone:
            if page_state.run != str(run.out):
                page_state = PageState(str(run.out))
                new = {
                    self.grid: self.example,
                    self.caption: _line(EXAMPLE_CAPTION if self.example else ""),
                    self.data: "",
                    self.record: gr.update(visible=False),
                }
            progress, grid = run.progress(), run.log.grid()
            new[self.bar] = progress.status
            if progress.state != page_state.state:
                new |= {
                    self.control.run: gr.update(visible=not progress.running),
                    self.control.stop: gr.update(visible=progress.running, interactive=progress.state != "stopping"),
                    self.timer: gr.Timer(active=progress.running),
                }
            if progress.row_count != page_state.row_count:
                new |= self.losses.shows(run.log)
            if grid and grid.path != page_state.grid and (shown := _readable(grid.path)):
                new |= {self.grid: shown, self.caption: _line(GRID_CAPTION[grid.stage].format(grid.step))}
                page_state = replace(page_state, grid=grid.path)
            if (data := tuple(found_in_data(run.log.folder))) != page_state.data:
                new[self.data] = "".join(map(_line, data))
                page_state = replace(page_state, data=data)
            plots = run.log.plots()
            if plots != page_state.plots and all(readable := [_readable(plot.path) for plot in plots]):
                new |= {self.record: gr.update(visible=bool(plots)), self.pictures: readable}
                page_state = replace(page_state, plots=plots)
            page_state = replace(page_state, state=progress.state, row_count=progress.row_count)
        offered = tuple(self.trainings.unfinished()), tuple(self.shelf.names())
        if offered != page_state.offered:
            new |= self._offer(*offered)
        return new | {self.page_state: replace(page_state, offered=offered)}

    def _offer(self, unfinished: Sequence[str], names: Sequence[str]) -> Updates:
        """What can be gone on with, and what can be chosen."""
        run = self.trainings.run
        first = run.name if run and run.name in unfinished else next(iter(unfinished), None)
        return {
            self.again: gr.update(visible=bool(unfinished)),
            self.unfinished: gr.update(choices=list(unfinished), value=first),
            self.checkpoint: gr.update(choices=list(names)),
            self.form[INIT]: gr.update(choices=starts(names)),
            self.use: gr.update(visible=bool(run and run.name in names)),
        }

    def _start(
        self,
        request: gr.Request,
        page_state: PageState,
        name: str,
        files: list[str] | None,
        path: str | None,
        preset: str,
        *values: Any,
    ) -> Updates:
        self._must_admit(request)
        data = Path(path.strip()).expanduser().absolute() if path and path.strip() else None
        if data and self.trainings.open_to != "here":
            raise Problem("A folder of the machine can be used by those who are at it alone; upload pictures.")
        if data and files:
            raise Problem("There are uploaded pictures and a folder; take one of them away.")
        fields = dict(zip([*self.both, *self.form], values, strict=True))
        fields[INIT] = self._start_from(fields[INIT])
        order = Order.of(preset, data, **fields)
        self.trainings.start(name, order, None if data else lambda archive: pack(files, archive))
        return self.refresh(request, page_state)

    def _start_from(self, name: str | None) -> Path | None:
        """The folder of the checkpoint to start from; None for none. Only names on the shelf are folders."""
        if not name:
            return None
        if name not in self.shelf.names():
            raise Problem(f"There is no checkpoint {name!r} to start from; choose one from the list.")
        return self.shelf.root / name

    def _show_preset_values(self, preset: str, start: str | None) -> list[Any]:
        return preset_values(self.form, preset, self._start_from(start))

    def _stop(self, request: gr.Request, page_state: PageState) -> Updates:
        self._must_admit(request)
        self.trainings.stop()
        return self.refresh(request, page_state)

    def _resume(self, request: gr.Request, page_state: PageState, name: str | None) -> Updates:
        self._must_admit(request)
        self.trainings.resume(name)
        return self.refresh(request, page_state)

    def _must_admit(self, request: gr.Request) -> None:
        if not self.trainings.admits(request.headers):
            raise Problem("Training is off here; the app's owner can start it with --allow-training.")

    def trained_name(self) -> str:
        """Name of the checkpoint that the last run has made.

        Raises:
            Problem: there is none.
        """
        run = self.trainings.run
        if run is None or run.name not in self.shelf.names():
            raise Problem("There is no trained checkpoint yet.")
        return run.name


def _whole(label: str, name: str) -> gr.Textbox:
    """A box for a whole number: text, since those for numbers turn into 0 when empty."""
    return gr.Textbox(label=label, placeholder="as in the preset", max_length=9, max_lines=1, elem_id=f"train-{name}")


def _readable(path: Path) -> str | None:
    """A grid in Gradio's cache; None while the run is still writing it."""
    try:
        return cached(open_picture(path))
    except PictureError:
        return None


def _line(text: str) -> str:
    return f'<p class="hint">{html.escape(text)}</p>'


def _about(preset: str) -> str:
    request = Order(preset=preset).request(Path("out"))
    lengths = [f"{STAGES[stage]} {getattr(request, stage).iterations} steps" for stage in request.stages]
    numbers = f"{request.size} pixels, {', '.join(lengths)}."
    return _line(f"{PRESET_NOTES[preset]} {numbers}" if preset in PRESET_NOTES else numbers)
