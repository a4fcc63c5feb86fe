"""Clicking through the real app: what a visitor does, and that the results are what the page says."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from ddpm_core.checkpoints import native
from tests.browser.actions import (
    SHIPPED,
    Pictures,
    advanced,
    answered,
    chosen,
    downloaded,
    drawn,
    finished,
    inpainting_calls,
    number,
    opened,
    run,
    settle,
    stopped,
    stroke,
    tab,
    told,
    upload,
)
from tests.browser.conftest import DESKTOP, PHONE, App
from ui import examples

STEPS = native.read_config(SHIPPED).defaults["generate"]["steps"]


def test_generate(page: Page, tmp_path: Path, pictures: Pictures) -> None:
    images = page.locator("#generate-gallery img")
    expect(images).to_have_count(len(examples.faces()))  # something made already
    settle(page)
    pictures(page, "generate.png")
    number(page, "#generate-seed", 11)
    number(page, "#generate-count", 2)
    page.locator("#generate-run").click()
    expect(page.locator("#generate-stop")).to_be_visible()
    expect(page.locator("#generate-run")).to_be_hidden()
    finished(page, "generate")
    expect(images).to_have_count(2)
    expect(page.locator("#generate-gallery .caption-label")).to_have_text(["seed 11", "seed 12"])

    images.nth(1).click()
    path = downloaded(page, "#generate-gallery button[aria-label=Download]", tmp_path)
    with Image.open(path) as picture:
        said = json.loads(picture.text["parameters"])  # type: ignore[attr-defined]
        assert picture.format == "PNG"
    assert (said["action"], said["seed"], said["steps"]) == ("generate", 12, STEPS)

    run(page, "generate", "enlarge")
    path = downloaded(page, "#generate-gallery button[aria-label=Download]", tmp_path)  # of the one still looked at
    with Image.open(path) as picture:
        said = json.loads(picture.text["parameters"])  # type: ignore[attr-defined]
        assert picture.size == (256, 256)
    assert (said["action"], said["seed"], said["continued_from"]["seed"]) == ("enlarge", 12, 12)
    assert page.strangers == []  # type: ignore[attr-defined]


def test_stop(page: Page) -> None:
    number(page, "#generate-count", 8)
    advanced(page, "generate", 200)
    stopped(page, "generate", 200)
    # The line is free again: another run gets through.
    number(page, "#generate-count", 1)
    number(page, "#generate-steps", 2)
    run(page, "generate")


def test_seed_out_of_range_is_reported_and_loses_nothing(page: Page) -> None:
    before = page.locator("#generate-gallery img").first.get_attribute("src")
    number(page, "#generate-seed", -3)
    page.locator("#generate-run").click()
    told(page, "Seed should be greater than or equal to 0")
    expect(page.locator("#generate-run")).to_be_visible()
    assert page.locator("#generate-gallery img").first.get_attribute("src") == before


def test_seed_dice_and_again(page: Page) -> None:
    seed = page.locator("#generate-seed input")
    advanced(page, "generate", 2)
    number(page, "#generate-seed", 123)
    run(page, "generate")
    page.locator("#generate-dice").click()
    expect(seed).not_to_have_value("123")
    page.locator("#generate-again").click()
    expect(seed).to_have_value("123")


@pytest.mark.parametrize("inverse", [False, True], ids=["painted", "everything else"])
def test_inpaint_keeps_the_rest(page: Page, tmp_path: Path, pictures: Pictures, inverse: bool) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (300, 420, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "photo.png")
    tab(page, "Inpaint")
    settle(page)
    if not inverse:
        drawn(page)
        pictures(page, "inpaint.png")
    opened(page, tmp_path / "photo.png")
    if inverse:
        page.get_by_text("everything else").click()
    stroke(page, (0.4, 0.45), (0.55, 0.55))
    run(page, "inpaint")
    expect(page.locator("#inpaint-result img")).to_have_count(2)
    path = downloaded(page, "#inpaint-download", tmp_path)
    with Image.open(path) as picture:
        made = np.asarray(picture.convert("RGB"))
        said = json.loads(picture.text["parameters"])  # type: ignore[attr-defined]
    assert said["keep_painted"] is inverse
    assert made.shape == noise.shape
    changed = (made != noise).any(2)
    rows, columns = np.flatnonzero(changed.any(1)), np.flatnonzero(changed.any(0))
    share = changed.mean()
    if inverse:
        assert 0.5 < share < 0.999
        assert not changed[130:170, 190:230].all()
    else:
        assert 0.005 < share < 0.4
        assert (rows[0], columns[0]) > (20, 20)
        assert rows[-1] < 280
        assert columns[-1] < 400
        inside = changed[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        assert changed.sum() == inside.sum()


def test_inpaint_example_with_its_mask_runs_at_once(page: Page) -> None:
    tab(page, "Inpaint")
    settle(page)
    advanced(page, "inpaint", 4)
    number(page, "#inpaint-count", 3)
    run(page, "inpaint")
    variants = page.locator("#inpaint-variants img")
    expect(variants).to_have_count(3)
    first = page.locator("#inpaint-result img").nth(1).get_attribute("src")
    variants.nth(2).click()
    expect(page.locator("#inpaint-result img").nth(1)).not_to_have_attribute("src", str(first))


def test_empty_mask_and_no_picture_are_reported_and_lose_nothing(page: Page, tmp_path: Path) -> None:
    Image.new("RGB", (90, 60), "navy").save(tmp_path / "photo.png")
    (tmp_path / "letter.png").write_text("not a picture")
    tab(page, "Inpaint")
    settle(page)
    upload(page, tmp_path / "photo.png")
    drawn(page, (0, 0, 128))  # until then the canvas holds the example's paint, which is not taken for this picture's
    page.locator("#inpaint-run").click()
    told(page, "Nothing is painted yet")
    expect(page.locator("#inpaint-run")).to_be_visible()
    upload(page, tmp_path / "letter.png")
    told(page, "letter.png is not a picture")
    # The picture is still there to be painted on.
    advanced(page, "inpaint", 2)
    stroke(page, (0.4, 0.45), (0.5, 0.5))
    run(page, "inpaint")
    with Image.open(downloaded(page, "#inpaint-download", tmp_path)) as picture:
        assert picture.size == (90, 60)
        assert picture.getpixel((0, 0)) == (0, 0, 128)


def test_process(page: Page, tmp_path: Path, pictures: Pictures) -> None:
    tab(page, "Process")
    settle(page)
    frame = page.locator("#process-frame img")
    number(page, "#process-seed", 5)
    run(page, "process")
    expect(page.locator("#process-strip img")).to_have_count(8)
    expect(page.locator("#process-scrubber input[type=number]")).to_have_value(str(STEPS))
    last = frame.get_attribute("src")
    page.locator("#process-scrubber input[type=range]").fill("3")
    expect(frame).not_to_have_attribute("src", str(last))
    third = frame.get_attribute("src")
    page.get_by_text("what the model sees").click()
    expect(frame).not_to_have_attribute("src", str(third))
    page.get_by_text("what it believes").click()
    expect(frame).to_have_attribute("src", str(third))
    page.locator("#process-strip img").last.click()
    expect(page.locator("#process-scrubber input[type=number]")).to_have_value(str(STEPS))
    expect(page.locator("#process-gif img")).to_be_visible()
    settle(page)
    pictures(page, "process.png")
    path = downloaded(page, "#process-download", tmp_path)
    with Image.open(path) as gif:
        assert gif.format == "GIF"
        assert gif.n_frames == STEPS  # type: ignore[attr-defined]
        assert gif.size == (256, 256)
        first = np.asarray(gif.convert("RGB"), dtype=float)
        gif.seek(19)
        assert np.abs(np.asarray(gif.convert("RGB"), dtype=float) - first).mean() > 1


def test_a_picture_travels_through_the_tabs(page: Page, tmp_path: Path) -> None:
    advanced(page, "generate", 3)
    number(page, "#generate-seed", 40)
    number(page, "#generate-count", 2)
    run(page, "generate")
    page.locator("#generate-gallery img").nth(1).click()
    page.locator("#generate-to-process").click()
    expect(page.locator("#process-seed input")).to_have_value("41")
    run(page, "process")
    tab(page, "Generate")
    page.locator("#generate-to-inpaint").click()
    expect(page.locator("#inpaint-run")).to_be_visible()
    settle(page)
    advanced(page, "inpaint", 5)
    run(page, "inpaint")
    page.locator("#inpaint-to-process").click()
    expect(page.locator("#process-about")).to_contain_text("inpainting")
    run(page, "process")
    expect(page.locator("#process-gif img")).to_be_visible()
    with Image.open(downloaded(page, "#process-download", tmp_path)) as gif:
        assert gif.n_frames == inpainting_calls(5)  # type: ignore[attr-defined]


def test_a_page_that_is_loaded_again_has_the_checkpoint_that_was_chosen(
    visit: Callable[..., Page], serve: Callable[..., App], own_checkpoint: Path
) -> None:
    other = Path(shutil.copytree(own_checkpoint, own_checkpoint.with_name("other")))
    own_way = native.read_config(other).model_copy(update={"defaults": {"generate": {"steps": 7}}})
    native.write_config(other, own_way)
    page = visit(serve(checkpoint=own_checkpoint).address, viewport=DESKTOP, color_scheme="light")
    chosen(page, "other")
    for way in ("chosen", "reloaded"):
        if way == "reloaded":
            page.reload()
        expect(page.locator("#checkpoint input")).to_have_value("other")
        expect(page.locator("#footer")).to_contain_text("other")
        page.get_by_role("button", name="Advanced").locator("visible=true").click()
        expect(page.locator("#generate-steps input[type=number]")).to_have_value("7")  # its own
    shutil.rmtree(other)
    page.reload()
    expect(page.locator("#checkpoint input")).to_have_value("own")


def test_a_new_checkpoint_appears_without_a_restart(page: Page, checkpoint: Path) -> None:
    shutil.copytree(checkpoint, checkpoint.with_name("fresh"))
    page.route("**/queue/join*", lambda route: None)  # what stands in line hears nothing for now
    page.locator("#checkpoint input").click()
    page.get_by_role("option", name="fresh").click()
    expect(page.locator("#footer")).to_contain_text("fresh")
    page.unroute("**/queue/join*")  # and what was held goes on
    answered(page)
    advanced(page, "generate", 2)
    run(page, "generate")
    shutil.rmtree(checkpoint.with_name("fresh"))
    page.locator("#generate-run").click()
    told(page, "There is no checkpoint 'fresh'")


@pytest.mark.parametrize("name", ["Generate", "Inpaint", "Edit", "Play", "Process", "Train"])
def test_nothing_sticks_out_on_a_phone(seen_phone: Page, pictures: Pictures, name: str) -> None:
    tab(seen_phone, name)
    settle(seen_phone)
    if name == "Inpaint":
        drawn(seen_phone)
    pictures(seen_phone, f"{name.lower()}-phone.png", full_page=True)
    assert seen_phone.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


def test_dark(visit: Callable[..., Page], pictures: Pictures) -> None:
    page = visit(viewport=DESKTOP, color_scheme="dark")
    settle(page)
    pictures(page, "generate-dark.png")
    shade = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(shade)
    page.locator("#shade").click()
    page.wait_for_function(f"{shade} !== '{dark}'")


def test_every_tab_leads_to_where_the_documentation_speaks_of_it(page: Page) -> None:
    for name in ("Generate", "Inpaint", "Edit", "Play", "Process", "Train"):
        page.get_by_role("tab", name=name).click()
        page.locator("p.lead a").locator("visible=true").click()
        said = "Train your own" if name == "Train" else f"{name}."
        place = page.locator("#help").locator("strong, h2").get_by_text(said, exact=True)
        expect(place).to_be_in_viewport()
        page.evaluate("scrollTo(0, 0)")
