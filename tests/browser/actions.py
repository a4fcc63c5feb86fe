"""What a visitor does on the page: tabs, fields, strokes, uploads, a run and its end."""

from __future__ import annotations

import io
import re
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageChops
from playwright.sync_api import Page, expect

from ddpm_core.checkpoints import native
from ddpm_core.requests import InpaintRequest
from tests.shipped_pictures import CHECKPOINTS

SHIPPED = CHECKPOINTS / "faces-128"
LONG = 300_000  # ms; a loaded machine may take minutes over a run
Pictures = Callable[..., None]  # takes a screenshot of a page, by its file's name
OTHER = 8  # mean levels between two pictures on the canvas; a stroke, or paint that goes, changes far less


def inpainting_calls(steps: int) -> int:
    """How many steps the page's model takes and yields to inpaint, asked for so many."""
    own = native.read_config(SHIPPED).defaults["inpaint"]
    return InpaintRequest(**own | {"steps": steps}).calls


def tab(page: Page, name: str) -> None:
    page.get_by_role("tab", name=name).click()
    page.locator(f"#{name.lower()}-run, #{name.lower()}-stop").locator("visible=true").first.wait_for()


# Resolves when nothing of the page has changed or moved for `quiet` ms, or after `most` ms: a bar may never be still.
STILL = """([quiet, most]) => new Promise((still) => {
  const begun = performance.now();
  let changed = begun;
  const watcher = new MutationObserver(() => (changed = performance.now()));
  watcher.observe(document, { subtree: true, childList: true, attributes: true, characterData: true });
  const ends = (one) => one.effect?.getComputedTiming().endTime !== Infinity;
  const look = () => {
    const now = performance.now();
    if (document.getAnimations().some((one) => one.playState === "running" && ends(one))) changed = now;
    if (now - changed < quiet && now - begun < most) return setTimeout(look, 20);
    watcher.disconnect();
    still();
  };
  look();
})"""


def still(page: Page, quiet: int, most: int) -> None:
    """Wait until the page has come to rest. It keeps a line open to the server, so the network is never idle."""
    page.evaluate(STILL, [quiet, most])


def settle(page: Page) -> None:
    """The same, and until the pictures in sight are there."""
    still(page, 250, 600)
    page.wait_for_function("[...document.images].filter(i => i.offsetParent).every(i => i.complete)")


def answered(page: Page) -> None:
    """Wait until the page has all that it asked of the line: what follows one thing asks one after the other."""
    quiet, until = 0, time.monotonic() + LONG / 1000
    while quiet < 4:
        assert time.monotonic() < until, "the page goes on asking"
        page.evaluate("new Promise((done) => setTimeout(done, 250))")  # which waits for the page's own work, too
        quiet = 0 if page.asking else quiet + 1  # type: ignore[attr-defined]


def chosen(page: Page, name: str) -> None:
    """Choose a checkpoint, and wait until all tabs have followed."""
    page.locator("#checkpoint input").click()
    page.get_by_role("option", name=name, exact=True).click()
    expect(page.locator("#footer")).to_contain_text(name)
    answered(page)


def seen(page: Page) -> Image.Image:
    """The canvas as it stands."""
    with Image.open(io.BytesIO(page.locator("#inpaint-editor canvas").first.screenshot())) as shown:
        return shown.convert("RGB")


