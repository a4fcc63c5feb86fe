"""Menus whose choices change."""

from __future__ import annotations

from typing import Any

import gradio as gr
import pytest

from ui.components.menus import Menu, Options


@pytest.mark.parametrize("kind", [Menu, Options])
def test_what_was_chosen_before_the_choices_were_others_is_no_error(kind: Any) -> None:
    with gr.Blocks():
        menu = kind(["one", "two"], value="one")
    menu.choices = [("three", "three")]  # as the server has it once another checkpoint is chosen
    assert menu.preprocess("one") == "one"
    assert menu.preprocess(None) is None
    with pytest.raises(gr.Error, match="not in the list"):  # as Gradio has it
        menu.preprocess(7)


@pytest.mark.parametrize(("kind", "plain"), [(Menu, gr.Dropdown), (Options, gr.Radio)])
def test_on_the_page_it_is_gradios_own(kind: Any, plain: Any) -> None:
    with gr.Blocks() as page:
        kind(["one", "two"], value="one", label="Choice")
    with gr.Blocks() as other:
        plain(["one", "two"], value="one", label="Choice")
    ours, theirs = (each.get_config_file()["components"][0] for each in (page, other))
    assert (ours["type"], ours["props"]["choices"]) == (theirs["type"], theirs["props"]["choices"])
