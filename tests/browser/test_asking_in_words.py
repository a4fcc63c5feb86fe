"""A checkpoint with words in the real app, and a drawing that becomes a picture."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from ddpm_core.images.files import read_parameters
from tests.browser.actions import advanced, chosen, downloaded, finished, run, tab

DARKEST = """picture => {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [picture.naturalWidth, picture.naturalHeight];
  const context = canvas.getContext("2d");
  context.drawImage(picture, 0, 0);
  return Math.min(...context.getImageData(0, 0, canvas.width, canvas.height).data);
}"""


@pytest.fixture
def wordy(checkpoint: Path, word_checkpoint: Path) -> Iterator[str]:
    """A tiny checkpoint with words beside the shared app's; its name."""
    beside = checkpoint.with_name("wordy")
    shutil.copytree(word_checkpoint, beside)
    yield beside.name
    shutil.rmtree(beside)


def test_words_are_pressed_and_typed_and_a_drawing_becomes_a_picture_of_them(
    page: Page, wordy: str, tmp_path: Path
) -> None:
    prompt = page.locator("#generate-prompt textarea")
    expect(prompt).to_be_hidden()
    chosen(page, wordy)
    under = page.locator("#generate-prompt-words")
    prompt.fill("skin")
    under.get_by_role("button", name="red ant, blue skin").click()
    expect(prompt).to_have_value("red ant, blue skin")  # a prompt to begin with, in place of what stood there
    prompt.fill("red")
    under.get_by_role("button", name="ant", exact=True).click()
    expect(prompt).to_have_value("red ant")
    expect(page.locator("#generate-prompt-note")).to_be_hidden()
    prompt.press_sequentially(" zebra")
    expect(page.locator("#generate-prompt-note")).to_contain_text("does not know, and passes over: zebra.")
    advanced(page, "generate", 3)
    prompt.press("Enter")
    finished(page, "generate")
    page.locator("#generate-gallery img").first.click()
    path = downloaded(page, "#generate-gallery button[aria-label=Download]", tmp_path)
    assert read_parameters(path)["prompt"] == "red ant zebra"

    tab(page, "Edit")
    page.locator("#edit-blank").click()
    canvas = page.locator("#edit-editor canvas").first
    canvas.wait_for()
    before = page.locator("#edit-result img").first
    expect(before).to_have_js_property("naturalWidth", 32)
    assert before.evaluate(DARKEST) == 255
    expect(page.locator("#edit-editor .image-container")).not_to_have_attribute("aria-busy", "true")
    box = canvas.bounding_box()
    assert box is not None
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(*middle)
    page.mouse.down()
    page.mouse.move(middle[0] + 60, middle[1], steps=4)
    page.mouse.up()
    page.locator("#edit-prompt textarea").fill("blue skin")
    advanced(page, "edit", 3)
    run(page, "edit")
    assert before.evaluate(DARKEST) < 128  # the drawing is what was edited
    assert read_parameters(downloaded(page, "#edit-download", tmp_path))["prompt"] == "blue skin"
    page.locator("#edit-put-away").click()
    expect(canvas).to_be_hidden()

    chosen(page, "faces-128")
    expect(page.locator("#edit-prompt")).to_be_hidden()
