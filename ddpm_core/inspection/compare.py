"""One seed by different settings, side by side: a labelled grid, with seconds and calls of the model in each place."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from ddpm_core.diffusion.prediction import Prediction, Predictor
from ddpm_core.diffusion.samplers import Step
from ddpm_core.errors import UserError
from ddpm_core.images.files import as_rgb
from ddpm_core.images.masks import face_mask
from ddpm_core.inspection.compare_places import ComparisonRequest, Place, places
from ddpm_core.inspection.compare_request import CompareRequest
from ddpm_core.inspection.rescheduled import under_schedule
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import GenerateRequest, InpaintRequest

TILE = 128  # pixels of a picture in the grid, at least

Load = Callable[[str], LatentDiffusion]  # a model by its checkpoint's name


@dataclass(frozen=True)
class Made:
    """A place that is done."""

    place: Place
    picture: Image.Image | None = None  # None where nothing could be made, as `note` says
    calls: int = 0  # of the model
    seconds: float = 0.0  # that they took, without making pixels of the latent
    note: str = ""


@dataclass(frozen=True)
class Upload:
    """A picture and what is painted on it, bool (H, W), for inpaintings."""

    picture: Image.Image
    painted: np.ndarray


@dataclass
class CountedCalls:
    """A wrapper that counts calls of the model."""

    number: int = field(default=0)

    def __call__(self, predict: Predictor) -> Predictor:
        def counted(noisy: Tensor, t: Tensor) -> Prediction:
            self.number += 1
            return predict(noisy, t)

        return counted


def compare(grid: Iterable[Place], load: Load, upload: Upload | None = None) -> Iterator[Made]:
    """Make the pictures of a grid, one after the other; what a checkpoint cannot make has a note instead."""
    return (one for one in compare_by_step(grid, load, upload) if one is not None)


def compare_by_step(grid: Iterable[Place], load: Load, upload: Upload | None = None) -> Iterator[Made | None]:
    """As `compare`, with None after every step of a picture, so that it can be left, or wait, in between."""
    models: dict[str, LatentDiffusion] = {}
    for place in grid:
        if place.request is None:
            yield Made(place, note=place.note)
            continue
        try:
            if place.checkpoint not in models:
                model = models[place.checkpoint] = load(place.checkpoint)
                # What is set up at first is no sampler's fault.
                yield from _made(model, _shortest(place.request), upload)
            model = models[place.checkpoint]
            calls = CountedCalls()
            counted = model.with_wrapper(calls)
            if place.schedule is not None:
                counted = under_schedule(counted, place.schedule)
            picture, seconds = yield from _made(counted, place.request, upload)
        except UserError as error:  # a class that one of the checkpoints does not have, say
            yield Made(place, note=str(error))
            continue
        yield Made(place, picture, calls.number, seconds)


def _made(
    model: LatentDiffusion, request: GenerateRequest, upload: Upload | None
) -> Generator[None, None, tuple[Image.Image, float]]:
    """The picture of a request, and the seconds that its steps took; stops after each of them."""
    if not isinstance(request, InpaintRequest):
        latent, seconds = yield from _timed(model.generate(request))
        return model.pictures(latent)[0], seconds
    if upload is None:
        raise UserError("an inpainting needs a picture and what is painted on it.")
    frame = model.frame(request, upload.picture, upload.painted)
    latent, seconds = yield from _timed(model.inpaint(request, frame.image(), frame.mask()))
    return as_rgb(frame.reduced(model.size).paste(model.pictures(latent)[0])), seconds


def _shortest(request: GenerateRequest) -> GenerateRequest:
    single: dict[str, Any] = {name: 1 for name in ("steps", "resamples", "jump") if hasattr(request, name)}
    return request.model_copy(update=single)


def _timed(steps: Iterator[Step]) -> Generator[None, None, tuple[Tensor, float]]:
    """The latent that a run ends on, and the seconds in its steps alone, not those between them."""
    latent, seconds = torch.empty(0), 0.0
    while True:
        began = time.perf_counter()
        step = next(steps, None)
        if step is None and latent.device.type == "cuda":
            torch.cuda.synchronize()  # what its steps have only handed to the device
        seconds += time.perf_counter() - began
        if step is None:
            return latent, seconds
        latent = step.latent
        yield


def sheet(comparison: CompareRequest, made: Iterable[Made], title: str = "") -> Image.Image:
    """The grid as one RGB picture: settings and values around it, seconds and calls under each picture.

    Places that are not `made` yet are grey.
    """
    done = {(one.place.row, one.place.column): one for one in made}
    rows, columns = comparison.values("down"), comparison.values("across")
    tile = max([TILE, *(max(_enlarged(one.picture).size) for one in done.values() if one.picture)])
    font, small = ImageFont.load_default(15), ImageFont.load_default(12)
    left = 12 if comparison.down == "none" else 24 + max(int(font.getlength(text)) for text in (*rows, comparison.down))
    top, below, gap = 62, 24, 8
    size = left + len(columns) * (tile + gap) + 4, top + len(rows) * (tile + below + gap)
    canvas = Image.new("RGB", (max(size[0], 24 + int(small.getlength(title))), size[1]), "white")
    draw = ImageDraw.Draw(canvas)
    draw.text((12, 8), title, "#555555", small)
    if comparison.down != "none":
        draw.text((12, 36), comparison.down, "#777777", small)
    for column, value in enumerate(columns):
        text = f"{comparison.across} {value}" if column == 0 else value
        draw.text((left + column * (tile + gap) + tile // 2, 44), text, "black", font, anchor="mm")
    for row, value in enumerate(rows):
        y = top + row * (tile + below + gap)
        draw.text((12, y + tile // 2), value, "black", font, anchor="lm")
        for column in range(len(columns)):
            x = left + column * (tile + gap)
            draw.rectangle((x, y, x + tile - 1, y + tile - 1), "#eeeeee")
            if one := done.get((row, column)):
                _draw_place(canvas, draw, one, x, y, tile, small)
    return canvas


def _draw_place(
    canvas: Image.Image, draw: ImageDraw.ImageDraw, one: Made, x: int, y: int, tile: int, font: Any
) -> None:
    if one.picture is None:
        draw.multiline_text((x + 8, y + 8), _wrapped(one.note, tile - 16, font), "#777777", font)
        return
    picture = _enlarged(one.picture)
    canvas.paste(picture, (x + (tile - picture.width) // 2, y + (tile - picture.height) // 2))
    draw.text((x + tile // 2, y + tile + 11), numbers(one), "#333333", font, anchor="mm")


def numbers(one: Made) -> str:
    """What stands under a picture: "20 calls, 0.41 s"."""
    return f"{one.calls} call{'s' * (one.calls != 1)}, {one.seconds:.2f} s"


def _enlarged(picture: Image.Image) -> Image.Image:
    """A small picture at a whole multiple of its size."""
    times = max(1, TILE // max(picture.size))
    return picture.resize((times * picture.width, times * picture.height), Image.Resampling.NEAREST)


def _wrapped(text: str, width: int, font: Any) -> str:
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return "\n".join(lines).strip()


def facts(one: Made, comparison: CompareRequest) -> dict[str, Any]:
    """A place as plain values: its settings, calls and seconds, or the note."""
    across, down = comparison.values("across")[one.place.column], comparison.values("down")[one.place.row]
    settings = {comparison.across: across} | ({comparison.down: down} if comparison.down != "none" else {})
    outcome = {"note": one.note} if one.note else {"calls": one.calls, "seconds": round(one.seconds, 4)}
    return settings | outcome


def comparison(
    name: str, picture: Image.Image, request: ComparisonRequest, base: GenerateRequest, load: Load
) -> Generator[list[Made], None, list[Made]]:
    """All places of a comparison by the checkpoint `name`; yields those made after every step of the next one.

    `base` is `request.base` of the model.

    Raises:
        UserError: as `places`.
    """
    upload = None if request.region == "none" else Upload(picture, face_mask(request.region, picture))
    made: list[Made] = []
    for one in compare_by_step(places(request, base, name), load, upload):
        made += [] if one is None else [one]
        yield made
    return made
