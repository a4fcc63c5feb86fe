"""Whether faces have come out: how often a detector finds both eyes where they belong."""

from __future__ import annotations

import numpy as np
from PIL import Image

from ddpm_core.data.load import PictureSet
from ddpm_core.display.progress_bar import batches_watched
from ddpm_core.images.faces import EYE_LINE, EYES_ACROSS
from ddpm_core.images.files import to_bytes

SIDE = 256  # pixels pictures are enlarged to: the cascade knows eyes from 20 pixels on
OFF = 0.08  # how far from its place an eye may be found, in fractions of the side
SMALLEST, LARGEST = (26, 26), (85, 85)  # pixels its box may have
SCALE, NEIGHBOURS = 1.05, 5
BATCH = 64


def eyes_found(pictures: PictureSet) -> float:
    """The fraction of pictures with an eye in either eye's place, by OpenCV's cascade (Viola and Jones 2001).

    It errs both ways: compare with held-out pictures, not with 1.
    """
    import cv2  # here, for it takes a while
    from cv2.data import haarcascades

    cascade = cv2.CascadeClassifier(f"{haarcascades}haarcascade_eye.xml")
    found = 0
    for images in batches_watched(pictures.batches(BATCH), len(pictures), BATCH, "looking for eyes"):
        for pixels in to_bytes(images):  # (H, W, 3)
            grey = Image.fromarray(pixels).convert("L").resize((SIDE, SIDE), Image.Resampling.BICUBIC)
            found_here = cascade.detectMultiScale(
                np.asarray(grey), SCALE, NEIGHBOURS, minSize=SMALLEST, maxSize=LARGEST
            )
            boxes = np.reshape(found_here, (-1, 4))  # left, top, width, height
            middles = (boxes[:, :2] + boxes[:, 2:] / 2) / SIDE  # (eyes, 2), x and y
            found += all((np.abs(middles - (across, EYE_LINE)) < OFF).all(1).any() for across in EYES_ACROSS)
    return found / len(pictures)
