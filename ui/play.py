"""The Play tab: the way from one seed to another, and pictures that are something either way up."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import gradio as gr
from PIL import Image

from ddpm_core.guidance import VIEWS
from ddpm_core.pictures import seen
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.samplers import Step
from ddpm_core.schema import MAX_STRIP, AnagramRequest, BetweenRequest, GenerateRequest
from ui import examples
from ui.controls import sampling, seed_row, stage_of
from ui.errors import ask
from ui.files import cached, workspace
from ui.live import AT_ONCE, RunControl, watch
from ui.models import Shelf
from ui.process import SIDE, animate
from ui.results import save

PAIRS = 4  # most anagrams at once: each takes twice the time of a picture, and twice the room
SECONDS = 4.0  # of the GIF, there and back
VIEW_NAMES = {  # what they are called on the page; one that is not here goes by its name in requests
    "upside-down": "upside down", "mirrored": "mirrored", "turned-90": "a quarter turn left",
    "turned-180": "half a turn", "turned-270": "a quarter turn right",
}  # fmt: skip

Updates = dict[gr.components.Component, Any]


@dataclass(frozen=True)
class Game:
    """One thing to play at.

    Attributes:
        name: what it is called on the page.
        told: a line about it.
        kind: its request.
        count: which control says how many pictures.
        begin: the steps of the run.
        captions: what stands under the pictures, those of `turned` after the others.
        turned: the other way to look at a picture; None if there is none.
    """

    name: str
    told: str
    kind: type[GenerateRequest]
    count: str
    begin: Callable[[LatentDiffusion, Any], Iterator[Step]]
    captions: Callable[[Any], list[str]]
    turned: Callable[[Any, Image.Image], Image.Image] | None = None


def _places(request: BetweenRequest) -> list[str]:
    between = [f"{share:.0%}" for share in request.shares]
    return [f"seed {request.seed}", *between[1:-1], f"seed {request.to}"]


def _ways(request: AnagramRequest) -> list[str]:
    seeds = [f"seed {one.seed}" for one in request.singles()]
    return seeds + [f"{seed}, {VIEW_NAMES.get(request.view, request.view)}" for seed in seeds]


def _turned(request: AnagramRequest, picture: Image.Image) -> Image.Image:
    return seen(picture, VIEWS[request.view].see)


GAMES = {
    "between": Game(
        "between two seeds", "Two faces, and those that lie between them.", BetweenRequest, "strip",
        LatentDiffusion.between, _places,
    ),
    "anagram": Game(
        "two ways up",
        "One picture that is a face both ways. Two faces share its pixels, so they are rougher than one alone, and "
        "some seeds fail.",
        AnagramRequest, "pairs", LatentDiffusion.anagram, _ways, _turned,
    ),
}  # fmt: skip
FIRST = "between"


class PlayTab:
    """The tab's components and what its button does."""

    def __init__(self, shelf: Shelf, checkpoint: gr.Dropdown):
        """Build the tab inside the current layout."""
        self.shelf = shelf
        made, request = examples.between()
        shown = list(zip(map(cached, made), _places(request), strict=False)) if request else []
        start = request or BetweenRequest()
        self.last = gr.State(request)
        gr.HTML('<p class="lead">Walk through the noise between two faces, or fit two faces into one picture.</p>')
        with gr.Row(elem_classes="studio"):
            with gr.Column(scale=3, elem_classes="picture"):
                self.gallery = gr.Gallery(
                    shown, show_label=False, format="png", interactive=False, object_fit="contain",
                    buttons=["download", "fullscreen"], elem_id="play-gallery", elem_classes=stage_of(len(shown)),
                )  # fmt: skip
                told = f"Made earlier, from seed {start.seed} to seed {start.to}." if shown else "Nothing made yet."
                self.bar = RunControl.place_bar("play", told)
            with gr.Column(scale=1, min_width=264, elem_classes="controls"):
                self._place_controls(start)
                control = RunControl("Make", "play")
                with gr.Group(elem_classes="gif", visible=shown != []) as self.moving, workspace() as folder:
                    gif = there_and_back(made, folder, start) if shown else None
                    self.gif = gr.Image(
                        gif, type="filepath", interactive=False, show_label=False, buttons=[], label="GIF",
                        elem_id="play-gif",
                    )  # fmt: skip
                    self.download = gr.DownloadButton("Download GIF", gif, elem_id="play-download", size="md")
                with gr.Accordion("Advanced", open=False):
                    steps, sampler = sampling("play", GAMES[FIRST].kind)
        self.fields: dict[str, gr.components.Component] = {
            "seed": self.seed, "to": self.to, "strip": self.strip, "view": self.view, "pairs": self.pairs,
            "steps": steps, "sampler": sampler,
        }  # fmt: skip
        control.wire(
            self._run,
            [checkpoint, self.game, *self.fields.values()],
            [self.gallery, self.moving, self.gif, self.download, self.last],
            self.bar,
        )
        self.game.change(_explained, self.game, [self.told, self.way, self.turn, steps, sampler], **AT_ONCE)

    def _place_controls(self, start: BetweenRequest) -> None:
        view = AnagramRequest.model_fields["view"]
        self.game = gr.Radio(
            [(game.name, key) for key, game in GAMES.items()], value=FIRST, label="Play", elem_id="play-game"
        )
        self.told = gr.HTML(_told(FIRST), elem_id="play-told")
        self.seed = seed_row("play", self.last, value=start.seed)
        with gr.Column(elem_classes="part") as self.way:
            self.to = seed_row("play-to", self.last, value=start.to, label="To seed", field="to")
            self.strip = gr.Slider(
                2, MAX_STRIP, start.count, step=1, label="Pictures on the way", elem_id="play-strip", buttons=[]
            )
        with gr.Column(elem_classes="part", visible=False) as self.turn:
            self.view = gr.Radio(
                [(VIEW_NAMES.get(key, key), key) for key in get_args(view.annotation)], value=view.default,
                label="The other way", elem_id="play-view",
            )  # fmt: skip
            self.pairs = gr.Slider(1, PAIRS, 1, step=1, label="Pictures", elem_id="play-pairs", buttons=[])

    def _run(self, checkpoint: str, key: str, *asked: Any) -> Iterator[Updates]:
        game, fields = GAMES[key], dict(zip(self.fields, asked, strict=True))
        given = {name: value for name, value in fields.items() if name in game.kind.model_fields}
        request = ask(game.kind, **given, count=fields[game.count])
        model, captions = self.shelf.load(checkpoint), game.captions(request)
        for tick in watch(game.begin(model, request), request.calls):
            if tick.due:
                made = model.pictures(tick.step.denoised)
                shown = [cached(picture) for picture in [*made, *_other(game, request, made)]]
                yield {self.gallery: _on_stage(shown, captions), self.bar: tick.status}
            elif tick.told:
                yield {self.bar: tick.status}
        made = model.pictures(tick.step.latent)
        with workspace() as folder:
            files = save(made, request, model, folder)
            if other := _other(game, request, made):
                files += save(other, request, model, folder, prefix=f"{fields['view']}-")
            gif = there_and_back(made, folder, request) if isinstance(request, BetweenRequest) else None
            yield {
                self.gallery: _on_stage(files, captions),
                self.moving: gr.update(visible=gif is not None),
                self.gif: gif,
                self.download: gif,
                self.last: request,
                self.bar: tick.finished,
            }


def _other(game: Game, request: GenerateRequest, made: Sequence[Image.Image]) -> list[Image.Image]:
    return [game.turned(request, picture) for picture in made] if game.turned else []


def there_and_back(made: Sequence[Image.Image], folder: Path, request: BetweenRequest) -> str:
    """A looping GIF of the way between two seeds, walked in both directions; returns its path."""
    return animate([*made, *reversed(made[:-1])], folder, SECONDS, SIDE, request.stem)


def _on_stage(files: Sequence[str], captions: Sequence[str]) -> Any:
    shown = list(zip(files, captions, strict=True))
    return gr.update(value=shown, elem_classes=stage_of(len(shown)), selected_index=None)


def _explained(key: str) -> tuple[Any, ...]:
    fields = GAMES[key].kind.model_fields
    parts = [gr.update(visible=GAMES[key].count == part) for part in ("strip", "pairs")]
    return _told(key), *parts, fields["steps"].default, fields["sampler"].default


def _told(key: str) -> str:
    return f'<p class="told">{GAMES[key].told}</p>'
