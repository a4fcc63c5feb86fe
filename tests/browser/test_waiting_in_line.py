"""Waiting for others, as the page says it: the place in line, and why a request was not taken."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.browser.actions import LONG, advanced, drawn, number, run, stroke, tab
from tests.browser.conftest import DESKTOP, App
from tests.visitor import Refused, Visitor

BUSY = "The studio is busy: as many as may wait are waiting, 1. Try again in a minute."


def test_who_waits_sees_a_place_and_who_is_refused_a_sentence(
    visit: Callable[..., Page], serve: Callable[..., App], checkpoint: Path
) -> None:
    app = serve("--max-waiting", "1", checkpoint=checkpoint)  # of a tiny one, what is long would be over too soon
    with Visitor(app.address) as first, Visitor(app.address) as third:
        first.learn()
        third.learn()
        page = visit(app.address, viewport=DESKTOP, color_scheme="light")
        bar = page.locator("#generate-bar p")
        tab(page, "Inpaint")  # what takes a busy browser long comes before what it is to see
        drawn(page)
        tab(page, "Generate")
        advanced(page, "generate", 100)
        number(page, "#generate-count", 8)
        before = first.ask("generate", steps=999, count=8, sampler="heun")
        page.locator("#generate-run").click()
        expect(bar).to_have_text(re.compile("^Next in line"), timeout=LONG)
        page.locator("#generate-stop").click()
        waiting = None
        while waiting is None:  # a draft may still stand in the line's one place
            with suppress(Refused):
                waiting = third.ask("generate", steps=999, count=8)
            page.wait_for_timeout(200)
        page.locator("#generate-run").click()
        expect(bar).to_have_text(BUSY, timeout=LONG)
        expect(page.locator("#generate-run")).to_be_visible()
        tab(page, "Inpaint")
        stroke(page, (0.4, 0.4), (0.6, 0.6))
        expect(page.locator("#inpaint-bar p")).to_have_text(BUSY)  # nobody pressed for the draft; no notice is needed
        tab(page, "Generate")
        for visitor, event in ((third, waiting), (first, before)):
            given = {"session_hash": visitor.session, "fn_index": visitor.numbers["generate"], "event_id": event}
            visitor.http.post("/gradio_api/cancel", json=given).raise_for_status()
        number(page, "#generate-count", 1)
        number(page, "#generate-steps", 3)
        run(page, "generate")
