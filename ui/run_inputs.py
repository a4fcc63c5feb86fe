"""What a run starts from, so that another tab can run it again and show how it came about."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from ddpm_core.diffusion.samplers import Step
from ddpm_core.images.crop import Frame
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import GenerateRequest, InpaintRequest
from ui.files import opened_upload


@dataclass(frozen=True)
class RunInputs:
    """A request and, for an inpainting, what it is about.

    Attributes:
        request: what was asked for.
        picture: file of the upload.
        painted: bool (H, W), what is painted on it.
    """

    request: GenerateRequest
    picture: str | None = None
    painted: np.ndarray | None = None

    def single(self, index: int) -> RunInputs:
        """The same for one picture of the batch alone."""
        singles = self.request.singles()
        return replace(self, request=singles[min(index, len(singles) - 1)])

    def frame(self, model: LatentDiffusion, original: Image.Image | None = None) -> Frame:
        """The window of the upload the model works on. Raises `MaskError` and `PictureError`."""
        assert isinstance(self.request, InpaintRequest)
        assert self.picture is not None
        assert self.painted is not None
        return model.frame(self.request, original or opened_upload(self.picture), self.painted)

    def begin(self, model: LatentDiffusion, limit: int) -> tuple[Iterator[Step], Callable[[Image.Image], Image.Image]]:
        """The sampler's steps, and how to show one of the model's pictures, at most `limit` pixels wide or high."""
        if not isinstance(self.request, InpaintRequest):
            return model.generate(self.request), lambda picture: picture
        frame = self.frame(model)
        return model.inpaint(self.request, frame.image(), frame.mask()), frame.reduced(limit).paste
