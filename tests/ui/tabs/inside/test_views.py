"""All views: each says what it shows, where that comes from, and answers with what JSON can hold."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import gradio as gr
import pytest

from ui.tabs.inside.view import Drawing, View, code_of
from ui.tabs.inside.views import VIEWS


@pytest.mark.parametrize("view", VIEWS.values(), ids=list(VIEWS))
def test_a_view_has_all_that_a_view_has(view: View, draw: Callable[..., Drawing], tmp_path: Path) -> None:
    assert VIEWS[view.name] is view
    assert view.sentence.endswith(".")
    assert "$$" in view.formula
    assert code_of(view.functions).count("```python") == len(view.functions) > 0
    assert set(view.controls) <= set(view.request.model_fields)
    assert view.of_a_picture == ("seed" not in view.controls)
    with gr.Blocks():
        for field, make in view.controls.items():
            default = view.request.model_fields[field].default
            assert make(f"x-{field}", default).value == default, field
    drawn = draw(view)
    json.dumps(drawn.numbers, allow_nan=False)
    assert drawn.numbers
    assert Path(drawn.save(tmp_path)).stat().st_size > 100
