"""Pictures on their way to being enlarged: whatever their shape, what comes back has it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from ddpm_core.errors import UserError
from ddpm_core.images.enlargement import MOST, Enlargement
from ddpm_core.images.files import to_pictures
from ddpm_core.images.low_resolution import enlarged_bicubically


def upload(width: int, height: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3)).astype(np.uint8))


@pytest.mark.parametrize(("size", "given"), [((16, 16), (16, 16)), ((5, 9), (16, 16)), ((17, 40), (18, 40))])
def test_small_pictures_are_continued_by_their_border_and_cut_again(
    size: tuple[int, int], given: tuple[int, int]
) -> None:
    sheet = Enlargement.of(upload(*size), factor=2, side=16, multiple=2)
    image = sheet.image()
    assert image.shape == (1, 3, given[1], given[0])
    assert torch.equal(image[0, :, :, -1], image[0, :, :, size[0] - 1])
    large = sheet.cut(to_pictures(enlarged_bicubically(image, 2))[0])
    assert large.size == sheet.smooth().size == (2 * size[0], 2 * size[1])
    inside = np.abs(np.asarray(large).astype(int) - np.asarray(sheet.smooth()))[:-4, :-4]
    assert inside.size == 0 or inside.max() <= 1


def test_pictures_with_transparency_and_a_turn_come_as_a_model_sees_them() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = Image.new("RGBA", (20, 30), (255, 0, 0, 0))
    turned.info["exif"] = exif.tobytes()
    sheet = Enlargement.of(turned, factor=2, side=16)
    assert sheet.picture.size == (30, 20)
    assert sheet.picture.getpixel((3, 3)) == (255, 255, 255)


def test_pictures_that_would_take_forever_are_refused_in_a_sentence() -> None:
    Enlargement.of(upload(16 * MOST, 3), factor=2, side=16)
    with pytest.raises(UserError, match=r"65 x 3 pixels, and 64 a side are the most .* smaller first\.$"):
        Enlargement.of(upload(16 * MOST + 1, 3), factor=2, side=16)
