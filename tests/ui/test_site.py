"""The documentation's site, shown by the app."""

from __future__ import annotations

from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from ui import site


def app() -> FastAPI:
    """One that answers everything, as Gradio's does."""
    app = FastAPI()
    app.get("/{page:path}")(lambda page: "the page")
    site.attach(app)
    return app


def test_what_was_built_is_shown_and_nothing_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(site, "SITE", tmp_path / "site")
    visitor = TestClient(app())
    assert visitor.get("/documentation/index.html").json() == "the page"
    (tmp_path / "site" / "docs").mkdir(parents=True)
    (tmp_path / "site" / "index.html").write_text("home")
    (tmp_path / "site" / "docs" / "that.html").write_text("that")
    (tmp_path / "secret.html").write_text("secret")
    (tmp_path / "site" / "link.html").symlink_to(tmp_path / "secret.html")
    visitor = TestClient(app())
    assert visitor.get("/documentation/").text == "home"
    assert visitor.get("/documentation/docs/that.html").text == "that"
    assert visitor.get("/").json() == "the page"
    for path in ("nosuch.html", "../secret.html", "%2e%2e/secret.html", "link.html"):
        assert "secret" not in visitor.get(f"/documentation/{path}").text


def test_a_file_s_address_in_the_site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(site, "SITE", tmp_path)
    assert site.address_of("README.md") is None
    for page in ("index.html", "docs/that.html", "checkpoints/own/index.html", "deploy/nginx.conf"):
        (tmp_path / page).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / page).touch()
    assert site.address_of("README.md#start") == "documentation/index.html#start"
    assert site.address_of("docs/that.md") == "documentation/docs/that.html"
    assert site.address_of("checkpoints/own/README.md") == "documentation/checkpoints/own/index.html"
    assert site.address_of("deploy/nginx.conf") == "documentation/deploy/nginx.conf"
