"""Finding a Chromium: Playwright's own, the system's, or one that apt can install."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import Browser, Error, Playwright, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "microsoft-edge")
# No GPU, no sandbox (containers have neither), and no talking to anybody but the app: no other name is found.
FLAGS = [
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
MISSING = "no Chromium found; run `python -m tests.browser.install`"


def on_system() -> str | None:
    """Path of a browser on the search path."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


def launch(playwright: Playwright) -> Browser | None:
    """A running browser: Playwright's own if it is installed, else the system's; None if there is neither."""
    own = Path(playwright.chromium.executable_path).exists()
    path = None if own else on_system()
    if not own and path is None:
        return None
    return playwright.chromium.launch(executable_path=path, args=FLAGS)


def starts() -> bool:
    """Whether a browser can be started now."""
    try:
        with sync_playwright() as playwright:
            browser = launch(playwright)
            if browser is None:
                return False
            browser.close()
            return True
    except Error:
        return False


def install() -> bool:
    """Make sure there is a browser; whether there is one in the end."""
    if starts():
        return True
    attempts = [[sys.executable, "-m", "playwright", "install", "chromium"]]
    if shutil.which("apt-get") and os.geteuid() == 0:
        attempts += [["apt-get", "update", "-q"], ["apt-get", "install", "-qy", "--no-install-recommends", "chromium"]]
    for command in attempts:
        try:
            subprocess.run(command, timeout=300 if command[0] == "apt-get" else 120, check=False)
        except (OSError, subprocess.TimeoutExpired):
            continue
        if starts():
            return True
    return False
