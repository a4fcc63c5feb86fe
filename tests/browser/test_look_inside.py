"""Looking inside in the real app: by keyboard, with a picture of one's own, on a phone."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import Page, expect

from tests.browser.actions import Pictures, downloaded, settle
from tests.ui.conftest import grain


def look_inside(page: Page) -> None:
    page.get_by_role("tab", name="Look inside").first.click()
    expect(page.locator("#inside-noise-stage img").first).to_be_visible()  # something to see before anything is pressed


def test_views_are_chosen_and_dragged_by_keyboard_and_taken_away(
    page: Page, tmp_path: Path, pictures: Pictures
) -> None:
    look_inside(page)
    settle(page)
    pictures(page, "look-inside.png")
    noised = page.locator("#inside-noise-stage img").nth(1)
    before = str(noised.get_attribute("src"))
    page.locator("#inside-noise-t input[type=range]").press("ArrowRight")
    expect(noised).not_to_have_attribute("src", before)
    expect(page.locator("#inside-noise-download")).to_be_enabled()
    with Image.open(downloaded(page, "#inside-noise-download", tmp_path)) as sheet:
        assert sheet.format == "PNG"

    page.locator("#inside-noise-lines a", has_text="levels_at").press("Enter")
    code = page.locator("#inside-noise-code pre", has_text="def levels_at")
    expect(code).to_be_in_viewport()

    with page.expect_file_chooser() as chooser:
        page.locator("#inside-upload").click()
    Image.fromarray(grain(90, 60)).save(tmp_path / "own.png")
    shown = page.locator("#inside-noise-stage img").first
    before = str(shown.get_attribute("src"))
    chooser.value.set_files(tmp_path / "own.png")
    expect(shown).not_to_have_attribute("src", before)

    page.locator("#inside-view input").nth(1).press("Space")  # to Gradio, each is a group of its own: Tab goes between
    expect(page.locator("#inside-one_step")).to_be_visible()
    expect(page.locator("#inside-one_step-stage img")).to_have_count(5)
    expect(page.locator("#inside-noise")).to_be_hidden()


def test_the_tour_leads_to_points_that_fly_and_can_be_drawn_on_a_phone(phone: Page) -> None:
    look_inside(phone)  # its tab stands beside the others, in no menu
    phone.locator("#inside-tour-clamp").click()
    expect(phone.locator("#inside-guide h3")).to_be_in_viewport()  # it stands further down, beside what it speaks of
    phone.locator("#inside-guide a").click()  # to the next question
    expect(phone.locator("#inside-guide")).to_contain_text("With one step")
    canvas = phone.locator("#inside-points-stage canvas")
    expect(canvas).to_be_visible()
    expect(phone.locator("#inside-guide h3")).to_be_in_viewport()
    expect(phone.locator("#inside-points-stage output")).to_have_text("state 0, after 20 of 20 steps")
    assert phone.evaluate("document.documentElement.scrollWidth") <= 390

    phone.get_by_label("drawn", exact=True).check()
    expect(phone.locator("#inside-points-stage .points-charts")).to_contain_text("Draw on the field")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    assert box is not None
    for i, (x, y) in enumerate([(0.3, 0.3), (0.5, 0.7), (0.7, 0.3)]):
        phone.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"], steps=8)
        if i == 0:
            phone.mouse.down()
    phone.mouse.up()
    expect(phone.locator("#inside-points-stage .points-charts")).to_contain_text("In 20 steps")
    pixels = np.asarray(
        phone.evaluate(
            "[...document.querySelector('#inside-points-stage canvas').getContext('2d').getImageData(0,0,720,720).data]"
        )
    )
    assert pixels.any()


def test_cells_are_pressed_and_points_drawn_by_keys_and_a_view_may_be_left_before_it_is_drawn(page: Page) -> None:
    look_inside(page)
    chooser = page.locator("#inside-view")
    chooser.locator("input[value=likelihood]").press("Space")
    expect(page.locator("#inside-likelihood-stage")).to_contain_text(
        re.compile(r"Step \d+ of 12")
    )  # which takes seconds
    chooser.locator("input[value=cell]").press("Space")
    grid = page.locator("#inside-cell-stage svg.cells")
    expect(grid).to_be_visible()

    grid.focus()
    for key in ("ArrowRight", "ArrowDown", "ArrowDown", "ArrowUp"):
        page.keyboard.press(key)
    frame = grid.locator(".keys")
    expect(frame).to_be_visible()
    assert [frame.get_attribute(name) for name in ("x", "y")] == ["6", "7"]
    page.keyboard.press("Enter")
    expect(page.locator("#inside-cell-column input[type=number]")).to_have_value("6")
    expect(grid.locator(".chosen")).to_have_attribute("y", "7")
    expect(grid).to_be_focused()  # though it was drawn anew

    chooser.locator("input[value=points]").press("Space")
    page.get_by_label("drawn", exact=True).check()
    beside = page.locator("#inside-points-stage .points-charts")
    expect(beside).to_contain_text("Space puts a point")
    canvas = page.locator("#inside-points-stage canvas")
    canvas.focus()
    for key in ("Space", "ArrowRight", "ArrowUp", "ArrowUp", "Space", "Enter"):
        page.keyboard.press(key)
    expect(beside).to_contain_text("In 20 steps")
    expect(canvas).to_be_focused()
