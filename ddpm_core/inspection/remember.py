"""Answers that took long are kept with the model they are about, and go with it."""

from __future__ import annotations

import functools
from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from typing import Any, Concatenate, ParamSpec, TypeVar
from weakref import WeakKeyDictionary

from ddpm_core.pipeline import LatentDiffusion

Given = ParamSpec("Given")
Answer = TypeVar("Answer")


def remembered(
    entries: int,
) -> Callable[
    [Callable[Concatenate[LatentDiffusion, Given], Answer]], Callable[Concatenate[LatentDiffusion, Given], Answer]
]:
    """As `functools.lru_cache`, but for each model its own `entries`, and no model is kept alive by what is kept of it.

    The function's first argument is the model; all others have to be hashable.
    """

    def decorate(function: Callable[Concatenate[LatentDiffusion, Given], Answer]) -> Callable[..., Answer]:
        kept: WeakKeyDictionary[LatentDiffusion, OrderedDict[Any, Answer]] = WeakKeyDictionary()
        lock = Lock()

        @functools.wraps(function)
        def wrapper(model: LatentDiffusion, *args: Any, **kwargs: Any) -> Answer:
            key = (args, tuple(sorted(kwargs.items())))
            with lock:
                answers = kept.setdefault(model, OrderedDict())
                if key in answers:
                    answers.move_to_end(key)
                    return answers[key]
            answer = function(model, *args, **kwargs)  # outside of the lock: others need not wait for it
            with lock:
                answers[key] = answer
                while len(answers) > entries:
                    answers.popitem(last=False)
            return answer

        return wrapper

    return decorate
