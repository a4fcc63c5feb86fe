"""The pages of the documentation's site; that every link and anchor in them leads somewhere is told by its build."""

from __future__ import annotations

from mkdocs.config import load_config

from docs import pages


def test_links_to_modules_lead_to_their_reference_and_others_stay() -> None:
    text = (
        "[steps](../ddpm_core/diffusion/steps.py), [package](../ddpm_core/data/__init__.py), "
        "[other](training.md#data), ![picture](images/a.png)\n```\n[code](../ddpm_core/cli.py)\n```\n"
    )
    assert pages.for_the_site(text, "docs/extending.md") == (
        "[steps](../reference/ddpm_core/diffusion/steps.md), [package](../reference/ddpm_core/data/index.md), "
        "[other](training.md#data), ![picture](images/a.png)\n```\n[code](../ddpm_core/cli.py)\n```\n"
    )
    assert pages.for_the_site("[cli](ddpm_core/cli.py)", "README.md") == "[cli](reference/ddpm_core/cli.md)"
    assert list(pages.links("[a](../x.py) [b](https://arxiv.org/abs/1) [c](#d)", "docs/a.md")) == ["x.py"]


def test_every_page_of_the_folder_has_its_place() -> None:
    class Config:
        nav: object = None

    nav = {name: found for entry in pages.on_config(Config()).nav for name, found in entry.items()}
    said = {path.stem for path in (pages.ROOT / "docs").glob("*.md")}
    listed = {page[len("docs/") : -len(".md")] for page in nav["How-to"] + nav["Explanation"] if page[:5] == "docs/"}
    assert listed == said
    assert nav["Reference"][0]["ddpm_core"][0] == "reference/ddpm_core/index.md"
    assert {"training", "serving"} < listed


def test_the_tutorial_is_made_of_chapters_of_the_readme() -> None:
    text = pages.chapters((pages.ROOT / "README.md").read_text(encoding="utf-8"), pages.LESSONS)
    assert [line for line in text.splitlines() if line.startswith("## ")] == ["## Start", "## Train your own"]


def test_the_page_s_own_files_are_left_out_and_those_of_the_theme_are_not() -> None:
    left_out = load_config(str(pages.ROOT / "mkdocs.yml")).exclude_docs
    static = {path.relative_to(pages.ROOT / "static").as_posix() for path in (pages.ROOT / "static").rglob("*.*")}
    assert {path for path in static if not left_out.match_file(path)} == {"logo.svg"}
    for path in ("assets/stylesheets/main.css", "assets/javascripts/bundle.js", "assets/javascripts/workers/search.js"):
        assert not left_out.match_file(path)
