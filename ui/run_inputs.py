"""What a run starts from, so that another tab can run it again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from ddpm_core.diffusion.concatenation import windows
from ddpm_core.diffusion.samplers import Step
from ddpm_core.images.crop import Frame
from ddpm_core.images.files import to_tensor
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import EditRequest, EnlargeRequest, GenerateRequest, InpaintRequest
from ui.errors import refuse_too_much
from ui.files import opened_upload
from ui.serving.together import generated
from ui.serving.turns import in_turns


@dataclass(frozen=True)
class RunInputs:
    """A request and, for one about a picture, the file of the upload; for an inpainting also `painted`, bool (H, W)."""

    request: GenerateRequest
    picture: str | None = None
    painted: np.ndarray | None = None

    def single(self, index: int) -> RunInputs:
        """The same for one picture of the batch."""
        singles = self.request.singles()
        return replace(self, request=singles[min(index, len(singles) - 1)])

    def frame(self, model: LatentDiffusion, original: Image.Image | None = None) -> Frame:
        """The window of the upload the model works on.

        Raises:
            PictureError: the upload is no picture, or gone.
            MaskError: nothing is painted, or nothing kept.
        """
        assert isinstance(self.request, InpaintRequest)
        assert self.picture is not None
        assert self.painted is not None
        return model.frame(self.request, original or opened_upload(self.picture), self.painted)

    def begin(
        self, model: LatentDiffusion, limit: int | None = None, original: Image.Image | None = None
    ) -> tuple[Iterator[Step], Callable[[Image.Image], Image.Image]]:
        """The sampler's steps, and how to make a result of one of the model's pictures.

        Args:
            limit: of an inpainting's result, pixels a side; by default the upload's.
            original: the upload, if it is open already.
        """
        if isinstance(self.request, InpaintRequest):
            frame = self.frame(model, original)
            shown = frame if limit is None else frame.reduced(limit)
            return model.inpaint(self.request, frame.image(), frame.mask()), shown.paste
        if isinstance(self.request, EditRequest):
            assert self.picture is not None
            square = model.square(original or opened_upload(self.picture))
            return model.edit(self.request, to_tensor(square)), _as_it_is
        if isinstance(self.request, EnlargeRequest):
            assert self.picture is not None
            sheet = model.enlargement(original or opened_upload(self.picture))
            refuse_too_much(self.request, windows(*sheet.size, sheet.side))
            return model.enlarge(self.request, sheet.image()), sheet.cut
        if type(self.request) is GenerateRequest:
            return generated(model, self.request).steps(), _as_it_is
        return getattr(model, self.request.action)(self.request), _as_it_is  # which is called as what it does


def made_larger(made: Sequence[Image.Image], request: GenerateRequest, enlarger: LatentDiffusion) -> list[Image.Image]:
    """An inpainting's squares by a model that enlarges."""
    return enlarger.enlarged(made, request.seed, in_turns)


def _as_it_is(picture: Image.Image) -> Image.Image:
    return picture
