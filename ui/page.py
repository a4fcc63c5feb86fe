"""The whole page: header, tabs, footer, and what carries a picture from one tab to the next."""

from __future__ import annotations

import html
import re
from functools import partial
from typing import Any

import gradio as gr
from starlette.middleware import Middleware

from ddpm_core.errors import UserError
from ddpm_core.machine import pick_device
from ddpm_core.requests import GenerateRequest
from ui.api import endpoints as api
from ui.components.choice import kept, put_back, wire
from ui.components.controls import icon_button
from ui.components.events import AT_ONCE, ONE_AT_A_TIME, PAGE_ONLY
from ui.components.progress import Updates
from ui.errors import Problem, as_warning, without_warning
from ui.help import documentation
from ui.languages import translate, translations
from ui.models import Shelf, knows_faces
from ui.play_modes import MODES
from ui.run_inputs import RunInputs
from ui.saved_settings import saved_settings
from ui.serving import sweep
from ui.serving.calls import Page
from ui.serving.guard import Guard
from ui.serving.line import Line
from ui.serving.metrics import Metrics
from ui.serving.settings import FRAMED_BY, ServingSettings
from ui.tabs.edit import EditTab
from ui.tabs.generate import GenerateTab, picked
from ui.tabs.inpaint import InpaintTab
from ui.tabs.inside.tab import InsideTab
from ui.tabs.play import PlayTab
from ui.tabs.process import ProcessTab
from ui.tabs.real import RealTab
from ui.tabs.train import TrainTab
from ui.theme import STATIC, colours, theme
from ui.training.runs import Trainings

TITLE = "Latent diffusion studio"
SESSIONS = 2000  # whose states are kept, those used last: each may hold settings and results; Gradio would keep 10,000
SCRIPTS = (
    "connection.js", "uploads.js", "studio.js", "everybody.js", "touch.js", "canvas.js", "drafts.js", "history.js",
)  # fmt: skip


