"""What follows the choice of a checkpoint, on all tabs: one request; and the choice, when a page is loaded again.

A browser handles what listens to an event in the order in which it was wired, each to its end. Thirty handlers would be
thirty requests, each of which stands in line.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from ui.components.events import AT_ONCE, ONE_AT_A_TIME, PAGE_ONLY
from ui.components.progress import Updates
from ui.errors import Problem, as_problem, without_warning


@dataclass(frozen=True)
class Follower:
    """A handler that follows the choice, and what it reads and fills."""

    handler: Callable[..., Any]
    inputs: Sequence[Any]
    outputs: Sequence[Any]

    def updates(self, given: Mapping[Any, Any]) -> Updates:
        """What it fills, given the values of all components that any follower reads; nothing if it fails."""
        try:
            answer = as_problem(self.handler)(*(given[one] for one in self.inputs))
        except Problem:
            return {}
        if isinstance(answer, dict) and "__type__" not in answer:
            return answer
        return dict(zip(self.outputs, answer if len(self.outputs) > 1 else [answer], strict=True))


def follow_choice(
    checkpoint: gr.Dropdown, handler: Callable[..., Any], inputs: Sequence[Any], outputs: Sequence[Any]
) -> None:
    """Have `handler` fill the outputs when another checkpoint is chosen, of which no two followers have the same.

    One that yields comes after all that do not. A failure changes nothing, and whoever chose is told of it elsewhere.
    """
    followers(checkpoint).append(Follower(handler, inputs, outputs))


def followers(checkpoint: gr.Dropdown) -> list[Follower]:
    """All that follow its choice so far."""
    return checkpoint.__dict__.setdefault("followers", [])


def wire(checkpoint: gr.Dropdown) -> None:
    """Listen to the choice, when the page is complete but for what else does."""
    plain = [one for one in followers(checkpoint) if not inspect.isgeneratorfunction(one.handler)]
    inputs = list(dict.fromkeys(each for one in plain for each in one.inputs))
    outputs = [each for one in plain for each in one.outputs]

    def fill(*values: Any) -> list[Any]:
        given, new = dict(zip(inputs, values, strict=True)), Updates()
        for one in plain:
            new |= one.updates(given)
        return [new.get(each, gr.skip()) for each in outputs]

    checkpoint.change(fill, inputs, outputs, **PAGE_ONLY, **ONE_AT_A_TIME)
    for one in followers(checkpoint):
        if one not in plain:
            checkpoint.change(
                without_warning(one.handler), one.inputs, one.outputs, trigger_mode="always_last", **PAGE_ONLY,
                **ONE_AT_A_TIME,
            )  # fmt: skip


def kept(checkpoint: gr.Dropdown) -> gr.BrowserState:
    """What a visitor chose, as the browser remembers it; to be placed before what listens to `visitor_chose`."""
    checkpoint.__dict__["put_back"] = gr.Button(elem_id="checkpoint-put-back", elem_classes="unseen")
    # Any process is to read it, and a name is no secret: by default, each has a key of its own.
    name = gr.BrowserState("", storage_key="studio-checkpoint", secret="studio")
    checkpoint.input(None, checkpoint, name, js="(name) => name", **AT_ONCE)
    return name


def visitor_chose(checkpoint: gr.Dropdown) -> list[Any]:
    """The events of a visitor's own choice: now, or before the page was loaded again."""
    put_back = checkpoint.__dict__.get("put_back")
    return [checkpoint.input, *([put_back.click] if put_back else [])]


def put_back(page: gr.Blocks, checkpoint: gr.Dropdown, name: gr.BrowserState, offered: Callable[[], list[str]]) -> None:
    """Have a page that is loaded begin with what was `kept`, where that is still offered."""

    def begin(kept: str | None) -> Any:
        names = offered()
        return gr.update(choices=names, value=kept) if kept in names else gr.update(choices=names)

    press = "(kept, chosen) => { if (kept && kept === chosen) document.querySelector('#checkpoint-put-back').click(); }"
    page.load(begin, name, checkpoint, **AT_ONCE).then(None, [name, checkpoint], None, js=press, **AT_ONCE)
