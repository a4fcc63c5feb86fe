"""Editing and playing in the real app."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import Page, expect

from ddpm_core.checkpoints import native
from ddpm_core.images.files import read_parameters
from tests.browser.actions import SHIPPED, Pictures, advanced, downloaded, number, run, settle, stopped, tab, told

SIDE = 128  # of the shipped model's pictures


def opened(page: Page, path: Path) -> None:
    with page.expect_file_chooser() as chooser:
        page.locator("#edit-upload").click()
    chooser.value.set_files(path)


def test_edit_a_photo_that_is_not_square(page: Page, tmp_path: Path, pictures: Pictures) -> None:
    tab(page, "Edit")
    settle(page)
    pictures(page, "edit.png")
    shown = page.locator("#edit-result img")
    expect(shown).to_have_count(2)  # something made already
    before = str(shown.nth(1).get_attribute("src"))
    noise = np.random.default_rng(0).integers(0, 256, (60, 90, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "photo.png")
    opened(page, tmp_path / "photo.png")
    expect(page.locator("#edit-bar p")).to_have_text(re.compile("^Press Edit"))
    expect(page.locator("#edit-download")).to_be_disabled()
    expect(shown.nth(1)).not_to_have_attribute("src", before)

    number(page, "#edit-strength", 0.5)
    number(page, "#edit-seed", 30)
    number(page, "#edit-count", 2)
    advanced(page, "edit", 6)
    run(page, "edit")
    expect(page.locator("#edit-bar p")).to_have_text(re.compile("^3 steps in "))
    variants = page.locator("#edit-variants img")
    expect(variants).to_have_count(2)
    first = str(shown.nth(1).get_attribute("src"))
    variants.nth(1).click()
    expect(shown.nth(1)).not_to_have_attribute("src", first)
    path = downloaded(page, "#edit-download", tmp_path)
    said = read_parameters(path)
    assert (said["action"], said["seed"], said["strength"], said["steps"]) == ("edit", 31, 0.5, 6)
    with Image.open(path) as picture:
        assert (picture.format, picture.size) == ("PNG", (SIDE, SIDE))

    page.locator("#edit-continue").click()
    expect(page.locator("#edit-download")).to_be_disabled()
    number(page, "#edit-count", 1)
    run(page, "edit")
    assert read_parameters(downloaded(page, "#edit-download", tmp_path))["continued_from"]["seed"] == 31

    (tmp_path / "letter.png").write_text("not a picture")
    opened(page, tmp_path / "letter.png")
    told(page, "letter.png is not a picture")
    expect(page.locator("#edit-download")).to_be_enabled()
    assert page.strangers == []  # type: ignore[attr-defined]


def test_a_generated_picture_can_be_edited(page: Page, tmp_path: Path) -> None:
    page.locator("#generate-gallery img").nth(1).click()
    page.locator("#generate-to-edit").click()
    expect(page.locator("#edit-run")).to_be_visible()
    expect(page.locator("#edit-bar p")).to_have_text(re.compile("^Press Edit"))
    advanced(page, "edit", 2)
    run(page, "edit")
    said = read_parameters(downloaded(page, "#edit-download", tmp_path))
    shipped = page.locator("#generate-gallery .caption-label").nth(1).text_content()
    assert f"seed {said['continued_from']['seed']}" == shipped


def test_an_edit_can_be_stopped(page: Page) -> None:
    tab(page, "Edit")
    settle(page)
    number(page, "#edit-count", 8)
    advanced(page, "edit", 200)
    stopped(page, "edit", 120)


def test_between_two_seeds(page: Page, tmp_path: Path, pictures: Pictures) -> None:
    tab(page, "Play")
    settle(page)
    pictures(page, "play.png")
    images = page.locator("#play-gallery img")
    expect(images).to_have_count(8)  # something made already
    number(page, "#play-seed", 5)
    number(page, "#play-to-seed", 9)
    number(page, "#play-strip", 3)
    advanced(page, "play", 3)
    run(page, "play")
    expect(images).to_have_count(3)
    expect(page.locator("#play-gallery .caption-label")).to_have_text(["seed 5", "50%", "seed 9"])
    path = downloaded(page, "#play-download", tmp_path)
    with Image.open(path) as gif:
        assert (gif.format, gif.n_frames) == ("GIF", 5)  # type: ignore[attr-defined]
    page.locator("#play-to-dice").click()
    expect(page.locator("#play-to-seed input")).not_to_have_value("9")
    page.locator("#play-to-again").click()
    expect(page.locator("#play-to-seed input")).to_have_value("9")
    images.nth(1).click()
    path = downloaded(page, "#play-gallery button[aria-label=Download]", tmp_path)
    said = read_parameters(path)
    assert (said["action"], said["seed"], said["to"], said["start"]) == ("between", 5, 9, 0.5)


def test_two_ways_up(page: Page, tmp_path: Path) -> None:
    tab(page, "Play")
    settle(page)
    page.get_by_text("two ways up").click()
    expect(page.locator("#play-view")).to_be_visible()
    expect(page.locator("#play-to-seed")).to_be_hidden()
    number(page, "#play-seed", 12)
    advanced(page, "play", 3)
    run(page, "play")
    images = page.locator("#play-gallery img")
    expect(images).to_have_count(2)
    expect(page.locator("#play-gallery .caption-label")).to_have_text(["seed 12", "seed 12, upside down"])
    expect(page.locator("#play-gif")).to_be_hidden()
    images.nth(0).click()
    path = downloaded(page, "#play-gallery button[aria-label=Download]", tmp_path)
    said = read_parameters(path)
    assert (said["action"], said["seed"], said["view"]) == ("anagram", 12, "upside-down")
    page.get_by_text("between two seeds").click()
    expect(page.locator("#play-to-seed")).to_be_visible()
    own = native.read_config(SHIPPED).defaults["between"]
    expect(page.locator("#play-steps input[type=number]")).to_have_value(str(own["steps"]))
