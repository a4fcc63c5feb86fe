"""What the page says in other languages: a file each, by the English text; what is in none stays English.

Gradio's `I18n` translates components' texts in the browser, static/everybody.js all others.
"""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.i18n import I18nData

PREFIX = "studio: "  # of keys: Gradio looks up all that components are given, also values, which are no texts
FOLDER = Path(__file__).parent
TEXTS = ("label", "info", "placeholder", "title")  # of components, where they have them
PRESSED = (gr.Button, gr.UploadButton, gr.DownloadButton)  # their value, or label, is what stands on them


@functools.cache
def dictionaries() -> dict[str, dict[str, str]]:
    """Translations by English text, by language as a browser calls it ("de", "zh-CN")."""
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.json"))}


def translations() -> gr.I18n:
    """All of them, for `launch`; other languages get the English texts."""
    known = dictionaries()
    english = {text: text for words in known.values() for text in words}
    return gr.I18n(
        **{
            language: {PREFIX + text: translation for text, translation in words.items()}
            for language, words in {"en": english, **known}.items()
        }
    )


def translate(page: gr.Blocks) -> None:
    """Have Gradio show the texts of the page's components in the visitor's language."""
    for block in page.blocks.values():
        for name in (*TEXTS, *(["value"] if isinstance(block, PRESSED) else [])):
            if isinstance(text := getattr(block, name, None), str):
                setattr(block, name, translatable(text))
        if choices := getattr(block, "choices", None):
            block.choices = [(_choice(text), value) for text, value in choices]  # type: ignore[union-attr]


def translated(update: Any) -> Any:
    """A handler's update with the component's new texts as `translate` has them; anything else as it is."""
    if not isinstance(update, dict) or update.get("__type__") != "update":
        return update
    # As strings, which Gradio's page takes for what they stand for; the object itself would not be sent.
    texts: dict[str, Any] = {
        name: str(translatable(update[name])) for name in TEXTS if isinstance(update.get(name), str)
    }
    if choices := update.get("choices"):
        texts["choices"] = [(str(_choice(one[0])), one[1]) if isinstance(one, list | tuple) else one for one in choices]
    return update | texts


def _choice(text: Any) -> Any:
    """What a choice is called; of "as it is: linear" the first part is translated, for the second is a value."""
    known = translatable(text)
    if known is text and isinstance(text, str) and (parts := text.partition(": "))[1]:
        head = translatable(parts[0])
        return text if head is parts[0] else f"{head}: {parts[2]}"
    return known


def translatable(text: Any) -> Any:
    """A text as the browser translates it; itself where no dictionary has it."""
    known = isinstance(text, str) and all(text in words for words in dictionaries().values())
    return I18nData(PREFIX + text) if known else text
