"""The documentation's site, shown where it was built beside the app (`mkdocs build`)."""

from __future__ import annotations

import posixpath
from pathlib import Path

from fastapi import FastAPI
from starlette.staticfiles import StaticFiles

SITE = Path(__file__).resolve().parent.parent / "site"
PATH = "documentation"  # below the page's own


def attach(app: FastAPI) -> None:
    """Answer what is below /documentation, before whatever else the app answers; nothing without a site."""
    if (SITE / "index.html").is_file():
        app.mount(f"/{PATH}", StaticFiles(directory=SITE, html=True))
        app.router.routes.insert(0, app.router.routes.pop())


def address_of(file: str) -> str | None:
    """Where the site shows a file of the repository ("docs/training.md#faces"), from the page; None if nowhere."""
    path, _, anchor = file.partition("#")
    folder, name = posixpath.split(path)
    stem, suffix = posixpath.splitext(name)
    page = {".md": f"{folder}/{'index' if stem == 'README' else stem}.html", ".py": f"reference/{folder}/{stem}.html"}
    found = page.get(suffix, path).lstrip("/")
    if not (SITE / found).is_file():
        return None
    return f"{PATH}/{found}" + (f"#{anchor}" if anchor else "")
