"""Back and Forward of the browser: they go from tab to tab, and nothing on the page is lost."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.browser.actions import advanced, run, tab


def selected(page: Page, name: str) -> None:
    expect(page.get_by_role("tab", name=name)).to_have_attribute("aria-selected", "true")


def test_back_and_forward_go_from_tab_to_tab_and_keep_what_was_made(page: Page) -> None:
    advanced(page, "generate", 2)
    run(page, "generate")
    made = page.locator("#generate-gallery img").first
    source = str(made.get_attribute("src"))
    tab(page, "Edit")
    tab(page, "Process")
    for go, name in (
        (page.go_back, "Edit"),
        (page.go_back, "Generate"),
        (page.go_forward, "Edit"),
        (page.go_back, "Generate"),
    ):
        go()
        selected(page, name)
    expect(made).to_have_attribute("src", source)
    expect(page.locator("#generate-steps input[type=number]")).to_have_value("2")
    page.locator("#generate-to-inpaint").click()  # a tab that the page itself goes to
    selected(page, "Inpaint")
    page.go_back()
    selected(page, "Generate")
    expect(made).to_have_attribute("src", source)
