"""The real app, started as its own process on a free port, and a browser looking at it."""

from __future__ import annotations

import os
import shutil
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Request, expect, sync_playwright

from tests import forked
from tests.browser.actions import SHIPPED, Pictures
from tests.browser.browser import MISSING, launch

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 180_000  # ms; only a page that is broken, or a very busy machine, takes long
expect.set_options(timeout=PATIENCE)
# The canvas is drawn by the processor, and anew at each frame while it is in use: sixty a second would take all of a
# core from what is tested. What asks for one frame after another gets ten a second, and all else its frame at once.
FRAMES = """(() => {
  const next = window.requestAnimationFrame.bind(window), last = new WeakMap(), asked = new Set();
  let count = 0;
  window.requestAnimationFrame = (draw) => {
    const id = ++count;
    const run = () => next((now) => {
      if (!asked.delete(id)) return;
      last.set(draw, performance.now());
      draw(now);
    });
    asked.add(id);
    const wait = (last.get(draw) ?? -Infinity) + 100 - performance.now();
    if (wait > 0) setTimeout(run, wait);
    else run();
    return id;
  };
  window.cancelAnimationFrame = (id) => asked.delete(id);
})()"""
DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the shipped checkpoint and of what enlarges its faces, in a folder where others may be put beside."""
    folder = tmp_path_factory.mktemp("checkpoints")
    for shipped in (SHIPPED, SHIPPED.with_name("faces-x2")):
        shutil.copytree(shipped, folder / shipped.name, ignore=shutil.ignore_patterns("training"))
    return folder / SHIPPED.name


def own_share() -> dict[str, str]:
    """What has an app compute with its part of the cores, where pytest's workers run one each."""
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    return {"OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // workers))} if workers > 1 else {}


class App:
    """The app as a process of its own.

    Attributes:
        address: where it listens.
        checkpoint: the one it opens with.
        log: file of what it says.
        process: it.
    """

    def __init__(self, checkpoint: Path, folder: Path, *flags: str, port: int | None = None):
        """Start it and wait until it answers; what it keeps lies in `folder`."""
        self.port = port or forked.free_port()
        self.address, self.checkpoint = f"http://127.0.0.1:{self.port}", checkpoint
        self.log = folder / f"app-{uuid.uuid4().hex[:8]}.log"
        given = ["--port", self.port, "--checkpoint", checkpoint, "--device", "cpu", *flags]
        self.process = forked.open_app(given, self.log, own_share() | {"GRADIO_TEMP_DIR": str(folder / "cache")})
        until = time.monotonic() + 300  # starting competes with whatever else the machine does
        while True:
            try:
                urllib.request.urlopen(self.address, timeout=PATIENCE / 1000).close()
                return
            except OSError:
                if self.process.poll() is not None or time.monotonic() > until:
                    self.end()
                    pytest.fail(f"the app did not start:\n{self.log.read_text()}")
                time.sleep(0.2)

    def end(self) -> None:
        """End it, and wait until it has."""
        self.process.terminate()
        self.process.wait(PATIENCE / 1000)


@pytest.fixture(scope="package")
def address(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where the app listens that most tests share."""
    app = App(checkpoint, tmp_path_factory.mktemp("app"))
    yield app.address
    app.end()
    assert "Traceback" not in app.log.read_text(), app.log.read_text()[-3000:]


@pytest.fixture
def serve(tiny_checkpoint: Path, tmp_path: Path) -> Iterator[Callable[..., App]]:
    """Start an app of one's own with these flags, on the `port` and with the `checkpoint` given, else a tiny one."""
    running: list[App] = []
    own = Path(shutil.copytree(tiny_checkpoint, tmp_path / "own" / "tiny"))

    def start(*flags: str, port: int | None = None, checkpoint: Path = own) -> App:
        running.append(App(checkpoint, tmp_path, *flags, port=port))
        return running[-1]

    yield start
    for app in running:
        app.end()


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """A Chromium. Without one, tests are skipped, but fail where CI is set."""
    with sync_playwright() as playwright:
        running = launch(playwright)
        if running is None:
            (pytest.fail if os.environ.get("CI") else pytest.skip)(MISSING)
        yield running
        running.close()


@pytest.fixture(scope="package")
def contexts(browser: Browser) -> Iterator[Contexts]:
    """Browsing contexts that tests share one after the other: what the page is made of is fetched once for each."""
    kept = Contexts(browser)
    yield kept
    kept.close()


class Contexts:
    """One browsing context for each kind of window, made when it is first asked for."""

    def __init__(self, browser: Browser):
        self.browser = browser
        self.made: dict[str, BrowserContext] = {}

    def visit(self, address: str, **options: object) -> Page:
        """A new page with the app on it, as for somebody who comes for the first time.

        What it asks of other hosts is remembered in `strangers`, of which nothing is answered (`browser.FLAGS`); what
        it tells the console from the start, in `said`; what it asks of the line and has no answer to yet, in `asking`.
        """
        context = self.made.get(str(options))
        if context is None:
            context = self.made[str(options)] = self.browser.new_context(accept_downloads=True, **options)  # type: ignore[arg-type]
            context.add_init_script("if (!sessionStorage.length) localStorage.clear(); sessionStorage.here = 1")
            context.add_init_script(FRAMES)
        context.clear_cookies()
        page = context.new_page()
        strangers: list[str] = []
        said: list[str] = []
        page.strangers, page.said = strangers, said  # type: ignore[attr-defined]
        page.on("console", lambda message: said.append(message.text))
        ours = (address, "data:", "blob:")
        page.on("request", lambda request: request.url.startswith(ours) or strangers.append(request.url))
        asking: set[Request] = set()
        page.asking = asking  # type: ignore[attr-defined]
        page.on("request", lambda request: asking.add(request) if "/queue/" in request.url else None)
        page.on("requestfinished", lambda request: asking.discard(request))
        page.on("requestfailed", lambda request: asking.discard(request))
        page.set_default_timeout(PATIENCE)
        page.goto(address)
        page.locator("#generate-run").wait_for()
        return page

    def close(self) -> None:
        """Close all of them."""
        for context in self.made.values():
            context.close()


@pytest.fixture
def visit(contexts: Contexts, address: str) -> Iterator[Callable[..., Page]]:
    """Open the app in a window of these options, at another address than the shared app's if one is given."""
    opened: list[Page] = []

    def look(where: str = address, **options: object) -> Page:
        opened.append(contexts.visit(where, **options))
        return opened[-1]

    yield look
    for page in opened:
        page.close()


@pytest.fixture
def page(visit: Callable[..., Page]) -> Page:
    """A desktop window with the app on it."""
    return visit(viewport=DESKTOP, color_scheme="light")


@pytest.fixture
def phone(visit: Callable[..., Page]) -> Page:
    """A phone with the app on it."""
    return visit(viewport=PHONE, color_scheme="light", has_touch=True, is_mobile=True)


@pytest.fixture(scope="module")
def seen_phone(contexts: Contexts, address: str) -> Iterator[Page]:
    """A phone with the app on it for all tests of a file that only look: a page takes seconds to open."""
    page = contexts.visit(address, viewport=PHONE, color_scheme="light", has_touch=True, is_mobile=True)
    yield page
    page.close()


@pytest.fixture(scope="session")
def pictures() -> Pictures:
    """Takes a screenshot for docs/images, with UPDATE_SCREENSHOTS=1; else it does nothing, for no test looks at one."""
    folder = ROOT / "docs" / "images"

    def take(page: Page, name: str, **how: bool) -> None:
        if os.environ.get("UPDATE_SCREENSHOTS") == "1":
            folder.mkdir(parents=True, exist_ok=True)
            page.screenshot(path=folder / name, **how)  # type: ignore[arg-type]

    return take