def build(shelf: Shelf, trainings: Trainings | None = None, settings: ServingSettings | None = None) -> gr.Blocks:
    """The page for the checkpoints on a shelf; start it with `launch(**launch_settings())`. Without `trainings`, nobody
    may train.
    """
    with Page(title=TITLE, analytics_enabled=False, delete_cache=(sweep.EVERY, sweep.HOUR)) as page:
        with gr.Row(elem_id="header", equal_height=True):
            logo = (STATIC / "logo.svg").read_text(encoding="utf-8")
            gr.HTML(f"<h1>{logo}<span>{TITLE}</span></h1>", elem_id="title")
            checkpoint = gr.Dropdown(
                shelf.names(), value=shelf.first, show_label=False, label="Checkpoint", container=False, scale=0,
                min_width=200, elem_id="checkpoint", filterable=False,
            )  # fmt: skip
            chosen_before = kept(checkpoint)
            shade = icon_button("Light or dark", "shade", "shade")
        footer = gr.HTML(_facts(shelf, shelf.first), elem_id="footer", render=False)
        card = gr.Markdown(_card(shelf, shelf.first), render=False)
        # A browser handles what listens to an event in the order in which it was wired, each to its end. So these come
        # before all else that follows the choice, of which some waits for others' turns.
        checkpoint.change(
            without_warning(lambda name: (_facts(shelf, name), _card(shelf, name))), checkpoint, [footer, card],
            **AT_ONCE,
        )  # fmt: skip
        # Who chooses a checkpoint that cannot be used is told here; all else that follows the choice says nothing.
        checkpoint.change(as_warning(partial(_must_load, shelf)), checkpoint, None, **PAGE_ONLY, **ONE_AT_A_TIME)
        with gr.Tabs(elem_id="tabs") as tabs:
            with gr.Tab("Generate", id="generate"):
                generate = GenerateTab(shelf, checkpoint)
            with gr.Tab("Inpaint", id="inpaint"):
                inpaint = InpaintTab(shelf, checkpoint)
            with gr.Tab("Edit", id="edit"):
                edit = EditTab(shelf, checkpoint)
            with gr.Tab("Play", id="play"):
                play = PlayTab(shelf, checkpoint)
            with gr.Tab("Process", id="process"):
                process = ProcessTab(shelf, checkpoint)
            with gr.Tab("Look inside", id="inside") as looked_into:
                InsideTab(shelf, checkpoint, looked_into)
            with gr.Tab("Train", id="train") as opened:
                train = TrainTab(shelf, checkpoint, trainings or Trainings(shelf.root))
            if settings and settings.which_is_real:
                with gr.Tab("Which one is real?", id="real"):
                    RealTab(shelf, checkpoint, settings.which_is_real, settings.answers)
        footer.render()
        with gr.Accordion("Model card", open=False, elem_id="card"):
            card.render()
        with gr.Accordion("Documentation", open=False, elem_id="help"):
            gr.Markdown(documentation())
        page.for_programs = api.build(shelf)

        for enlarging in (generate.enlarging, edit.enlarging):
            gr.on([page.load, checkpoint.focus], enlarging.offered, checkpoint, enlarging.button, **AT_ONCE)
        shade.click(None, js="() => window.studio.shade()", **AT_ONCE)
        put_back(page, checkpoint, chosen_before, shelf.names)
        checkpoint.focus(lambda: gr.update(choices=shelf.names()), None, checkpoint, **AT_ONCE)
        wire(checkpoint)
        _connect(shelf, tabs, checkpoint, generate, inpaint, process)
        _connect_edit(tabs, checkpoint, generate, edit)
        _connect_settings(shelf, tabs, checkpoint, generate, inpaint, edit, play)
        # Not as the page loads: few visitors open the tab, and a refresh goes through all that it shows.
        opened.select(as_warning(train.refresh), train.page_state, train.shows, **AT_ONCE)
        train.use.click(
            as_warning(lambda: (gr.Tabs(selected="generate"), train.trained_name())),
            None,
            [tabs, checkpoint],
            **PAGE_ONLY,
        )
        translate(page)
    page._queue = Line(page, settings or ServingSettings(), Metrics())
    return page


def _connect(
    shelf: Shelf,
    tabs: gr.Tabs,
    checkpoint: gr.Dropdown,
    generate: GenerateTab,
    inpaint: InpaintTab,
    process: ProcessTab,
) -> None:
    def paint_on(gallery: list[tuple[str, str]] | None, index: int, name: str) -> Updates:
        picture = picked(gallery, index)
        faces = knows_faces(shelf.load(name))  # whose eyes are where the example's are
        return {tabs: gr.Tabs(selected="inpaint"), **inpaint.show(picture, with_mask=faces)}

    def trace_face(request: GenerateRequest | None, index: int) -> tuple[Any, ...]:
        inputs = None if request is None else RunInputs(request).single(index)
        return gr.Tabs(selected="process"), *process.carry(inputs)

    def trace_inpainting(inputs: RunInputs | None, index: int) -> tuple[Any, ...]:
        if inputs is None:
            raise Problem("Inpaint something first; then its process can be shown.")
        return gr.Tabs(selected="process"), *process.carry(inputs.single(index))

    generate.to_inpaint.click(
        as_warning(paint_on), [generate.gallery, generate.chosen, checkpoint], [tabs, *inpaint.opens], **PAGE_ONLY
    )
    generate.to_process.click(
        as_warning(trace_face), [generate.last, generate.chosen], [tabs, *process.carried], **PAGE_ONLY
    )
    inpaint.to_process.click(
        as_warning(trace_inpainting), [inpaint.done, inpaint.view.chosen], [tabs, *process.carried], **PAGE_ONLY
    )


