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


def frame(request: InpaintRequest, picture: Image.Image, painted: np.ndarray, size: int, framing: Framing) -> Frame:
    """The window that an inpainting of what is `painted`, bool (H, W), works on.

    Args:
        size, framing: of the pictures that the model was trained on.

    Raises:
        MaskError: the mask leaves nothing to make or to keep, or is not the picture's size.
    """
    mask = inpainting_mask(painted, picture.size, request.keep_painted, request.grow)
    # A face that lies as it should in the whole picture is shown with the whole picture around it.
    center = center_box(*picture.size)
    faces = [face for face in _faces(picture, framing) if not face.like(center)] if request.crop == "auto" else []
    return Frame.around(picture, mask, size, request.crop, request.feather, faces)


def square(picture: Image.Image, size: int, framing: Framing) -> Image.Image:
    """The largest square in a picture's middle, or its largest face with "face" framing: RGB, `size` pixels a side."""
    upload = as_picture(picture)
    largest = next(iter(_faces(upload, framing)), None)
    if largest is None or largest.like(center_box(*upload.size)):
        return center_crop(upload, size)
    return box_crop(upload, largest, size)


def _faces(picture: Image.Image, framing: Framing) -> list[Box]:
    return find_faces(picture) if framing == "face" else []
