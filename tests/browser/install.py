"""`python -m tests.browser.install`: make sure the browser tests have a browser; fails if they cannot have one."""

from __future__ import annotations

import sys

from tests.browser.browser import install

if __name__ == "__main__":
    sys.exit(0 if install() else "No browser could be found or installed; install Chromium and try again.")
