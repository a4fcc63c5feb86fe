"""Answers that took long are kept with the model they are about, and go with it."""

from __future__ import annotations

import functools
from collections import OrderedDict
from collections.abc import Callable, Generator
from threading import Lock
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar
from weakref import WeakKeyDictionary

from ddpm_core.pipeline import LatentDiffusion

Given = ParamSpec("Given")
Answer = TypeVar("Answer")
OnTheWay = TypeVar("OnTheWay")


class _Kept(Generic[Answer]):
    """So many answers of each model, the one longest not asked for the first to go."""

    def __init__(self, entries: int):
        self.entries, self.lock = entries, Lock()
        self.of: WeakKeyDictionary[LatentDiffusion, OrderedDict[Any, Answer]] = WeakKeyDictionary()

    def known(self, model: LatentDiffusion, key: Any) -> list[Answer]:
        """The answer in a list, which is empty if there is none."""
        with self.lock:
            answers = self.of.setdefault(model, OrderedDict())
            if key not in answers:
                return []
            answers.move_to_end(key)
            return [answers[key]]

    def keep(self, model: LatentDiffusion, key: Any, answer: Answer) -> Answer:
        with self.lock:
            answers = self.of.setdefault(model, OrderedDict())
            answers[key] = answer
            while len(answers) > self.entries:
                answers.popitem(last=False)
        return answer


def remembered(
    entries: int,
) -> Callable[
    [Callable[Concatenate[LatentDiffusion, Given], Answer]], Callable[Concatenate[LatentDiffusion, Given], Answer]
]:
    """As `functools.lru_cache`, but for each model its own `entries`, and no model is kept alive by what is kept of it.

    All arguments but the first, the model, have to be hashable.
    """

    def decorate(function: Callable[Concatenate[LatentDiffusion, Given], Answer]) -> Callable[..., Answer]:
        kept = _Kept[Answer](entries)

        @functools.wraps(function)
        def wrapper(model: LatentDiffusion, *args: Any, **kwargs: Any) -> Answer:
            key = (args, tuple(sorted(kwargs.items())))
            for answer in kept.known(model, key):
                return answer
            return kept.keep(model, key, function(model, *args, **kwargs))  # others need not wait for it

        return wrapper

    return decorate


def remembered_steps(
    entries: int,
) -> Callable[
    [Callable[Concatenate[LatentDiffusion, Given], Generator[OnTheWay, None, Answer]]],
    Callable[Concatenate[LatentDiffusion, Given], Generator[OnTheWay, None, Answer]],
]:
    """As `remembered`, for a generator: what it returns is kept, and then nothing is yielded on the way."""

    def decorate(
        function: Callable[Concatenate[LatentDiffusion, Given], Generator[OnTheWay, None, Answer]],
    ) -> Callable[..., Generator[OnTheWay, None, Answer]]:
        kept = _Kept[Answer](entries)

        @functools.wraps(function)
        def wrapper(model: LatentDiffusion, *args: Any, **kwargs: Any) -> Generator[OnTheWay, None, Answer]:
            key = (args, tuple(sorted(kwargs.items())))
            for answer in kept.known(model, key):
                return answer
            answer = yield from function(model, *args, **kwargs)
            return kept.keep(model, key, answer)

        return wrapper

    return decorate


def finished(steps: Generator[Any, None, Answer]) -> Answer:
    """What a generator returns at its end."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value
