"""One inpainting as the page asks for it, and its draft of a few steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, NamedTuple

from PIL import Image

from ddpm_core.diffusion.samplers import last
from ddpm_core.images.crop import Frame
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import InpaintRequest
from ui.components import editor_canvas
from ui.errors import build_request
from ui.files import opened_upload
from ui.models import Shelf
from ui.run_inputs import RunInputs
from ui.serving.turns import in_turns

# What a draft is made with, by the checkpoint's own sampler. Seven calls of the denoiser: shapes and colours already
# stand, and on two CPU cores they are there before the hand has reached for the next stroke.
DRAFT: dict[str, Any] = {"steps": 4, "resamples": 2, "count": 1, "enlarge": False}


class Answer(NamedTuple):
    """What the shown result answers: as it opens, the editor reports its paint several times.

    Attributes:
        paint: digest of the picture's path and what is painted on it.
        request_key: what was asked for; None if the paint came with the picture.
    """

    paint: str
    request_key: str | None = None

    @classmethod
    def opened(cls, picture: str, size: tuple[int, int], editor: Mapping[str, Any]) -> Answer:
        """To a picture of that size (width, height) just opened, with what the editor shows on it."""
        return cls(_paint(RunInputs(InpaintRequest(), picture, editor_canvas.painted_on(editor, size))))

    def covers(self, other: Answer) -> bool:
        """Whether nothing new is asked by `other`."""
        return self.paint == other.paint and self.request_key in (None, other.request_key)


@dataclass(frozen=True)
class InpaintTask:
    """An inpainting ready to be run."""

    inputs: RunInputs
    model: LatentDiffusion
    original: Image.Image

    @classmethod
    def of(
        cls, shelf: Shelf, checkpoint: str, picture: str | None, editor: Mapping[str, Any] | None, **fields: Any
    ) -> InpaintTask:
        """From the page's controls, `fields` being those of `InpaintRequest`.

        Raises:
            Problem: there is no picture, or a control is out of bounds.
            PictureError, CheckpointError: one of the files cannot be used.
        """
        model = shelf.load(checkpoint)
        request = build_request(InpaintRequest, model, **fields)
        picture = editor_canvas.opened(picture, editor)
        original = opened_upload(picture)
        inputs = RunInputs(request, picture, editor_canvas.painted_on(editor, original.size))
        return cls(inputs, model, original)

    @property
    def request(self) -> InpaintRequest:
        """What is asked for."""
        assert isinstance(self.inputs.request, InpaintRequest)
        return self.inputs.request

    @property
    def answer(self) -> Answer:
        """What its result answers; sampler and what `DRAFT` changes make it finer, or more of them, not another."""
        request_key = self.request.model_copy(update=DRAFT).model_dump_json(exclude={"sampler"})
        return Answer(_paint(self.inputs), f"{self.model.name} {request_key}")

    def frame(self) -> Frame:
        """The window the model works on. Raises `MaskError` where nothing is to be done."""
        return self.inputs.frame(self.model, self.original)

    def make(self, frame: Frame) -> Image.Image:
        """The first seed's square."""
        made = self.model.inpaint(self.request, frame.image(), frame.mask())
        return self.model.pictures(last(in_turns(made)).latent)[0]


def is_new(task: InpaintTask, editor: Mapping[str, Any] | None, answered: Answer | None) -> bool:
    """Whether a report of the editor, or a turned control, asks for something that is not shown yet."""
    painted = task.inputs.painted
    if painted is None or not painted.any() or (answered and answered.covers(task.answer)):
        return False
    return editor_canvas.shows(editor, task.original)


def _paint(inputs: RunInputs) -> str:
    digest = blake2b(str(inputs.picture).encode(), digest_size=16)
    if inputs.painted is not None:
        digest.update(inputs.painted.tobytes())
    return digest.hexdigest()
