"""The documentation on the page: the README's chapters, as far as a page can show them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ui import help as documents
from ui import site
from ui.help import documentation, lead


def test_it_has_the_chapters_for_visitors_and_a_place_for_every_tab() -> None:
    text = documentation()
    assert re.findall(r"^## (.*)$", text, flags=re.MULTILINE) == list(documents.CHAPTERS)
    for tab in ("Generate", "Inpaint", "Edit", "Play", "Process"):
        assert f"**{tab}." in text
    assert "pip install" not in text


def test_pictures_and_links_that_lead_nowhere_are_left_out_and_the_others_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(
        "# Studio\n\n## Start\n\nsecret\n\n## What you can do\n\nPaint.\n\n![The tab](docs/tab.png)\n\n"
        "*The tab.*\n\nSee [that](docs/that.md) and [the paper](https://arxiv.org/abs/1).\n\n## Licence\n\nfree\n"
    )
    monkeypatch.setattr(documents, "README", readme)
    text = documentation()
    assert " ".join(text.split()) == "## What you can do Paint. See that and [the paper](https://arxiv.org/abs/1)."
    readme.unlink()
    assert "README" in documentation()


def test_links_lead_into_the_documentation_s_site_where_it_was_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    readme = tmp_path / "README.md"
    said = "See [that](docs/that.md#part), [steps](ddpm_core/steps.py), [gone](docs/gone.md)."
    readme.write_text(f"## Limits\n\n{said}\n")
    monkeypatch.setattr(documents, "README", readme)
    monkeypatch.setattr(site, "SITE", tmp_path)
    for page in ("index.html", "docs/that.html", "reference/ddpm_core/steps.html"):
        (tmp_path / page).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / page).touch()
    text = documentation()
    assert text.startswith("[All of the documentation](documentation/index.html)\n\n## Limits")
    assert "[that](documentation/docs/that.html#part)" in text
    assert "[steps](documentation/reference/ddpm_core/steps.html), gone." in text


def test_the_line_of_a_tab_leads_to_its_place() -> None:
    html = lead("Play", "Walk.").value
    assert html.startswith('<p class="lead">Walk. <a ')
    assert "data-help='Play'" in html
