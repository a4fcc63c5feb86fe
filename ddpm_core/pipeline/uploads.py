"""What a model sees of an upload: the window that an inpainting works on, or one square."""

from __future__ import annotations

import numpy as np
from PIL import Image

from ddpm_core.checkpoints.native import Framing
from ddpm_core.images.crop import Frame, box_crop, center_crop
from ddpm_core.images.faces import Box, center_box, find_faces
from ddpm_core.images.files import as_picture
from ddpm_core.images.masks import inpainting_mask
from ddpm_core.requests import InpaintRequest


class Uploads:
    """The part of `LatentDiffusion` that frames what it is given; its attributes are described there."""

    size: int
    framing: Framing

    def frame(self, request: InpaintRequest, picture: Image.Image, painted: np.ndarray) -> Frame:
        """The window of an upload that an inpainting works on, for what is `painted`, bool (H, W), on a `picture`.

        Raises:
            MaskError: the mask leaves nothing to make or nothing to keep, or is not the picture's size.
        """
        mask = inpainting_mask(painted, picture.size, request.keep_painted, request.grow)
        # A face that lies as it should in the whole picture is shown with the whole picture around it.
        center = center_box(*picture.size)
        faces = [face for face in self._faces(picture) if not face.like(center)] if request.crop == "auto" else []
        return Frame.around(picture, mask, self.size, request.crop, request.feather, faces)

    def square(self, picture: Image.Image) -> Image.Image:
        """An upload of any shape as the model sees it: RGB, `size` pixels a side.

        That is the largest square in the picture's middle; if the model knows faces, the largest face.
        """
        upload = as_picture(picture)
        largest = next(iter(self._faces(upload)), None)
        if largest is None or largest.like(center_box(*upload.size)):
            return center_crop(upload, self.size)
        return box_crop(upload, largest, self.size)

    def _faces(self, picture: Image.Image) -> list[Box]:
        return find_faces(picture) if self.framing == "face" else []
