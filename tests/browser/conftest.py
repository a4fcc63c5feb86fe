"""The real app, started as its own process on a free port, and a browser looking at it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.browser.browser import MISSING, launch

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ROOT / "checkpoints" / "faces-128"
PATIENCE = 60_000  # ms; only a page that is broken, or a very busy machine, takes long
expect.set_options(timeout=PATIENCE)
DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the shipped checkpoint, in a folder where others may be put beside it."""
    copy = tmp_path_factory.mktemp("checkpoints") / "faces-128"
    return Path(shutil.copytree(SHIPPED, copy, ignore=shutil.ignore_patterns("training")))


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def address(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where the app listens."""
    port = free_port()
    cache = tmp_path_factory.mktemp("gradio")
    log = cache / "app.log"
    command = [sys.executable, "app.py", "--port", str(port), "--checkpoint", str(checkpoint), "--device", "cpu"]
    with open(log, "w") as output:
        app = subprocess.Popen(
            command,
            cwd=ROOT,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "GRADIO_TEMP_DIR": str(cache)},
        )
    try:
        url = f"http://127.0.0.1:{port}"
        until = time.monotonic() + 300  # starting competes with whatever else the machine does
        while True:
            try:
                urllib.request.urlopen(url, timeout=2).close()
                break
            except OSError:
                if app.poll() is not None or time.monotonic() > until:
                    pytest.fail(f"the app did not start:\n{log.read_text()}")
                time.sleep(0.2)
        yield url
        assert "Traceback" not in log.read_text(), log.read_text()[-3000:]
    finally:
        app.terminate()
        app.wait(10)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A Chromium. Without one, tests are skipped, but fail where CI is set."""
    with sync_playwright() as playwright:
        running = launch(playwright)
        if running is None:
            (pytest.fail if os.environ.get("CI") else pytest.skip)(MISSING)
        yield running
        running.close()


def visit(browser: Browser, address: str, **options: object) -> Page:
    """A new page with the app on it; anything it asks of other hosts is refused and remembered in `strangers`."""
    context = browser.new_context(accept_downloads=True, **options)  # type: ignore[arg-type]
    page = context.new_page()
    page.strangers = []  # type: ignore[attr-defined]

    def gate(route: object, request: object) -> None:
        if request.url.startswith((address, "data:", "blob:")):  # type: ignore[attr-defined]
            route.continue_()  # type: ignore[attr-defined]
        else:
            page.strangers.append(request.url)  # type: ignore[attr-defined]
            route.abort()  # type: ignore[attr-defined]

    page.route("**/*", gate)
    page.set_default_timeout(PATIENCE)
    page.goto(address)
    page.locator("#generate-run").wait_for()
    return page


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    """A desktop window with the app on it."""
    shown = visit(browser, address, viewport=DESKTOP, color_scheme="light")
    yield shown
    shown.context.close()


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where screenshots go: docs/images with UPDATE_SCREENSHOTS=1, else nowhere that lasts."""
    if os.environ.get("UPDATE_SCREENSHOTS") != "1":
        return tmp_path_factory.mktemp("screenshots")
    folder = ROOT / "docs" / "images"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
