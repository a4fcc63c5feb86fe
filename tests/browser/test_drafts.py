"""What a stroke may meet: a canvas that still opens, a draft that takes its time, a second finger, an answer that never
comes."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, Route, expect

from tests.browser.actions import LONG, advanced, answered, downloaded, drawn, opened, run, settle, stroke, tab
from tests.browser.conftest import DESKTOP
from tests.browser.fingers import Fingers, assert_one_stroke
from ui.languages import dictionaries

DRAFTED = re.compile(r"^Live draft in ")
OPENING, COMING = "Opening the picture …", "A live draft is on its way …"
CANVAS = "#inpaint-editor .image-container"


class Held:
    """What the page asks for at addresses that match, and gets when it is let go."""

    def __init__(self, page: Page, pattern: str, kind: str = "fetch"):
        self.page, self.kind, self.holds = page, kind, True
        self.routes: list[Route] = []
        page.route(pattern, self.take)

    def take(self, route: Route) -> None:
        if self.holds and route.request.resource_type == self.kind:
            self.routes.append(route)
        else:
            route.continue_()

    def wait(self) -> None:
        """Until something is held."""
        while not self.routes:
            self.page.wait_for_timeout(50)

    def abort(self) -> None:
        """Have what is held never be answered, and hold nothing more."""
        self.holds = False
        while self.routes:
            self.routes.pop(0).abort()

    def go(self) -> None:
        """Let all of it go, and hold nothing more."""
        self.holds = False
        while self.routes:
            self.routes.pop(0).continue_()


def announced(page: Page, words: str = COMING) -> None:
    expect(page.locator("#inpaint-bar")).to_have_attribute("data-drafting", words)


def silent(page: Page) -> None:
    expect(page.locator("#inpaint-bar")).not_to_have_attribute("data-drafting", re.compile("."))


@pytest.fixture
def painting(page: Page) -> Page:
    """The Inpaint tab with its example on the canvas."""
    tab(page, "Inpaint")
    settle(page)
    drawn(page)
    answered(page)
    return page


def test_a_canvas_takes_strokes_once_its_picture_and_paint_are_on_it_and_says_so_until_then(page: Page) -> None:
    ahead: list[str] = []
    page.on("request", lambda request: ahead.append(request.url) if "component_server" in request.url else None)
    held = Held(page, "**/file=**")
    page.reload()
    page.locator("#generate-run").wait_for()
    tab(page, "Inpaint")
    held.wait()
    canvas = page.locator(CANVAS)
    expect(canvas).to_have_attribute("data-opening", OPENING)
    expect(canvas).to_have_attribute("aria-busy", "true")
    box = canvas.bounding_box()
    assert box
    hit = "([x, y]) => document.elementFromPoint(x, y).matches('canvas')"
    middle = [box["x"] + box["width"] / 2, box["y"] + box["height"] / 2]
    assert not page.evaluate(hit, middle)
    held.go()
    expect(canvas).not_to_have_attribute("aria-busy", "true")
    assert page.evaluate(hit, middle)
    stroke(page, (0.35, 0.8), (0.55, 0.8))  # at once
    expect(page.locator("#inpaint-bar p")).to_have_text(DRAFTED, timeout=LONG)
    assert ahead == []  # a canvas that is sent before it is asked for is not what it has become by then


def test_a_draft_that_takes_its_time_is_announced_until_it_is_there(painting: Page) -> None:
    page = painting
    silent(page)
    held = Held(page, "**/queue/join**")
    stroke(page, (0.35, 0.8), (0.55, 0.8))
    announced(page)
    expect(page.locator("#voice")).to_have_text(COMING)
    expect(page.locator("#inpaint-bar p")).to_be_hidden()
    held.go()
    expect(page.locator("#inpaint-bar p")).to_have_text(DRAFTED, timeout=LONG)
    silent(page)
    expect(page.locator("#inpaint-bar p")).to_be_visible()


NOTED = (
    "new MutationObserver(() => (window.announcedOnce = true))"
    ".observe(document.querySelector('#inpaint-bar'), {attributeFilter: ['data-drafting']})"
)


def test_looking_at_the_result_while_the_canvas_opens_announces_no_draft(page: Page) -> None:
    held = Held(page, "**/file=**")
    page.reload()
    page.locator("#generate-run").wait_for()
    tab(page, "Inpaint")
    held.wait()
    page.evaluate(NOTED)
    page.get_by_role("button", name="Advanced").locator("visible=true").click()
    page.locator("#inpaint-count input[type=number]").click()
    page.locator("#inpaint-bar").click()
    held.go()
    drawn(page)
    answered(page)
    assert not page.evaluate("Boolean(window.announcedOnce)")


def test_opening_a_picture_announces_no_draft(painting: Page, tmp_path: Path) -> None:
    page = painting
    page.evaluate(NOTED)
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "photo.png")
    opened(page, tmp_path / "photo.png")
    answered(page)
    assert not page.evaluate("Boolean(window.announcedOnce)")


ENDS = {"refused": "queue/join", "superseded": "queue/join", "unsent": "gradio_api/upload", "silent": "queue/data"}


@pytest.mark.parametrize("end", ENDS)
def test_a_draft_that_will_not_come_is_announced_no_longer(painting: Page, end: str) -> None:
    page = painting
    advanced(page, "inpaint", 2)
    answered(page)
    held = Held(page, f"**/{ENDS[end]}**")
    usual = page.evaluate("({...studio.watch})")
    stroke(page, (0.35, 0.8), (0.55, 0.8))
    if end != "unsent":  # which is asked for once its paint has been sent
        announced(page)
    held.wait()
    if end == "silent":  # the server is there, its stream brings nothing
        page.evaluate("Object.assign(studio.watch, {every: 500, silence: 1500})")
    elif end == "superseded":
        page.locator("#inpaint-run").click()
    else:
        held.abort()
    silent(page)
    page.evaluate("usual => Object.assign(studio.watch, usual)", usual)
    if end == "silent":
        expect(page.locator(".toast-body")).to_contain_text("The connection to the studio was lost")
        held.routes.clear()  # the page has given that one up
    held.go()
    if end == "superseded":
        expect(page.locator("#inpaint-bar p")).to_have_text(re.compile(r"^\d+ steps? in "), timeout=LONG)
    else:  # and the next one comes
        stroke(page, (0.35, 0.7), (0.55, 0.7))
        expect(page.locator("#inpaint-bar p")).to_have_text(DRAFTED, timeout=LONG)
    silent(page)


def test_a_run_whose_stream_brings_nothing_ends_though_the_server_is_there(page: Page) -> None:
    held = Held(page, "**/queue/data**")
    advanced(page, "generate", 2)
    page.evaluate("Object.assign(studio.watch, {every: 500, silence: 1500})")
    page.locator("#generate-run").click()
    held.wait()
    expect(page.locator("#generate-bar p")).to_have_text(re.compile("^The connection to the studio was lost"))
    expect(page.locator("#generate-run")).to_be_visible()
    held.routes.clear()
    held.go()
    page.evaluate("studio.watch.silence = 60000")
    run(page, "generate")


def test_the_sign_of_a_draft_is_in_the_visitors_language(visit: Callable[..., Page]) -> None:
    page = visit(viewport=DESKTOP, color_scheme="light", locale="fr-FR")
    words = dictionaries()["fr"]
    page.get_by_role("tab", name=words["Inpaint"], exact=True).click()
    settle(page)
    drawn(page)
    answered(page)
    held = Held(page, "**/queue/join**")
    stroke(page, (0.35, 0.8), (0.55, 0.8))
    announced(page, words[COMING])
    held.go()
    silent(page)


def test_two_fingers_while_a_draft_is_made_paint_nothing_and_take_nothing_away(phone: Page, tmp_path: Path) -> None:
    page = phone
    noise = np.random.default_rng(0).integers(0, 256, (128, 128, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "photo.png")
    page.get_by_role("tab", name="Inpaint", exact=True).click()
    settle(page)
    opened(page, tmp_path / "photo.png")
    answered(page)
    page.evaluate("document.querySelector('#inpaint-editor').scrollIntoView({block: 'center'})")
    zoom = page.locator("#inpaint-editor .zoom-number")
    whole, fingers = int(zoom.inner_text().rstrip("%")), Fingers(page)
    held = Held(page, "**/queue/join**")
    fingers.move(((0.4, 0.5), (0.6, 0.5)))
    held.wait()
    announced(page)
    fingers.move(((0.45, 0.2), (0.3, 0.2)), ((0.55, 0.2), (0.7, 0.2)))
    expect(zoom).not_to_have_text(f"{whole}%")
    announced(page)
    held.go()
    expect(page.locator("#inpaint-bar p")).to_have_text(DRAFTED, timeout=LONG)
    answered(page)
    silent(page)
    assert_one_stroke(downloaded(page, "#inpaint-download", tmp_path), noise)
