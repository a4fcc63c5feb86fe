"""Training a checkpoint in the real app, by the real command."""

from __future__ import annotations

import io
import re
import shutil
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.browser.actions import Pictures, answered, run, settle, tab, told
from tests.browser.conftest import DESKTOP, App

LONG = 600_000  # ms; the command is started anew, and learns behind everything else that the machine does
STEPS = 400  # so many that a fast machine is not done before Stop is pressed


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A zip of 320 discs on gradients, so many that sixteen are held out, which fills the autoencoder's grid."""
    draw = np.random.default_rng(0)
    y, x = np.mgrid[:32, :32]
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        for number in range(320):
            pixels = np.stack([x * 8, y * 8, np.full_like(x, number % 256)], axis=2).astype(np.uint8)
            disc = (x - draw.uniform(8, 24)) ** 2 + (y - draw.uniform(8, 24)) ** 2 < draw.uniform(16, 80)
            pixels[disc] = draw.integers(0, 256, 3)
            file = io.BytesIO()
            Image.fromarray(pixels).save(file, "PNG")
            archive.writestr(f"{number:03d}.png", file.getvalue())
    return tmp_path / "photos.zip"


@pytest.fixture
def name(checkpoint: Path) -> Iterator[str]:
    """What the new checkpoint is to be called; it goes when the test is over."""
    yield "discs"
    shutil.rmtree(checkpoint.with_name("discs"), ignore_errors=True)


def fill(page: Page, name: str, text: object) -> None:
    box = page.locator(f"#train-{name} input")
    for _ in range(5):
        box.fill(str(text))
        page.wait_for_timeout(300)  # the page takes a moment to pass on what was typed
        if box.input_value() == str(text):
            break  # a fold that is still opening sets its boxes once more; a person would type again, too
    expect(box).to_have_value(str(text))


def bar(page: Page, pattern: str) -> None:
    expect(page.locator("#train-bar p")).to_have_text(re.compile(pattern), timeout=LONG)


def test_train_stop_resume_and_generate(page: Page, photos: Path, name: str, pictures: Pictures) -> None:
    tab(page, "Train")
    expect(page.locator("#train-grid img")).to_be_visible()  # something made already
    expect(page.locator("#train-caption")).to_contain_text("What a finished run looks like")
    page.locator("#train-run").click()
    told(page, "A checkpoint's name is made of letters")
    fill(page, "name", "faces-128")
    page.locator("#train-files input[type=file]").set_input_files(photos)
    expect(page.locator("#train-files")).to_contain_text("photos")
    page.locator("#train-preset input").click()
    page.get_by_role("option", name="tiny").click()
    expect(page.locator("#train-preset-about")).to_contain_text("32 pixels, autoencoder 50 steps")
    page.get_by_role("button", name="Advanced").locator("visible=true").click()
    settle(page)
    fill(page, "iterations", STEPS)
    page.get_by_role("button", name=re.compile(r"^Run\b")).locator("visible=true").click()
    settle(page)
    fill(page, "sample-every", STEPS)
    page.locator("#train-run").click()
    told(page, "'faces-128' already")
    expect(page.locator("#train-run")).to_be_visible()
    fill(page, "name", name)
    page.get_by_role("button", name="Advanced").locator("visible=true").click()
    page.locator("#train-run").click()
    expect(page.locator("#train-stop")).to_be_visible()
    expect(page.locator("#train-run")).to_be_hidden()

    bar(page, rf"^step \d+ of {STEPS} .*stage 1 of 2: autoencoder")
    page.reload()  # it goes on, and is shown to whoever comes
    page.locator("#generate-run").wait_for()
    tab(page, "Train")
    expect(page.locator("#train-stop")).to_be_visible()
    bar(page, rf"^step [1-9]\d\d of {STEPS} .*stage 2 of 2: denoiser")
    expect(page.locator("#train-caption")).to_contain_text(f"Autoencoder after {STEPS} steps")
    for stage in ("vae", "denoiser"):
        expect(page.locator(f"#train-loss-{stage} canvas, #train-loss-{stage} svg.marks").first).to_be_visible()
    settle(page)
    pictures(page, "train.png", full_page=True)
    page.locator("#train-stop").click()
    bar(page, rf"^Stopped at step \d+ of {STEPS}, denoiser")
    expect(page.locator("#train-run")).to_be_visible()

    expect(page.locator("#train-unfinished input")).to_have_value(name)
    page.locator("#train-resume").click()
    expect(page.locator("#train-stop")).to_be_visible()
    bar(page, f"^{name} is finished")
    expect(page.locator("#train-caption")).to_contain_text(f"Denoiser after {STEPS} steps")
    expect(page.locator("#train-resume")).to_be_hidden()
    page.locator("#checkpoint input").click()
    expect(page.get_by_role("option", name=name)).to_be_visible()
    page.keyboard.press("Escape")
    page.locator("#train-use").click()
    expect(page.locator("#checkpoint input")).to_have_value(name)
    expect(page.locator("#footer")).to_contain_text(name)
    answered(page)
    run(page, "generate")
    assert page.strangers == []  # type: ignore[attr-defined]


def test_an_app_that_is_open_to_others_does_not_train_unless_allowed(
    visit: Callable[..., Page], serve: Callable[..., App]
) -> None:
    page = visit(serve("--host", "0.0.0.0").address, viewport=DESKTOP, color_scheme="light")
    page.get_by_role("tab", name="Train").click()
    expect(page.locator("#train-closed")).to_contain_text("--allow-training")
    expect(page.locator("#train-run")).to_be_hidden()
    expect(page.locator("#train-grid img")).to_be_visible()


def test_what_is_being_trained_is_saved_when_the_app_ends(
    visit: Callable[..., Page], serve: Callable[..., App], photos: Path
) -> None:
    app = serve("--host", "0.0.0.0", "--allow-training")
    page = visit(app.address, viewport=DESKTOP, color_scheme="light")
    tab(page, "Train")
    expect(page.locator("#train-path")).to_be_hidden()  # folders of the machine are not everybody's
    fill(page, "name", "discs")
    page.locator("#train-files input[type=file]").set_input_files(photos)
    expect(page.locator("#train-files")).to_contain_text("photos")
    page.locator("#train-preset input").click()
    page.get_by_role("option", name="tiny").click()
    page.get_by_role("button", name="Advanced").locator("visible=true").click()
    settle(page)
    fill(page, "iterations", 100_000)
    page.locator("#train-run").click()
    bar(page, r"^step \d+ of 100000 ")
    page.close()
    app.end()
    run = app.checkpoint.with_name("discs")
    assert "Stopped; what was learned is saved" in (run / "training" / "output.log").read_text()
    assert (run / "training" / "vae.safetensors").is_file()
