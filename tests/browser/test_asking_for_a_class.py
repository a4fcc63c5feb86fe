"""A checkpoint with classes in the real app."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import SHIPPED
from tests.browser.test_studio import advanced, run, tab


@pytest.fixture
def digits(checkpoint: Path) -> Iterator[str]:
    """The shipped checkpoint of digits beside that of faces; its name."""
    beside = checkpoint.with_name("digits")
    shutil.copytree(SHIPPED.with_name("digits"), beside, ignore=shutil.ignore_patterns("training"))
    yield beside.name
    shutil.rmtree(beside)


def chosen(page: Page, name: str) -> None:
    page.locator("#checkpoint input").click()
    page.get_by_role("option", name=name).click()
    expect(page.locator("#footer")).to_contain_text(name)


def test_a_class_is_asked_for_where_there_are_classes_and_only_there(page: Page, digits: str, pictures: Path) -> None:
    expect(page.locator("#generate-class")).to_be_hidden()
    chosen(page, digits)
    expect(page.locator("#generate-class")).to_be_visible()
    expect(page.locator("#generate-guidance")).to_be_visible()
    page.locator("#generate-class input").click()
    page.get_by_role("option", name="7", exact=True).click()
    advanced(page, "generate", 4)
    run(page, "generate")
    expect(page.locator("#generate-gallery")).to_contain_text(re.compile(r"7, seed \d+"))
    page.screenshot(path=pictures / "generate-digits.png")

    page.locator("#generate-to-process").click()
    expect(page.locator("#process-run")).to_be_visible()
    run(page, "process")

    tab(page, "Generate")
    chosen(page, "faces-128")
    expect(page.locator("#generate-class")).to_be_hidden()
    expect(page.locator("#generate-guidance")).to_be_hidden()
