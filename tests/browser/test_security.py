"""What others wrote is only ever read on the page, and the page asks nobody but its own server."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import Page, expect

from tests.browser.actions import LONG, opened, settle, tab, upload
from tests.browser.conftest import DESKTOP, App

EVIL = "<img src=x onerror='window.evil=1'><script>window.evil=1</script>\"><a href='javascript:window.evil=1'>x</a>"
NAME = "<img src=x onerror=evil=1>"
CARD = f"""# {EVIL}

[link](javascript:window.evil=1) ![p](https://example.org/x.png) <img src="https://example.org/y.png">
<iframe srcdoc="<script>parent.evil=1</script>"></iframe> <svg onload="window.evil=1"></svg>
<style>@import url(https://example.org/z.css)</style>
"""


def test_what_others_wrote_runs_nothing_and_fetches_nothing(
    visit: Callable[..., Page], serve: Callable[..., App], class_checkpoint: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "own" / "evil"
    shutil.copytree(class_checkpoint, folder)
    config = json.loads((folder / "config.json").read_text())
    config |= {"about": EVIL, "classes": [EVIL, f"{EVIL}{EVIL}", "bee"]}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "README.md").write_text(CARD)
    shutil.copytree(folder, tmp_path / "own" / NAME)

    page = visit(serve().address, viewport=DESKTOP, color_scheme="light")
    failed: list[str] = []
    page.on("requestfailed", lambda request: failed.append(f"{request.failure} {request.url}"))
    page.locator("#checkpoint input").click()
    page.get_by_role("option", name="evil", exact=True).click()
    expect(page.locator("#footer")).to_contain_text("onerror")
    page.locator("#card .label-wrap").click()
    expect(page.locator("#card")).to_contain_text("link")
    page.locator("#generate-class input").click()
    page.get_by_role("option").first.wait_for()
    page.keyboard.press("Escape")

    tab(page, "Inpaint")
    settle(page)
    noise = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "<img src=x onerror=evil=1>.png")
    opened(page, tmp_path / "<img src=x onerror=evil=1>.png", on_empty=True)
    (tmp_path / "<b onclick=evil=1>.png").write_bytes(b"none")
    upload(page, tmp_path / "<b onclick=evil=1>.png")
    expect(page.locator(".toast-wrap")).to_contain_text("is not a picture")
    tab(page, "Generate")
    page.locator("#checkpoint input").click()
    page.get_by_role("option", name=NAME, exact=True).click()
    expect(page.locator("#checkpoint input")).to_have_value(NAME)
    page.wait_for_timeout(1000)
    shutil.rmtree(tmp_path / "own" / NAME)
    page.locator("#generate-run").click()  # what it says quotes the name, in the bar
    expect(page.locator("#generate-bar p")).to_contain_text("<img")
    assert page.locator("#generate-bar img").count() == 0
    page.wait_for_timeout(500)
    assert page.evaluate("window.evil") is None
    assert page.locator("#card a[href^='javascript'], #card iframe, [onerror], [onload]").count() == 0
    # A request that the policy stops never leaves the browser; one that leaves finds no such name.
    assert not [one for one in failed if "example.org" in one and not one.startswith("csp")], failed


def test_the_page_keeps_to_its_own_policy(page: Page) -> None:
    for name in ("Inpaint", "Edit", "Play", "Process", "Train", "Generate"):
        tab(page, name)
        page.wait_for_timeout(300)
    page.locator("#generate-run").click()
    expect(page.locator("#generate-bar p")).to_contain_text("steps in", timeout=LONG)
    page.locator("a[data-help='Generate']").click()
    expect(page.locator("#help strong").first).to_be_visible()
    broken = [one for one in page.said if "Content Security Policy" in one or "Refused to" in one]  # type: ignore[attr-defined]
    assert not broken, broken
    assert not page.strangers  # type: ignore[attr-defined]
