"""A checkpoint with classes in the real app."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from ddpm_core.images.files import read_parameters
from tests.browser.actions import (
    SHIPPED,
    Pictures,
    advanced,
    chosen,
    downloaded,
    number,
    run,
    settle,
    stopped,
    tab,
    upload,
)


@pytest.fixture
def digits(checkpoint: Path) -> Iterator[str]:
    """The shipped checkpoint of digits beside that of faces; its name."""
    beside = checkpoint.with_name("digits")
    shutil.copytree(SHIPPED.with_name("digits"), beside, ignore=shutil.ignore_patterns("training"))
    yield beside.name
    shutil.rmtree(beside)


def pictured(page: Page, pictures: Pictures, name: str) -> None:
    """A picture of the window, the fold closed and the top in sight."""
    page.get_by_role("button", name="Advanced").locator("visible=true").click()
    page.evaluate("window.scrollTo(0, 0)")
    settle(page)
    pictures(page, name)


def picked(page: Page, picker: str, name: str) -> None:
    page.locator(f"{picker} input").click()
    page.get_by_role("option", name=name, exact=True).click()
    expect(page.get_by_role("option")).to_have_count(0)  # the list takes a moment to go


def test_a_class_is_requested_where_there_are_classes_and_only_there(
    page: Page, digits: str, pictures: Pictures
) -> None:
    expect(page.locator("#generate-class")).to_be_hidden()
    chosen(page, digits)
    expect(page.locator("#generate-class")).to_be_visible()
    expect(page.locator("#generate-guidance")).to_be_visible()
    picked(page, "#generate-class", "7")
    advanced(page, "generate", 4)
    run(page, "generate")
    expect(page.locator("#generate-gallery")).to_contain_text(re.compile(r"7, seed \d+"))
    pictures(page, "generate-digits.png")

    page.locator("#generate-to-process").click()
    expect(page.locator("#process-run")).to_be_visible()
    run(page, "process")

    tab(page, "Generate")
    chosen(page, "faces-128")
    expect(page.locator("#generate-class")).to_be_hidden()
    expect(page.locator("#generate-guidance")).to_be_hidden()


def test_edit_follows_a_class(page: Page, digits: str, tmp_path: Path) -> None:
    tab(page, "Edit")
    expect(page.locator("#edit-class")).to_be_hidden()
    chosen(page, digits)
    Image.new("RGB", (40, 40), "white").save(tmp_path / "blank.png")
    upload(page, tmp_path / "blank.png", "#edit-upload")  # the faces that were there are none of digits'
    picked(page, "#edit-class", "3")
    number(page, "#edit-guidance", 4)
    advanced(page, "edit", 5)
    run(page, "edit")
    said = read_parameters(downloaded(page, "#edit-download", tmp_path))
    assert (said["action"], said["checkpoint"], said["label"], said["guidance"]) == ("edit", "digits", "3", 4)


def test_a_six_that_is_a_nine_the_other_way_up(page: Page, digits: str, tmp_path: Path, pictures: Pictures) -> None:
    tab(page, "Play")
    settle(page)
    games = page.locator("#play-game")
    expect(page.locator("#play-class")).to_be_hidden()
    expect(games).not_to_contain_text("near and far")
    chosen(page, digits)
    expect(games).to_contain_text("near and far")
    expect(page.locator("#play-class")).to_be_visible()
    expect(page.locator("#play-other-class")).to_be_hidden()
    page.get_by_text("two ways up").click()
    expect(page.locator("#play-other-class")).to_contain_text("The other way")
    picked(page, "#play-class", "6")
    picked(page, "#play-other-class", "9")
    number(page, "#play-guidance", 4)
    picked(page, "#play-view", "half a turn")
    number(page, "#play-seed", 3)
    number(page, "#play-pairs", 2)
    advanced(page, "play", 20)
    run(page, "play")
    expect(page.locator("#play-gallery .caption-label")).to_have_text(
        ["6, seed 3", "6, seed 4", "9, seed 3, half a turn", "9, seed 4, half a turn"]
    )
    pictured(page, pictures, "play-digits.png")
    page.locator("#play-gallery img").nth(0).click()
    said = read_parameters(downloaded(page, "#play-gallery button[aria-label=Download]", tmp_path))
    assert (said["action"], said["label"], said["other"], said["view"]) == ("anagram", "6", "9", "turned-180")


def test_near_and_far_are_offered_where_they_can_be_made(page: Page, digits: str, tmp_path: Path) -> None:
    tab(page, "Play")
    settle(page)
    chosen(page, digits)
    page.get_by_text("near and far").click()
    expect(page.locator("#play-class")).to_contain_text("From afar")
    expect(page.locator("#play-other-class")).to_contain_text("Close by")
    expect(page.locator("#play-view")).to_be_hidden()
    expect(page.locator("#play-to-seed")).to_be_hidden()
    picked(page, "#play-class", "8")
    picked(page, "#play-other-class", "3")
    number(page, "#play-seed", 1)
    advanced(page, "play", 20)
    number(page, "#play-blur", 1.4)
    run(page, "play")
    expect(page.locator("#play-gallery .caption-label")).to_have_text(["3, seed 1, close by", "8, seed 1, from afar"])
    page.locator("#play-gallery img").nth(0).click()
    said = read_parameters(downloaded(page, "#play-gallery button[aria-label=Download]", tmp_path))
    assert (said["action"], said["label"], said["other"], said["blur"]) == ("hybrid", "8", "3", 1.4)

    number(page, "#play-pairs", 4)
    advanced(page, "play", 200)
    stopped(page, "play", 200)

    chosen(page, "faces-128")  # which makes none
    expect(page.locator("#play-game")).not_to_contain_text("near and far")
    expect(page.locator("#play-to-seed")).to_be_visible()
    expect(page.locator("#play-other-class")).to_be_hidden()
