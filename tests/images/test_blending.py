"""What was made joins what was kept without a step, and nothing kept changes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from ddpm_core.images.blending import blend, membrane

SIDE = 48


def disc(side: int = SIDE, radius: float = 15) -> np.ndarray:
    y, x = np.mgrid[:side, :side] - side / 2
    return x**2 + y**2 < radius**2


def noise(seed: int, mode: str = "RGB") -> Image.Image:
    shape = (SIDE, SIDE, len(mode))
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8), mode)


@pytest.mark.parametrize("feather", [0, 5])
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_kept_pixels_stay_identical(mode: str, feather: int) -> None:
    painted = disc()
    result = blend(noise(0, mode), noise(1, mode), painted, feather)
    assert result.mode == mode
    np.testing.assert_array_equal(np.asarray(result)[~painted], np.asarray(noise(0, mode))[~painted])


def test_a_fill_of_another_tone_takes_on_the_pictures() -> None:
    x = np.tile(np.linspace(60, 180, SIDE)[None, :, None], (SIDE, 1, 3))
    picture, darker = (Image.fromarray(values.astype(np.uint8)) for values in (x, x * 0.5))
    changed = np.asarray(blend(picture, darker, disc()), dtype=int) - np.asarray(picture, dtype=int)
    assert np.abs(changed).max() <= 4  # was up to 90


def test_detail_of_the_fill_survives() -> None:
    picture, fill = Image.new("RGB", (SIDE, SIDE), (90, 90, 90)), np.full((SIDE, SIDE, 3), 60, np.uint8)
    fill[SIDE // 2, SIDE // 2] = 200
    result = np.asarray(blend(picture, Image.fromarray(fill), disc()), dtype=int)
    assert result[SIDE // 2, SIDE // 2, 0] - result[SIDE // 2, SIDE // 2 + 2, 0] == pytest.approx(140, abs=3)


def test_a_feather_fades_in_from_the_edge() -> None:
    painted = np.zeros((SIDE, SIDE), bool)
    painted[:, SIDE // 2 :] = True
    picture, fill = Image.new("RGB", (SIDE, SIDE), (100, 100, 100)), np.full((SIDE, SIDE, 3), 100, np.uint8)
    fill[:, SIDE // 2 + 1 :] = 200
    row = np.asarray(blend(picture, Image.fromarray(fill), painted, feather=8), dtype=int)[SIDE // 2, :, 0]
    sharp = np.asarray(blend(picture, Image.fromarray(fill), painted), dtype=int)[SIDE // 2, :, 0]
    inside = row[SIDE // 2 :]
    assert (row[: SIDE // 2] == 100).all()
    assert (np.diff(inside[:9]) > 0).all()
    assert inside[0] < sharp[SIDE // 2 + 1]
    np.testing.assert_allclose(inside[9:-9], sharp[SIDE // 2 + 9 : -9], atol=1)


def weights(painted: np.ndarray, feather: int) -> np.ndarray:
    """How much of the fill is in the result, 0 to 1: of white on black, with no tone to take on."""
    size = painted.shape[::-1]
    clear, fill = Image.new("RGBA", size, (0, 0, 0, 0)), Image.new("RGBA", size, (255, 255, 255, 255))
    return np.asarray(blend(clear, fill, painted, feather))[:, :, 3] / 255


def bar(thick: int, side: int = 300) -> np.ndarray:
    painted = np.zeros((side, side), bool)
    painted[100 : 100 + thick, 60:260] = True
    return painted


@pytest.mark.parametrize("thick", [1, 2, 3, 9, 40])
@pytest.mark.parametrize("feather", [1, 8, 19, 20, 40, 100, 256])
def test_a_stroke_is_made_anew_in_its_middle_however_far_it_is_to_fade(thick: int, feather: int) -> None:
    across = weights(bar(thick), feather)[:, 160]
    assert (across[:100] == 0).all()
    assert (across[100 + thick :] == 0).all()
    inside = across[100 : 100 + thick]
    middle = inside[(thick - 1) // 2 : thick // 2 + 1]
    assert (middle > 0.97).all()
    assert (np.diff(inside[: (thick + 1) // 2]) >= 0).all()
    assert np.allclose(inside, inside[::-1])
    if thick > 2:
        assert inside[0] == pytest.approx(1 / min(feather + 1, (thick + 1) // 2), abs=0.1)


def test_of_parts_of_different_width_each_fades_by_its_own() -> None:
    y, x = np.mgrid[:300, :300]
    disc, dot = (x - 100) ** 2 + (y - 150) ** 2 < 80**2, (x - 100) ** 2 + (y - 237) ** 2 < 4**2
    handle = (abs(y - 150) < 5) & (x > 100) & (x < 290)
    weight = weights(disc | dot | handle, 60)
    assert weight[237, 100] > 0.97  # beside the disc, but not part of it
    assert weight[150, 285] > 0.97
    assert weight[150, 100] > 0.97
    assert weight[100, 100] < 0.6
    along = weight[150, 100:285]
    assert np.abs(np.diff(along)).max() < 0.25  # no step where the handle begins


@pytest.mark.parametrize("shape", [(900, 1300), (1300, 900)])
def test_a_large_area_fades_as_a_small_one(shape: tuple[int, int]) -> None:
    painted = np.zeros(shape, bool)
    painted[50:-50, 50:-50] = True
    weight = weights(painted, 100)[shape[0] // 2]
    assert weight[:50].max() == 0
    assert weight[50 : 150 + 1] == pytest.approx(np.arange(1, 102) / 101, abs=0.02)
    assert weight[151:-151].min() > 0.97


def test_transparent_neighbours_lend_no_colour() -> None:
    pixels = np.zeros((SIDE, SIDE, 4), np.uint8)  # black where nobody sees it
    pixels[:, SIDE // 2 :] = (200, 200, 200, 255)
    painted = disc()
    fill = Image.new("RGBA", (SIDE, SIDE), (150, 150, 150, 255))
    result = np.asarray(blend(Image.fromarray(pixels), fill, painted))
    assert result[painted][:, :3].min() >= 150


def test_nothing_painted_and_nothing_kept_in_sight() -> None:
    nothing, everything = np.zeros((SIDE, SIDE), bool), np.ones((SIDE, SIDE), bool)
    assert blend(noise(0), noise(1), nothing) == noise(0)
    assert blend(noise(0), noise(1), everything) == noise(1)


@pytest.mark.parametrize("shape", [(40, 40), (37, 53), (3, 64)])
def test_the_membrane_is_harmonic(shape: tuple[int, int]) -> None:
    y, x = torch.meshgrid(torch.arange(shape[0]) / 10, torch.arange(shape[1]) / 10, indexing="ij")
    harmonic = (x * y + 2 * x - y)[None, None]  # its own solution: zero Laplacian, also on the grid
    known = torch.zeros(1, 1, *shape, dtype=torch.bool)
    known[..., 0, :] = known[..., -1, :] = known[..., :, 0] = known[..., :, -1] = True
    found = membrane(harmonic * known, known)
    assert (found - harmonic).abs().max() < 0.02 * (harmonic.max() - harmonic.min())