def drawn(page: Page, colour: tuple[int, int, int] | None = None, instead_of: Image.Image | None = None) -> Image.Image:
    """Wait until the canvas shows its picture, or one of that colour, or another one than it did; what it shows.

    It is drawn some time after all else is there; until then, another picture may be seen that was open before.
    """
    until = time.monotonic() + LONG / 1000
    while time.monotonic() < until:
        pixels = seen(page)
        if colour is not None:
            if pixels.getpixel((pixels.width // 2, pixels.height // 2)) == colour:
                return pixels
        elif pixels.getcolors(maxcolors=1000) is None:  # more colours than an empty canvas has
            before = instead_of.resize(pixels.size) if instead_of else None
            if before is None or np.mean(ImageChops.difference(pixels, before)) > OTHER:
                return pixels
        page.wait_for_timeout(200)
    pytest.fail("the canvas does not show the picture")


def run(page: Page, name: str, button: str = "run") -> None:
    # What the last run left in the bar must not be taken for this one's.
    page.evaluate(f"document.querySelector('#{name}-bar p').textContent = ''")
    page.locator(f"#{name}-{button}").click()
    finished(page, name)


def finished(page: Page, name: str) -> None:
    expect(page.locator(f"#{name}-bar p")).to_have_text(re.compile(r"^\d+ steps? in "), timeout=LONG)
    expect(page.locator(f"#{name}-run")).to_be_visible()


def number(page: Page, selector: str, value: int | str) -> None:
    box = page.locator(f"{selector} input[type=number]")
    for _ in range(5):
        box.fill(str(value))
        box.press("Tab")
        page.wait_for_timeout(300)  # the page takes a moment to pass on what was typed
        if box.input_value() == str(value):
            break  # a fold that is still opening sets its sliders once more; a person would type again, too
    expect(box).to_have_value(str(value))


def advanced(page: Page, name: str, steps: int) -> None:
    if not page.locator(f"#{name}-steps").is_visible():
        page.get_by_role("button", name="Advanced").locator("visible=true").click()
    number(page, f"#{name}-steps", steps)


def stroke(page: Page, *points: tuple[float, float]) -> None:
    """Paint with the mouse through points given as shares of the canvas."""
    box = page.locator("#inpaint-editor canvas").first.bounding_box()
    assert box is not None
    (x, y), *others = [(box["x"] + box["width"] * a, box["y"] + box["height"] * b) for a, b in points]
    page.mouse.move(x, y)
    page.mouse.down()
    for x, y in others:
        page.mouse.move(x, y, steps=4)  # the canvas is drawn anew, by the processor, at each
    page.mouse.up()
    page.wait_for_timeout(300)


def upload(page: Page, path: Path, button: str = "#inpaint-upload") -> None:
    with page.expect_file_chooser() as chooser:
        page.locator(button).click()
    chooser.value.set_files(path)
    settle(page)


def opened(page: Page, path: Path, on_empty: bool = False) -> None:
    """Open a picture on the canvas, and wait until it is seen, in place of the one that was there if there was one."""
    before = None if on_empty else drawn(page)
    upload(page, path)
    drawn(page, instead_of=before)


def downloaded(page: Page, selector: str, folder: Path) -> Path:
    with page.expect_download() as download:
        page.locator(selector).click()
    path = folder / download.value.suggested_filename
    download.value.save_as(path)
    return path


def told(page: Page, sentence: str) -> None:
    expect(page.locator(".toast-body").filter(has_text=sentence)).to_be_visible()


# Presses Run, and Stop as soon as the bar tells of a step; in the page itself, for until a starved browser had let the
# test know, and had found the button visible and at rest, the run could be over.
RUN_AND_STOP = """([name, step]) => {
  window.stopPressed = false;
  const bar = document.querySelector(`#${name}-bar`);
  const watch = new MutationObserver(() => {
    if (!new RegExp(step).test(bar.querySelector("p").textContent)) return;
    watch.disconnect();
    document.querySelector(`#${name}-stop`).click();
    window.stopPressed = true;
  });
  watch.observe(bar, { subtree: true, childList: true, characterData: true });
  document.querySelector(`#${name}-run`).click();
}"""


def stopped(page: Page, name: str, steps: int) -> None:
    """Press the run button of a tab, and Stop as soon as one of so many steps is told."""
    page.evaluate(RUN_AND_STOP, [name, rf"^step \d+ of {steps}"])
    page.wait_for_function("window.stopPressed", timeout=LONG)
    expect(page.locator(f"#{name}-bar p")).to_have_text(re.compile(rf"^Stopped at step \d+ of {steps}\.$"))
    expect(page.locator(f"#{name}-run")).to_be_visible()
