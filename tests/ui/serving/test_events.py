"""What is known of a request before it begins."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest
from gradio.state_holder import StateHolder

from ui.components.events import announced
from ui.serving.events import PAGE, address_of, calls_of, handler_of, kind_of, only_newest


def event(handler: Any, *data: Any) -> Any:
    return SimpleNamespace(fn=SimpleNamespace(fn=handler, _id=7), data=SimpleNamespace(data=list(data)))


@pytest.mark.parametrize(
    ("client", "address"),
    [(None, None), (SimpleNamespace(host="::1"), None), (SimpleNamespace(host="2001:db8::1"), "2001:db8::1")],
)
def test_a_machines_own_address_is_none(client: Any, address: str | None) -> None:
    assert address_of(SimpleNamespace(client=client)) == address


def test_a_handler_says_of_itself_what_it_is_and_what_its_inputs_ask_for() -> None:
    draft = announced(lambda calls: calls, "draft", lambda calls: int(calls), only_newest=True)
    assert (kind_of(event(draft).fn), only_newest(event(draft).fn), calls_of(event(draft, 7))) == ("draft", True, 7)
    assert calls_of(event(draft, "many")) == 1
    assert handler_of(event(draft)) == "draft"


def test_what_a_page_leaves_with_the_server_is_reckoned_with() -> None:
    """A state is sent as nothing; the run carried over to *Process*, and the picture that is enlarged, are states."""
    with gr.Blocks() as page:
        kept, typed = gr.State(3), gr.Number()
        typed.change(announced(lambda *_: None, "try", lambda times, steps: times * steps), [kept, typed])
    states = StateHolder()
    states.set_blocks(page)
    asked: Any = SimpleNamespace(fn=page.fns[0], data=SimpleNamespace(data=[None, 7]), session_hash="a")
    assert calls_of(asked) == 1
    assert calls_of(asked, states) == 21  # as the page begins
    assert "a" not in states
    states["a"][kept._id] = 5
    assert calls_of(asked, states) == 35


def test_one_that_says_nothing_is_the_pages_and_each_takes_a_time_of_its_own() -> None:
    plain = event(lambda: None)
    assert (kind_of(plain.fn), only_newest(plain.fn), calls_of(plain)) == (PAGE, False, 1)
    assert handler_of(plain) == f"{PAGE} 7"
