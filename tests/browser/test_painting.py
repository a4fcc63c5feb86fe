"""Inpainting in the real app: drafts after strokes, ready-made masks, the shape of a mask, going on from a result."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from ddpm_core.images.faces import Box
from ddpm_core.images.files import read_parameters
from ddpm_core.images.masks import FACE_PARTS
from tests.browser.actions import (
    LONG,
    Pictures,
    advanced,
    downloaded,
    inpainting_calls,
    number,
    opened,
    run,
    settle,
    stroke,
    tab,
    told,
    upload,
)
from tests.browser.conftest import PHONE

SIDE = 256
WHOLE = Box(0, 0, SIDE)
DRAFTED = re.compile(r"^Live draft in ")


def bar(page: Page) -> str:
    return page.locator("#inpaint-bar p").inner_text()


def forget(page: Page) -> None:
    # What the last draft left in the bar must not be taken for the next one's.
    page.evaluate("document.querySelector('#inpaint-bar p').textContent = ''")


def drafted(page: Page) -> None:
    expect(page.locator("#inpaint-bar p")).to_have_text(DRAFTED, timeout=LONG)
    expect(page.locator("#inpaint-download")).to_be_enabled()


@contextmanager
def redrafted(page: Page) -> Iterator[None]:
    """What is done inside is answered by another draft; the bar alone may say the same words again."""
    shown = page.locator("#inpaint-result img").nth(1)
    before = str(shown.get_attribute("src"))
    yield
    expect(shown).not_to_have_attribute("src", before, timeout=LONG)
    drafted(page)


def taken(page: Page, folder: Path) -> tuple[np.ndarray, dict]:
    """Pixels and parameters of what can be downloaded now."""
    path = downloaded(page, "#inpaint-download", folder)
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB")), read_parameters(path)


@pytest.fixture
def noise(page: Page, tmp_path: Path) -> np.ndarray:
    """Pixels of a picture of noise that has just been opened on the canvas."""
    pixels = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    tab(page, "Inpaint")
    settle(page)
    opened(page, tmp_path / "photo.png")
    return pixels


def test_a_stroke_is_answered_by_itself_and_survives_every_run(page: Page, tmp_path: Path, pictures: Pictures) -> None:
    tab(page, "Inpaint")
    settle(page)
    page.wait_for_timeout(3000)
    assert bar(page).startswith("Drag the line")  # opening the page asks for nothing
    shown = page.locator("#inpaint-result img").nth(1)
    opened = str(shown.get_attribute("src"))
    place = page.locator("#inpaint-result").bounding_box()

    stroke(page, (0.35, 0.8), (0.55, 0.8))
    drafted(page)
    expect(page.locator("#inpaint-run")).to_be_visible()
    expect(shown).not_to_have_attribute("src", opened)
    assert page.locator("#inpaint-result").bounding_box() == place  # nothing jumps
    settle(page)
    pictures(page, "inpaint-live.png")
    draft, said = taken(page, tmp_path)
    assert said["steps"] < 8

    advanced(page, "inpaint", 12)
    run(page, "inpaint")
    first, said = taken(page, tmp_path)
    assert said["steps"] == 12
    page.wait_for_timeout(2000)
    assert bar(page).startswith(f"{inpainting_calls(12)} steps in ")  # no late draft takes the result away
    run(page, "inpaint")
    again, _ = taken(page, tmp_path)
    assert np.abs(again.astype(int) - first).max() <= 1  # painted is what was painted
    original = np.asarray(Image.open(Path("static/examples/face-0.png")).convert("RGB"))
    rows, drafted_rows = ((made != original).any(2).any(1).sum() for made in (first, draft))
    assert abs(int(rows) - int(drafted_rows)) <= 4  # pixels at the edge may happen to stay what they were
    page.locator("#inpaint-to-process").click()
    expect(page.locator("#process-about")).to_contain_text("inpainting")


def test_without_live_or_paint_nothing_runs_by_itself(page: Page, noise: np.ndarray) -> None:
    page.wait_for_timeout(1500)
    assert not DRAFTED.match(bar(page))
    expect(page.locator(".toast-body")).to_have_count(0)
    page.locator("#inpaint-live input").uncheck()
    forget(page)
    stroke(page, (0.35, 0.5), (0.55, 0.5))
    page.locator("#inpaint-dice").click()
    page.wait_for_timeout(3000)
    assert bar(page) == ""
    page.locator("#inpaint-live input").check()
    page.locator("#inpaint-dice").click()
    drafted(page)


def test_a_ready_made_mask_is_paint_that_can_be_grown(page: Page, noise: np.ndarray, tmp_path: Path) -> None:
    page.locator("#inpaint-ready-eyes").click()
    drafted(page)
    made, _ = taken(page, tmp_path)
    eyes = FACE_PARTS["eyes"](SIDE, SIDE, WHOLE)
    changed = (made != noise).any(2)
    assert (changed != eyes).mean() < 0.01

    advanced(page, "inpaint", 3)
    with redrafted(page):
        number(page, "#inpaint-grow", 16)
    made, said = taken(page, tmp_path)
    assert said["grow"] == 16
    wider = (made != noise).any(2)
    assert abs(int(wider.any(0).sum()) - int(changed.any(0).sum()) - 32) <= 3
    assert abs(int(wider.any(1).sum()) - int(changed.any(1).sum()) - 32) <= 3


def test_a_mask_file_is_paint_and_one_that_is_no_picture_takes_nothing_away(
    page: Page, noise: np.ndarray, tmp_path: Path
) -> None:
    light = np.zeros((SIDE // 2, SIDE // 2), dtype=bool)
    light[20:60, 30:90] = True
    Image.fromarray(light).save(tmp_path / "mask.png")
    (tmp_path / "broken.png").write_text("not a picture")
    wanted = light.repeat(2, 0).repeat(2, 1)  # the mask may be of another size, not of another shape

    upload(page, tmp_path / "mask.png", "#inpaint-mask")
    drafted(page)
    made, _ = taken(page, tmp_path)
    assert np.array_equal(made[~wanted], noise[~wanted])
    assert (made != noise).any(2)[wanted].mean() > 0.99

    upload(page, tmp_path / "broken.png", "#inpaint-mask")
    expect(page.locator(".toast-body")).to_have_count(1)
    told(page, "broken.png is not a picture")
    assert np.array_equal(taken(page, tmp_path)[0], made)
    advanced(page, "inpaint", 3)
    run(page, "inpaint")
    again, said = taken(page, tmp_path)
    assert said["steps"] == 3
    assert np.array_equal(again[~wanted], noise[~wanted])
    assert (again != noise).any(2)[wanted].mean() > 0.99


def test_one_variant_is_picked_and_continued(page: Page, noise: np.ndarray, tmp_path: Path) -> None:
    page.locator("#inpaint-ready-eyes").click()
    drafted(page)
    advanced(page, "inpaint", 3)
    number(page, "#inpaint-count", 2)
    number(page, "#inpaint-seed", 30)
    run(page, "inpaint")
    variants = page.locator("#inpaint-variants img")
    expect(variants).to_have_count(2)
    shown = page.locator("#inpaint-result img").nth(1)
    first = str(shown.get_attribute("src"))
    variants.nth(1).click()
    expect(shown).not_to_have_attribute("src", first)
    picked, said = taken(page, tmp_path)
    assert said["seed"] == 31
    page.locator("#inpaint-continue").click()
    expect(page.locator("#inpaint-bar p")).to_have_text(re.compile("^Now paint"))
    expect(page.locator("#inpaint-seed input")).to_have_value("30")
    settle(page)

    page.locator("#inpaint-ready-mouth").click()
    drafted(page)
    made, said = taken(page, tmp_path)
    assert (said["seed"], said["continued_from"]["seed"]) == (30, 31)
    changed, mouth = (made != picked).any(2), FACE_PARTS["mouth"](SIDE, SIDE, WHOLE)
    assert changed.any()
    assert (changed != mouth).mean() < 0.01
    assert np.array_equal(made[FACE_PARTS["eyes"](SIDE, SIDE, WHOLE)], picked[FACE_PARTS["eyes"](SIDE, SIDE, WHOLE)])


def test_a_stroke_during_a_run_does_not_take_its_result_away(page: Page, noise: np.ndarray) -> None:
    page.locator("#inpaint-ready-face").click()
    drafted(page)
    advanced(page, "inpaint", 200)  # so that it still runs when a starved browser has come to telling of it
    page.locator("#inpaint-run").click()
    expect(page.locator("#inpaint-bar p")).to_have_text(re.compile("^step "), timeout=LONG)
    stroke(page, (0.1, 0.05), (0.2, 0.05))
    expect(page.locator("#inpaint-bar p")).to_have_text(re.compile(f"^{inpainting_calls(200)} steps in "), timeout=LONG)
    page.wait_for_timeout(2000)
    assert bar(page).startswith(f"{inpainting_calls(200)} steps in ")


def test_ready_made_masks_are_within_a_thumbs_reach(phone: Page, pictures: Pictures) -> None:
    page = phone
    tab(page, "Inpaint")
    settle(page)
    boxes = [page.locator(f"#inpaint-ready-{name}").bounding_box() for name in FACE_PARTS]
    assert all(box is not None and box["height"] >= 44 for box in boxes)
    page.locator("#inpaint-ready-mouth").tap()
    drafted(page)
    settle(page)
    pictures(page, "inpaint-live-phone.png", full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
