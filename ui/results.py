"""Finished pictures as files a visitor can keep."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from PIL import Image

from ddpm_core.images.animation import FORMATS
from ddpm_core.images.animation import there_and_back as walked
from ddpm_core.images.crop import Frame
from ddpm_core.images.files import read_parameters, save_png
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import AnimationSettings, BetweenRequest, GenerateRequest, WalkSettings
from ui.errors import build_request
from ui.files import scratch, written
from ui.run_inputs import RunInputs, made_larger
from ui.serving.turns import end_if_left

USUAL = AnimationSettings()
MADE_OF_A_PICTURE = {"inpaint": "inpainted-", "edit": "edited-", "enlarge": "enlarged-"}  # how such files' names begin
SHOWN = 1024  # longer side of a result on the page; the file to download has the upload's size


def save(
    pictures: Iterable[Image.Image],
    request: GenerateRequest,
    model: LatentDiffusion,
    folder: Path,
    prefix: str = "",
    onto: str | None = None,
    enlarged_by: str | None = None,
) -> list[str]:
    """Paths of one PNG per picture of the batch, parameters in its text.

    If `onto`, the file they were made of, was itself made here, they say how that was made, too; and the checkpoint by
    which they were enlarged.
    """
    prefix = prefix or MADE_OF_A_PICTURE.get(request.action, "")
    past = {} if onto is None else read_parameters(onto)
    before: dict[str, Any] = {"continued_from": past} if "action" in past else {}
    before |= {} if enlarged_by is None else {"enlarged_by": enlarged_by}
    of = "" if onto is None else f"{Path(onto).stem[:60]}-"  # results of two uploads are told apart by their names
    paths = []
    for picture, one in zip(pictures, request.singles(), strict=True):
        end_if_left()  # a large picture takes seconds
        path = folder / f"{prefix}{of}{model.stem}-{one.stem}.png"
        save_png(picture, path, model.png_parameters(one) | before)
        paths.append(str(path))
    return paths


@dataclass(frozen=True)
class Results:
    """Finished inpaintings or edits, kept on disk for as long as somebody holds this object.

    Attributes:
        files: the pictures at full size, parameters in their text.
        before, shown: what they were made of and the pictures, at most `SHOWN` pixels.
    """

    files: list[str]
    before: str
    shown: list[str]
    folder: TemporaryDirectory

    @classmethod
    def of(
        cls,
        frame: Frame,
        made: Sequence[Image.Image],
        inputs: RunInputs,
        model: LatentDiffusion,
        enlarger: LatentDiffusion | None = None,
    ) -> Results:
        """Paste the model's squares, larger by `enlarger`, back into the upload and write everything."""
        if enlarger is not None:
            made = made_larger(made, inputs.request, enlarger)
        folder = scratch()
        root, small = Path(folder.name), frame.reduced(SHOWN)
        pasted = (frame.paste(square) for square in made)  # one at a time: an upload may be large
        name = None if enlarger is None else enlarger.name
        files = save(pasted, inputs.request, model, root, onto=inputs.picture, enlarged_by=name)
        before = written(small.picture, root, "before")
        if small is frame:
            return cls(files, before, files, folder)
        named = zip(made, inputs.request.singles(), strict=True)  # the page says the seed in a file's name
        return cls(
            files, before, [written(small.paste(square), root, f"shown-{one.stem}") for square, one in named], folder
        )

    @classmethod
    def edited(
        cls, before: Image.Image, made: Sequence[Image.Image], inputs: RunInputs, model: LatentDiffusion
    ) -> Results:
        """Write what was made of the square `before`; nothing is pasted."""
        folder = scratch()
        root = Path(folder.name)
        files = save(made, inputs.request, model, root, onto=inputs.picture)
        return cls(files, written(before, root, "before"), files, folder)

    def pair(self, index: int) -> tuple[str, str]:
        return self.before, self.shown[index]


def animate(frames: Sequence[Image.Image], folder: Path, name: str, shown: AnimationSettings = USUAL) -> str:
    """Path of a moving picture in one of the `FORMATS` of `ddpm_core.images.animation`."""
    path = folder / f"{name}.{shown.format}"
    FORMATS[shown.format](frames, path, shown.seconds, shown.size)
    return str(path)


def there_and_back(made: Sequence[Image.Image], folder: Path, request: BetweenRequest, format: str = "gif") -> str:
    """Path of the way between two seeds as a moving picture, walked in both directions."""
    return animate(walked(made), folder, request.stem, build_request(WalkSettings, format=format))
