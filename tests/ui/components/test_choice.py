"""What follows the choice of a checkpoint."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gradio as gr

from ddpm_core.errors import UserError
from ui.components.choice import follow_choice, wire


def test_all_that_follows_is_one_request_and_what_fails_changes_nothing_else() -> None:
    def broken(name: str) -> Any:
        raise UserError(f"{name} cannot be used.")

    def slow(name: str) -> Iterator[Any]:
        yield name

    with gr.Blocks() as page:
        menu, typed, kept = gr.Dropdown(["a", "b"], value="a"), gr.Textbox(), gr.State()
        one, two, three, four, drawn = (gr.Textbox() for _ in range(5))
        follow_choice(menu, slow, [menu], [drawn])
        follow_choice(menu, lambda name, text: [name + text, gr.skip()], [menu, typed], [one, two])
        follow_choice(menu, broken, [menu], [three])
        follow_choice(menu, lambda name, state: {kept: state + 1}, [menu, kept], [kept, four])
        follow_choice(menu, lambda text: gr.update(visible=bool(text)), [typed], [typed])
        wire(menu)
    joined, apart = page.fns.values()
    assert joined.inputs == [menu, typed, kept]
    assert joined.outputs == [one, two, three, kept, four, typed]
    unchanged = gr.skip()
    assert joined.fn is not None
    assert joined.fn("b", "x", 1) == ["bx", unchanged, unchanged, 2, unchanged, gr.update(visible=True)]
    assert (apart.inputs, apart.outputs) == ([menu], [drawn])
    assert apart.fn is not None
    assert list(apart.fn("b")) == ["b"]
