"""The big button of a tab: what a run yields reaches the page, and a failure is a sentence in the bar."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import gradio as gr
import pytest

from ui.components.progress import status
from ui.components.run_control import Run, RunControl
from ui.errors import Problem


def wired(work: Callable[..., Any]) -> tuple[gr.Blocks, RunControl, gr.Textbox, gr.HTML]:
    with gr.Blocks() as page:
        shown, bar = gr.Textbox(), RunControl.place_bar("try", "Nothing yet.")
        control = RunControl("Try", "try")
        control.wire(bar, Run(work, [], [shown]))
    return page, control, shown, bar


def handler_of(page: gr.Blocks) -> Callable[..., Any]:
    """What runs on the server when the button is pressed."""
    (handler,) = [fn.fn for fn in page.fns.values() if fn.fn is not None and fn.concurrency_id == "model"]
    return handler


def test_what_a_run_yields_reaches_the_page() -> None:
    def work() -> Iterator[Any]:
        yield {"shown": "half"}
        yield {"shown": "done"}

    page, control, _, bar = wired(work)
    assert list(handler_of(page)()) == [{"shown": "half"}, {"shown": "done"}]
    assert bar.value == status("Nothing yet.")
    assert (control.run.visible, control.stop.visible) == (True, False)


def test_a_failure_is_a_sentence_in_the_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    def work() -> Iterator[Any]:
        yield from ()
        raise Problem("There is no picture yet.")

    page, _, _, bar = wired(work)
    notices: list[str] = []
    monkeypatch.setattr(gr, "Warning", notices.append)
    assert list(handler_of(page)()) == [{bar: status("There is no picture yet.")}]
    assert notices == ["There is no picture yet."]


def test_stop_cancels_the_run_and_nothing_else() -> None:
    page, control, _, _ = wired(lambda: iter(()))
    (run,) = [number for number, fn in page.fns.items() if fn.fn is not None and fn.concurrency_id == "model"]
    cancelled = [fn.cancels for fn in page.fns.values() if (control.stop._id, "click") in fn.targets and fn.cancels]
    assert cancelled == [[run]]


def test_stop_is_heard_once_whichever_of_a_tabs_runs_goes_on() -> None:
    with gr.Blocks() as page:
        bar, other = RunControl.place_bar("try", "Nothing yet."), gr.Button("Other")
        control = RunControl("Try", "try")
        control.wire(bar, Run(lambda: iter(()), [], []), Run(lambda: iter(()), [], [], button=other))
    runs = [number for number, fn in page.fns.items() if fn.fn is not None and fn.concurrency_id == "model"]
    assert len(runs) == 2
    heard = [fn for fn in page.fns.values() if (control.stop._id, "click") in fn.targets]
    # One event asks Gradio itself to cancel, the other shows on the page what has become of it.
    assert [fn.cancels for fn in heard if fn.cancels] == [runs]
    assert len([fn for fn in heard if "studio.stopped" in str(fn.js)]) == 1
