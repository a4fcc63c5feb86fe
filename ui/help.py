"""The line of explanation on top of each tab, and the README's chapters for visitors."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

import gradio as gr

from ui import site

README = Path(__file__).resolve().parent.parent / "README.md"
CHAPTERS = ("What you can do", "Train your own", "Limits")


def lead(tab: str, text: str) -> gr.HTML:
    """A tab's line of explanation, with a link to where the documentation speaks of the tab."""
    link = f"<a href='#help' data-help='{tab}'>More</a>"  # studio.js listens; the page runs no script in attributes
    return gr.HTML(f'<p class="lead">{text} {link}</p>')


def documentation() -> str:
    """The README's chapters for visitors, as Markdown, with links into the documentation's site where it is there."""
    if README.is_file():
        text = README.read_text(encoding="utf-8")
    else:  # installed: there it is the package's own description
        try:
            text = str(metadata("ddpm-core").get_payload())  # type: ignore[attr-defined]
        except PackageNotFoundError:
            return "The README is not beside the app."
    found = re.findall(rf"^## (?:{'|'.join(CHAPTERS)})$.*?(?=^## |\Z)", text, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"!\[[^\]]*\]\([^)]*\)\n*(\*[^*]*\*\n)?", "", "\n".join(found))
    all_of_it = site.address_of("README.md")
    text = re.sub(r"\[([^\]]*)\]\((?!https?://)([^)]*)\)", _into_the_site, text)
    return f"[All of the documentation]({all_of_it})\n\n{text}" if all_of_it else text


def _into_the_site(link: re.Match[str]) -> str:
    address = site.address_of(link[2])
    return f"[{link[1]}]({address})" if address else link[1]
