"""How handlers are run: one at a time where they use a model, and private to the page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from ui.serving.together import ModelRequest

Handler = TypeVar("Handler", bound=Callable)

# Buttons of different tabs share one line: the limit is per id, and the machine has one model's worth of memory.
ONE_AT_A_TIME: dict[str, Any] = {"concurrency_id": "model", "concurrency_limit": 1}
# Handlers of the page itself; what other programs may call stands in `ui.api`.
PAGE_ONLY: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
AT_ONCE: dict[str, Any] = {**PAGE_ONLY, "queue": False}


def announced(
    handler: Handler,
    kind: str,
    expects: Callable[..., int] | None = None,
    asks: Callable[..., ModelRequest] | None = None,
    only_newest: bool = False,
    refused: Callable[..., dict[Any, Any]] | None = None,
) -> Handler:
    """The handler, with what the line and the log want to know of it.

    Args:
        kind: what it does, in a word.
        expects: how many calls of the model its inputs ask for, one picture each; may raise anything.
        asks: what its inputs ask for, if it walks through `together.generated`; likewise.
        only_newest: whether the page asks again and again by itself; older requests are answered unchanged.
        refused: what the page shows, given the sentence that says why the newest is not taken, and its inputs.
    """
    setattr(handler, "kind", kind)  # noqa: B010
    setattr(handler, "only_newest", only_newest)  # noqa: B010
    if expects is not None:
        setattr(handler, "expects", expects)  # noqa: B010
    if refused is not None:
        setattr(handler, "refused", refused)  # noqa: B010
    if asks is not None:
        setattr(handler, "asks", asks)  # noqa: B010
    return handler
