"""What the line wants to know of a request and of the handler that will answer it."""

from __future__ import annotations

from contextlib import suppress
from ipaddress import ip_address
from typing import Any

import gradio as gr
from gradio.queueing import Event
from gradio.state_holder import StateHolder

from ui.serving.together import Batch, ModelRequest

PAGE = "page"  # kind of what a page does by itself, when another checkpoint is chosen say


def address_of(request: Any) -> str | None:
    """Where a request comes from, by trusted proxies' word, too; None for this machine, and if unknown."""
    host = str(getattr(getattr(request, "client", None), "host", None) or "")
    with suppress(ValueError):
        return None if ip_address(host).is_loopback else host
    return host or None


def kind_of(fn: Any) -> str:
    """What a handler does, in a word."""
    return getattr(fn.fn, "kind", PAGE)


def only_newest(fn: Any) -> bool:
    """Whether only the newest of a page's waiting requests for this handler is worth anything (`events.announced`)."""
    return getattr(fn.fn, "only_newest", False)


def shown_if_refused(event: Event, sentence: str) -> dict[Any, Any]:
    """What a page shows, by component, of a request that is not taken (`announced`)."""
    refused = getattr(event.fn.fn, "refused", None)
    if refused is None or event.data is None:
        return {}
    try:
        shown: dict[Any, Any] = refused(sentence, *event.data.data)
    except Exception:  # whatever programs send, it needs no answer
        return {}
    return shown


def calls_of(event: Event, states: StateHolder | None = None) -> int:
    """Calls of the model that a request asks for, one picture each; 1 where that is not known."""
    expects = getattr(event.fn.fn, "expects", None)
    if expects is None or event.data is None:
        return 1
    try:
        return int(expects(*_inputs_of(event, states)))
    except Exception:  # whatever programs send, its handler says what is wrong with it
        return 1


def _inputs_of(event: Event, states: StateHolder | None) -> list[Any]:
    """What a handler will be given: what was sent, with the states that the server keeps."""
    sent, inputs = event.data.data, getattr(event.fn, "inputs", ())  # type: ignore[union-attr]
    if states is None or not any(isinstance(block, gr.State) for block in inputs):
        return sent
    known = event.session_hash in states  # asked first, for asking for one that is not there makes it

    def kept(block: gr.State) -> Any:
        return states[event.session_hash].get(block._id, block.value) if known else block.value

    return [kept(block) if isinstance(block, gr.State) else value for block, value in zip(inputs, sent, strict=True)]


def model_request_of(event: Event) -> ModelRequest | None:
    """What a request asks for, if it may be made in one batch with others."""
    asks = getattr(event.fn.fn, "asks", None)
    if asks is None or event.data is None:
        return None
    try:
        asked: ModelRequest = asks(*event.data.data)
        hash(asked.kind)
    except Exception:  # whatever programs send, its handler says what is wrong with it
        return None
    return asked


def tag_of(event: Event) -> float:
    """Where it stands in line (`ui.serving.line.Line`)."""
    return getattr(event, "tag", 0.0)


def calls_in(event: Event) -> int:
    """`calls_of`, as reckoned when it was lined up."""
    return getattr(event, "calls", 1)


def handler_of(event: Event) -> str:
    """What takes a time alike: the kind, and of what pages do by themselves each handler."""
    kind = kind_of(event.fn)
    return kind if kind != PAGE else f"{kind} {event.fn._id}"


def model_request_in(event: Event) -> ModelRequest | None:
    """`model_request_of`, as found when it was lined up."""
    return getattr(event, "model_request", None)


def batch_of(event: Event) -> Batch | None:
    """The batch it is part of."""
    return getattr(event, "batch", None)


def batch_factor(event: Event) -> float:
    """How many times its own calls are made in its batch."""
    batch = batch_of(event)
    return 1.0 if batch is None else len(batch.seeds) / event.model_request.request.count  # type: ignore[attr-defined]