def _connect_edit(tabs: gr.Tabs, checkpoint: gr.Dropdown, generate: GenerateTab, edit: EditTab) -> None:
    def change(gallery: list[tuple[str, str]] | None, index: int, name: str) -> Updates:
        return {tabs: gr.Tabs(selected="edit"), **edit.show(picked(gallery, index), name)}

    generate.to_edit.click(
        as_warning(change), [generate.gallery, generate.chosen, checkpoint], [tabs, *edit.opens], **PAGE_ONLY
    )


def _connect_settings(
    shelf: Shelf,
    tabs: gr.Tabs,
    checkpoint: gr.Dropdown,
    generate: GenerateTab,
    inpaint: InpaintTab,
    edit: EditTab,
    play: PlayTab,
) -> None:
    homes: dict[str, tuple[str, GenerateTab | InpaintTab | EditTab | PlayTab]] = {
        "generate": ("generate", generate), "inpaint": ("inpaint", inpaint), "edit": ("edit", edit),
        **dict.fromkeys(MODES, ("play", play)),
    }  # fmt: skip

    def use(path: str, chosen: str) -> Updates:
        request, made_by = saved_settings(path)
        name = made_by if made_by in shelf.names() else chosen
        if name != made_by:
            gr.Info(html.escape(f"The checkpoint {made_by!r} is not here; {name} will make another picture."))
        if request.action not in homes:
            raise Problem(f"It was enlarged from seed {request.seed}: open in Edit what it was made of, press Enlarge.")
        home, tab = homes[request.action]
        return {tabs: gr.Tabs(selected=home), checkpoint: name, **tab.fill(request, shelf.load(name))}

    fills = [tabs, checkpoint, play.mode, play.filled]
    for tab, bar in ((generate, generate.bar), (inpaint, inpaint.view.bar), (edit, edit.view.bar), (play, play.bar)):
        fills += [*tab.fields.values(), bar]
    generate.settings.upload(as_warning(use), [generate.settings, checkpoint], fills, **PAGE_ONLY, **ONE_AT_A_TIME)


def launch_settings(framed_by: str = FRAMED_BY) -> dict[str, Any]:
    """Arguments of the page's `launch`: its looks, what Gradio adds or leaves out, and what guards it."""
    scripts = [(STATIC / name).read_text(encoding="utf-8") for name in SCRIPTS]
    return {
        "theme": theme(),
        "css": colours(),
        "css_paths": STATIC / "style.css",
        "head": "".join(f"<script>{script}</script>" for script in scripts),
        "i18n": translations(),
        "favicon_path": STATIC / "logo.svg",
        "footer_links": ["api"],
        "run_history": False,  # people's photographs do not belong into a history nobody asked for
        "show_error": False,  # what is worth telling is told by ui.errors
        "max_file_size": "100mb",
        "state_session_capacity": SESSIONS,
        "ssr_mode": False,
        "app_kwargs": {
            "middleware": [Middleware(Guard, scripts=scripts, framed_by=framed_by)],
            "lifespan": sweep.lifespan,
        },
        "quiet": True,
        # Gradio would give up if the page's first answer took 3 seconds; `ui.studio` asks with more patience.
        "_frontend": False,
    }


def _facts(shelf: Shelf, name: str) -> str:
    """What is known of a checkpoint without loading it; of one that cannot be read, its name."""
    try:
        parameters, about = shelf.at_a_glance(name)
        device = pick_device(shelf.device)
    except UserError:
        return f"<p><span>{html.escape(name)}</span></p>"
    facts = [name, f"{parameters / 1e6:.1f} M parameters", f"runs on {device}", about or "training pictures not stated"]
    return "<p>" + " · ".join(f"<span>{html.escape(fact)}</span>" for fact in facts) + "</p>"


def _must_load(shelf: Shelf, name: str) -> None:
    shelf.load(name)


def _card(shelf: Shelf, name: str) -> str:
    # The card's pictures lie beside it on disk, where the page cannot reach them.
    text = re.sub(r"!\[[^\]]*\]\([^)]*\)", "", shelf.card(name))
    return text or "This checkpoint has no model card."
