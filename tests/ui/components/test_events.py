"""How handlers are run: whatever uses a model waits its turn, and nothing of the page is offered to other programs."""

from __future__ import annotations

import gradio as gr

from ui.components.events import ONE_AT_A_TIME


def test_runs_of_all_tabs_wait_in_one_line_and_are_hidden_from_programs(studio: gr.Blocks) -> None:
    in_line = [fn for fn in studio.fns.values() if fn.concurrency_id == ONE_AT_A_TIME["concurrency_id"]]
    runs = [fn for fn in in_line if getattr(fn.fn, "__name__", "") == "_run"]
    assert len(runs) >= 5  # Generate, Inpaint, Edit, Play, Process
    assert {fn.concurrency_limit for fn in in_line} == {1}
    assert {fn.api_visibility for fn in runs} == {"private"}
