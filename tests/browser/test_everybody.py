"""The page for everybody: whoever listens to it, uses keys or fingers, or wants nothing to move by itself."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Locator, Page, expect

from tests.browser.actions import LONG, advanced, downloaded, drawn, number, opened, run, settle
from tests.browser.conftest import DESKTOP, PHONE
from tests.browser.fingers import Fingers, assert_one_stroke
from ui.examples import FIRST_SEED
from ui.languages import dictionaries

NEGATIVE = "Seed should be greater than or equal to {least}, not '{given}'."
TABS = ("Generate", "Inpaint", "Edit", "Play", "Process", "Look inside", "Train")
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"], "resultTypes": ["violations"]}
# What Gradio itself breaks and neither style nor script can mend: the rule's id, and why it is so.
ACCEPTED: dict[str, str] = {}


def open_tab(page: Page, name: str) -> None:
    page.get_by_role("tab", name=name, exact=True).click()
    page.wait_for_timeout(500)
    for fold in page.get_by_role("button", name="Advanced").locator("visible=true").all():
        if "open" not in str(fold.get_attribute("class")):
            fold.click()
    settle(page)


def violations(page: Page, of: str | None = None) -> list[str]:
    """What axe finds on the page as it stands, or in the part `of` it, one line an element."""
    found = Axe().run(page, context=of, options=RULES).response["violations"]
    return [
        f"{rule['id']}: {node['html'][:160]} ({node['failureSummary']})"
        for rule in found
        if rule["id"] not in ACCEPTED
        for node in rule["nodes"]
    ]


# Left, right and top of each tab's name.
NAMES = """[...document.querySelectorAll('#tabs .tab-container:not(.visually-hidden) [role=tab]')].map((tab) => {
  const name = document.createRange();
  name.selectNodeContents(tab);
  const { left, right, top } = name.getBoundingClientRect();
  return [left, right, top];
})"""


def test_names_of_tabs_stand_apart_on_a_phone(seen_phone: Page) -> None:
    names = seen_phone.evaluate(NAMES)
    assert len(names) == len(TABS)
    for (_, right, above), (left, _, top) in pairwise(names):
        assert top == above  # all in one row
        assert left - right >= 7  # CSS pixels


@pytest.mark.parametrize("window", ["desktop", "phone"])
def test_every_tab_can_be_used_by_everybody_and_asks_nobody_else_for_anything(
    visit: Callable[..., Page], window: str
) -> None:
    touched = {"has_touch": True, "is_mobile": True} if window == "phone" else {}
    # Without transitions, so that no colour is measured on its way to another.
    page = visit(viewport=PHONE if touched else DESKTOP, color_scheme="light", reduced_motion="reduce", **touched)
    found = {}
    for name in TABS:
        open_tab(page, name)
        pictures = page.locator("img[alt='']:visible:not(button[aria-label] img, .square img, .show-api img)")
        assert pictures.count() == 0, f"{name}: {pictures.first.evaluate('picture => picture.outerHTML')}"
        for shade in ("light", "dark"):
            found[name, shade] = violations(page)
            # Nobody has done anything that calls for a notice.
            assert page.locator(".toast-body").all_inner_texts() == [], f"{name} in {shade}"
            page.locator("#shade").click()
    assert {where: what for where, what in found.items() if what} == {}
    assert page.strangers == []  # type: ignore[attr-defined]


def focused(page: Page) -> Locator:
    return page.locator(":focus")


def ringed(page: Page) -> bool:
    """Whether one sees where the keys are."""
    return bool(
        page.evaluate(
            "(style => style.outlineStyle === 'solid' && parseFloat(style.outlineWidth) >= 2)"
            "(getComputedStyle(document.activeElement))"
        )
    )


def walk(page: Page, to: str) -> list[str]:
    """Press Tab until something of the id `to` has the focus; ids of what had it on the way, without repetitions."""
    passed: list[str] = []
    for _ in range(60):
        page.keyboard.press("Tab")
        assert ringed(page), focused(page).evaluate("one => one.outerHTML")[:300]
        name = page.evaluate("document.activeElement.closest('[id]:not([id^=range_id])')?.id || ''")
        if name and name not in passed:
            passed.append(name)
        if name == to:
            return passed
    pytest.fail(f"{to} is not reached by the Tab key; {passed} are")


WALKED = """window.walked = new Set();
document.addEventListener("focusin", (event) => window.walked.add(event.target));"""
MISSED = """[...document.querySelectorAll('[role=tabpanel] :is(button, input, textarea, a[href], [tabindex="0"])')]
  .filter((one) => one.checkVisibility({ visibilityProperty: true }) && one.getBoundingClientRect().width > 1)
  .filter((one) => !one.disabled && one.tabIndex >= 0 && !window.walked.has(one))
  .map((one) => one.outerHTML.slice(0, 200))"""


def test_keys_reach_everything_on_every_tab_and_leave_it_again(visit: Callable[..., Page]) -> None:
    page = visit(viewport=DESKTOP, color_scheme="light", reduced_motion="reduce")
    page.evaluate(WALKED)
    for name in TABS:
        open_tab(page, name)
        page.get_by_role("tab", name=name, exact=True).focus()
        for _ in range(120):
            page.keyboard.press("Tab")
            assert ringed(page), focused(page).evaluate("one => one.outerHTML")[:300]
            if page.evaluate("document.activeElement.closest('#card') !== null"):
                break
        else:
            pytest.fail(f"{name} is not left by the Tab key")
        assert page.evaluate(MISSED) == [], name


def test_an_inpainting_is_made_by_keys_alone(visit: Callable[..., Page], tmp_path: Path) -> None:
    page = visit(viewport=DESKTOP, color_scheme="light", reduced_motion="reduce")
    page.get_by_role("tab", name="Inpaint", exact=True).focus()
    page.keyboard.press("Enter")
    settle(page)
    drawn(page)
    passed = walk(page, "inpaint-ready-eyes")
    assert "inpaint-editor" in passed
    page.keyboard.press("Enter")  # paint without a pointer
    expect(page.locator("#inpaint-bar p")).to_have_text(re.compile("^Live draft in "), timeout=LONG)
    expect(page.locator("#voice")).not_to_be_empty()

    passed += walk(page, "inpaint-result")
    line = page.locator("#inpaint-result [role=slider]")
    line.focus()
    assert ringed(page)
    here = line.bounding_box()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    there = line.bounding_box()
    assert here
    assert there
    assert 20 < here["x"] - there["x"] < 80
    expect(line).to_have_attribute("aria-valuenow", "40")

    passed += walk(page, "inpaint-run")
    order = ["inpaint-editor", "inpaint-ready-eyes", "inpaint-result", "inpaint-region", "inpaint-seed", "inpaint-run"]
    assert [name for name in passed if name in order] == order
    page.keyboard.press("Enter")
    expect(page.locator("#inpaint-bar p")).to_have_text(re.compile(r"^\d+ steps? in "), timeout=LONG)
    expect(page.locator("#voice")).to_have_text(re.compile(r"^\d+ steps? in "))
    pictures = page.locator("#inpaint-result .content img")
    expect(pictures.nth(0)).to_have_attribute("alt", "Before")
    expect(pictures.nth(1)).to_have_attribute("alt", "After, seed 1")

    page.get_by_role("tab", name="Process", exact=True).click()
    settle(page)
    moving = page.locator("#process-gif .image-container > button")
    still = moving.locator("canvas")
    expect(still).to_be_visible()  # nothing moves for those who asked for that
    moving.focus()
    page.keyboard.press("Enter")
    expect(still).to_have_count(0)
    expect(moving).to_have_attribute("aria-label", re.compile("^Pause the animation"))
    page.keyboard.press("Enter")
    expect(still).to_be_visible()


def test_on_a_phone_one_finger_paints_and_two_zoom(phone: Page, tmp_path: Path) -> None:
    page = phone
    noise = np.random.default_rng(0).integers(0, 256, (128, 128, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "photo.png")
    page.get_by_role("tab", name="Inpaint", exact=True).click()
    settle(page)
    page.locator("#inpaint-live input").uncheck()
    opened(page, tmp_path / "photo.png")
    page.evaluate("document.querySelector('#inpaint-editor').scrollIntoView({block: 'center'})")
    zoom = page.locator("#inpaint-editor .zoom-number")
    whole, fingers = int(zoom.inner_text().rstrip("%")), Fingers(page)
    fingers.move(((0.45, 0.5), (0.3, 0.5)), ((0.55, 0.5), (0.7, 0.5)))
    expect(zoom).not_to_have_text(f"{whole}%")
    near = int(zoom.inner_text().rstrip("%"))
    assert 2 * whole < near < 6 * whole  # fingers four times as far apart as they were
    fingers.move(((0.1, 0.5), (0.45, 0.5)), ((0.9, 0.5), (0.55, 0.5)))
    expect(zoom).to_have_text(f"{whole}%")
    fingers.move(((0.4, 0.5), (0.6, 0.5)))

    advanced(page, "inpaint", 2)
    run(page, "inpaint")
    assert_one_stroke(downloaded(page, "#inpaint-download", tmp_path), noise)


SPOKEN = {
    "de-DE": [
        "Erzeugen",
        f"Früher gemacht, ab Seed {FIRST_SEED}.",
        "Anderer Seed",
        "Mehr Schritte: feiner und langsamer.",
    ],
    "ja-JP": ["生成", f"作成済み、シード {FIRST_SEED} から。", "別のシード", "多いほど精細になり、遅くなります。"],
}


@pytest.mark.parametrize("language", SPOKEN)
def test_the_page_speaks_the_language_of_its_visitor(visit: Callable[..., Page], language: str) -> None:
    page = visit(viewport=PHONE, color_scheme="light", locale=language, has_touch=True, is_mobile=True)
    tab, line, dice, info = SPOKEN[language]
    cut_off = "(tabs) => tabs.filter((tab) => tab.scrollWidth > tab.clientWidth + 1).map((tab) => tab.innerText)"
    assert page.get_by_role("tab").evaluate_all(cut_off) == []
    expect(page.locator("html")).to_have_attribute("lang", language[:2])
    expect(page.get_by_role("tab", name=tab, exact=True)).to_be_visible()
    expect(page.locator("#generate-run")).to_have_text(tab)
    expect(page.locator("#generate-dice")).to_have_text(dice)
    expect(page.locator("#generate-bar p")).to_have_text(line)
    page.locator(".controls button.label-wrap").locator("visible=true").click()
    expect(page.get_by_text(info)).to_be_visible()
    number(page, "#generate-seed", -3)
    page.locator("#generate-run").click()  # a notice, which no component shows
    problem = page.locator(".toast-message-text")
    expect(problem).to_have_text(dictionaries()[language[:2]][NEGATIVE].format(least=0, given=-3))
    expect(page.locator(".toast-body")).to_have_css("opacity", "1")  # colours are measured when it has faded in
    assert violations(page, of=".toast-wrap") == []
    page.locator(".toast-title-row").focus()
    page.keyboard.press("Enter")
    expect(problem).to_have_count(0)
    expect(page.locator(".toast-title-row")).to_have_attribute("aria-expanded", "false")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    expect(page.locator(".toast-body")).to_have_count(0)
    for one in page.get_by_role("tab").all():
        box = one.bounding_box()
        assert box is None or box["x"] + box["width"] <= PHONE["width"]
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


def test_the_canvas_and_its_tools_have_names_in_the_visitors_language(visit: Callable[..., Page]) -> None:
    page = visit(viewport=PHONE, color_scheme="light", locale="de-DE", has_touch=True, is_mobile=True)
    page.get_by_role("tab", name="Inpainting").click()
    for tool in ("Pinsel", "Radieren", "Leinwand leeren", "Vergrößern", "Verkleinern", "Vollbild"):
        expect(page.get_by_role("button", name=tool, exact=True).locator("visible=true").first).to_be_visible()
    expect(page.get_by_role("button", name="Brush", exact=True)).to_have_count(0)
