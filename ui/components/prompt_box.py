"""The prompt box, and the words that the chosen checkpoint knows, if it knows any."""

from __future__ import annotations

import html
from typing import Any

import gradio as gr

from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import MAX_PROMPT, GenerateRequest
from ui.components.choice import follow_choice
from ui.components.events import AT_ONCE
from ui.errors import as_warning
from ui.models import Shelf

MOST_CHIPS = 300  # words that stand under the box; of more, the first
MOST_PROMPTS = 6


def prompt_row(
    name: str, shelf: Shelf, checkpoint: gr.Dropdown, field: str = "prompt", label: str = "Prompt"
) -> gr.Textbox:
    """What to show, in words: a press on one under the box adds it, and Enter runs the tab."""
    return _box(name, shelf, checkpoint, field, label, "What to show, in the words below.", chips=True)


def negative_row(name: str, shelf: Shelf, checkpoint: gr.Dropdown) -> gr.Textbox:
    """What to stay away from, for the Advanced fold."""
    return _box(name, shelf, checkpoint, "negative-prompt", "Negative prompt", "What to stay away from.", chips=False)


def _box(
    name: str, shelf: Shelf, checkpoint: gr.Dropdown, field: str, label: str, placeholder: str, chips: bool
) -> gr.Textbox:
    model, into = shelf.load(shelf.first), f"{name}-{field}"
    with gr.Column(visible=bool(model.words), elem_classes="prompt") as column:
        text = gr.Textbox(
            "", label=label, placeholder=placeholder, lines=1, max_lines=4, max_length=MAX_PROMPT, elem_id=into
        )
        note = gr.HTML("", elem_id=f"{into}-note", padding=False, visible=False)
        words = gr.HTML(_chips(model, into), elem_id=f"{into}-words", padding=False, visible=chips)

    def offer(chosen: str, typed: str) -> list[Any]:
        """The words of a checkpoint; what was typed stays where there are any."""
        model = shelf.load(chosen)
        typed = typed if model.words else ""
        return [gr.update(visible=bool(model.words)), typed, _chips(model, into), _passed_over(model, typed)]

    follow_choice(checkpoint, offer, [checkpoint, text], [column, text, words, note])
    # Not when the checkpoint changes: all the boxes at once would load it as many times.
    text.change(
        as_warning(lambda chosen, typed: _passed_over(shelf.load(chosen), typed)), [checkpoint, text], note,
        trigger_mode="always_last", **AT_ONCE,
    )  # fmt: skip
    text.submit(None, js=f"() => window.studio.press('#{name}-run')", **AT_ONCE)
    return text


def _passed_over(model: LatentDiffusion, typed: str) -> dict[str, Any]:
    """What of a prompt a model passes over, as a line under the box."""
    said = model.notes(GenerateRequest(prompt=typed[:MAX_PROMPT])) if model.words else []
    lines = "".join(f'<p class="hint">{html.escape(sentence)}</p>' for sentence in said)
    return gr.update(value=lines, visible=bool(lines))


def _chips(model: LatentDiffusion, into: str) -> str:
    """Prompts to begin with, and the words, as buttons; static/studio.js puts them into the box of that id."""
    whole = "".join(
        f'<button type="button" data-prompt="{(prompt := html.escape(one))}">{prompt}</button>'
        for one in model.prompts[:MOST_PROMPTS]
    )
    buttons = "".join(
        f'<button type="button" data-word="{(word := html.escape(one))}">{word}</button>'
        for one in model.words[:MOST_CHIPS]
    )
    shelves = [
        f'<div class="chips{more}" data-into="{into}">{each}</div>' for more, each in ((" whole", whole), ("", buttons))
    ]
    return "".join(shelves if whole else shelves[1:])
