"""Every failure a visitor can meet becomes one sentence; nothing else reaches the page."""

from __future__ import annotations

import functools
import html
import inspect
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import gradio as gr
from pydantic import ValidationError
from starlette.requests import ClientDisconnect

from ddpm_core.errors import UserError, complaint
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import MAX_SEED, METHOD, GenerateRequest, Request
from ui.serving.limits import too_much

WENT_WRONG = "Something went wrong here; nothing is lost, and it is in the log."  # the server's

log = logging.getLogger(__name__)

Handler = TypeVar("Handler", bound=Callable)
RequestT = TypeVar("RequestT", bound=Request)


class Problem(gr.Error):
    """A failure with a sentence that says what is wrong and what to do; the log is spared."""

    def __init__(self, sentence: str):
        super().__init__(sentence, print_exception=False)


def build_request(kind: type[RequestT], model: LatentDiffusion | None = None, **fields: Any) -> RequestT:
    """A request from the controls; a method that is not given is the model's own.

    Raises:
        Problem: something is out of bounds, or more than one request may take (`ui.serving.limits`).
    """
    if "seed" in kind.model_fields and fields.get("seed") is None:
        raise Problem(f"The seed is empty; type a number from 0 to {MAX_SEED}.")
    if fields.get("to", 0) is None:
        raise Problem(f"The seed at the end of the way is empty; type a number from 0 to {MAX_SEED}.")
    # A number box hands over 7.0 or 7; what is not whole is left for the schema to refuse.
    whole = {k: int(v) if isinstance(v, float) and v.is_integer() else v for k, v in fields.items()}
    said = {name: value for name, value in whole.items() if value is not None or name not in METHOD}
    try:
        request = kind.model_validate(said) if model is None else model.request(kind, **said)
    except ValidationError as error:
        sentence = complaint(error)
        raise Problem(sentence[0].upper() + sentence[1:]) from None
    if isinstance(request, GenerateRequest):
        refuse_too_much(request)
    return request


def refuse_too_much(request: GenerateRequest, windows: int = 1) -> None:
    """Raises `Problem` where a request would take too long."""
    if too_long := too_much(request, windows):
        raise Problem(too_long)


def build_request_from(
    kind: type[RequestT], given: Mapping[str, Any], model: LatentDiffusion | None = None
) -> RequestT:
    """`build_request` from those of the `given` that the request knows."""
    return build_request(kind, model, **{name: value for name, value in given.items() if name in kind.model_fields})


@contextmanager
def as_sentence() -> Iterator[None]:
    """Turn any failure inside into a `Problem` with one sentence; the program's own mistakes go to the log in full."""
    try:
        yield
    except Problem:
        raise
    except UserError as error:  # pictures, masks, checkpoints, classes and what else was given
        log.debug("told as a sentence", exc_info=True)
        raise Problem(str(error)) from None
    except MemoryError:
        raise Problem("There is not enough memory for this; try a smaller picture or fewer of them.") from None
    except Exception as error:
        log.exception("an action failed")
        if "out of memory" in str(error).lower():
            raise Problem("The device ran out of memory; try fewer pictures at once.") from None
        raise Problem(WENT_WRONG) from None


def as_problem(handler: Handler) -> Handler:
    """The handler, plain or generator, with every failure a `Problem`, as programs want it."""
    if inspect.isgeneratorfunction(handler):

        @functools.wraps(handler)
        def generator(*args: Any, **kwargs: Any) -> Iterator[Any]:
            with as_sentence():
                yield from handler(*args, **kwargs)

        return generator  # type: ignore[return-value]

    @functools.wraps(handler)
    def plain(*args: Any, **kwargs: Any) -> Any:
        with as_sentence():
            return handler(*args, **kwargs)

    return plain  # type: ignore[return-value]


def _tell(error: Problem) -> None:
    gr.Warning(html.escape(error.message))  # shown as HTML, and it may quote a file's name


def as_warning(
    handler: Handler,
    instead: Callable[[str], Any] = lambda sentence: gr.skip(),
    tell: Callable[[Problem], None] = _tell,
) -> Handler:
    """The handler for a page: a failure becomes a notice, and the answer what `instead` makes of the sentence.

    A raised error would have Gradio lay the word "Error" over every output. The handler has to be queued, or the notice
    is lost.
    """
    handler = as_problem(handler)
    if inspect.isgeneratorfunction(handler):

        @functools.wraps(handler)
        def generator(*args: Any, **kwargs: Any) -> Iterator[Any]:
            try:
                yield from handler(*args, **kwargs)
            except Problem as error:
                tell(error)
                yield instead(error.message)

        return generator  # type: ignore[return-value]

    @functools.wraps(handler)
    def plain(*args: Any, **kwargs: Any) -> Any:
        try:
            return handler(*args, **kwargs)
        except Problem as error:
            tell(error)
            return instead(error.message)

    return plain  # type: ignore[return-value]


def without_warning(handler: Handler, instead: Callable[[str], Any] = lambda sentence: gr.skip()) -> Handler:
    """`as_warning` without the notice, for what the visitor did not ask for, or is told of by another handler."""
    return as_warning(handler, instead, tell=lambda error: None)


def forgive_leaving() -> None:
    """Keep out of the log that somebody closed the page in the middle of an upload."""
    logging.getLogger("uvicorn.error").addFilter(_not_leaving)


def _not_leaving(record: logging.LogRecord) -> bool:
    return not (record.exc_info and isinstance(record.exc_info[1], ClientDisconnect))
