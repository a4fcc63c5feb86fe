"""Progress, time left, and previews at a bearable rate."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from itertools import pairwise

import pytest
from starlette.requests import ClientDisconnect

from ddpm_core.images.masks import MaskError
from ddpm_core.requests import GenerateRequest, InpaintRequest
from ui.errors import Problem, ask, forgive_leaving, gentle, polite
from ui.tabs import live


def ticks(total: int, each: float) -> list[live.Tick]:
    """A run of steps that take `each` seconds."""
    time = [0.0]

    def steps() -> Iterator[None]:
        for _ in range(total):
            time[0] += each
            yield None

    return list(live.watch(steps(), total, lambda: time[0]))  # type: ignore[arg-type]


def test_previews_are_few() -> None:
    fast = ticks(1000, 0.001)
    assert sum(tick.due for tick in fast) <= 1000 * 0.001 / live.PREVIEW_SECONDS
    slow = ticks(10, 1.0)
    assert [tick.due for tick in slow] == [True] * 9 + [False]  # the last is a result, not a preview


@pytest.mark.parametrize("cost", [0.0, 0.5])
def test_previews_that_take_long_come_less_often(cost: float) -> None:
    time = [0.0]

    def steps() -> Iterator[None]:
        for _ in range(1000):
            time[0] += 0.01
            yield None

    shown = 0
    for tick in live.watch(steps(), 1000, lambda: time[0]):  # type: ignore[arg-type]
        time[0] += cost * tick.due
        shown += tick.due
    spent_on_steps = 1000 * 0.01
    assert shown * cost <= live.PREVIEW_SHARE * spent_on_steps + cost  # the first tells how long they take
    assert 1 < shown <= spent_on_steps / live.PREVIEW_SECONDS


def test_status() -> None:
    status = ticks(20, 0.5)[11].status
    assert status == {"text": "step 12 of 20 · 4.0 s left", "percent": 60}
    assert ticks(1, 120.0)[0].finished == {"text": "1 step in 2 min", "percent": 100}


def test_watching_is_lazy() -> None:
    """Leaving the watch leaves the sampler: that is what Stop relies on."""
    taken = []

    def steps() -> Iterator[int]:
        for i in range(100):
            taken.append(i)
            yield i

    watched = live.watch(steps(), 100)  # type: ignore[arg-type]
    next(watched)
    watched.close()  # type: ignore[attr-defined]
    assert taken == [0]


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"seed": -1}, "Seed should be greater than or equal to 0"),
        ({"seed": 2**31}, "Seed should be less than or equal to 2147483647"),
        ({"seed": 1.5}, "Seed should be a valid integer"),
        ({"seed": None}, "The seed is empty"),
        ({"seed": 1, "count": 9}, "Count should be less than or equal to 8"),
        ({"seed": 1, "steps": 0}, "Steps should be greater than or equal to 1"),
        ({"seed": 1, "sampler": "magic"}, "Sampler should be 'ddim', 'ddpm'"),
    ],
)
def test_ask_says_what_is_wrong(fields: dict, sentence: str) -> None:
    with pytest.raises(Problem, match=sentence):
        ask(GenerateRequest, **fields)


def test_ask_takes_what_number_boxes_give() -> None:
    assert ask(InpaintRequest, seed=7.0, count=2.0, steps=5.0).seed == 7


@pytest.mark.parametrize(
    ("failure", "sentence"),
    [(MaskError("Nothing is painted."), "Nothing is painted"), (KeyError("secret"), "went wrong on the server")],
)
def test_failures_become_sentences(failure: Exception, sentence: str) -> None:
    def plain() -> None:
        raise failure

    def generator() -> Iterator[int]:
        yield 1
        raise failure

    with pytest.raises(Problem, match=sentence) as told:
        polite(plain)()
    assert "secret" not in told.value.message
    with pytest.raises(Problem, match=sentence):
        list(polite(generator)())

    made: Callable[[str], str] = lambda text: f"told: {text}"  # noqa: E731
    with pytest.warns(UserWarning, match=sentence):
        assert sentence in gentle(plain, made)()
    with pytest.warns(UserWarning, match=sentence):
        first, told_last = gentle(generator, made)()
    assert first == 1
    assert sentence in told_last


def test_where_a_sentence_came_from_is_in_the_log_of_those_who_look_for_it(caplog: pytest.LogCaptureFixture) -> None:
    def plain() -> None:
        raise MaskError("Nothing is painted.")

    with caplog.at_level(logging.DEBUG, "ui.errors"), pytest.raises(Problem):
        polite(plain)()
    (record,) = caplog.records
    assert record.levelno == logging.DEBUG
    assert record.exc_info
    assert isinstance(record.exc_info[1], MaskError)


def test_the_log_is_spared_those_who_leave_and_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    forgive_leaving()
    server = logging.getLogger("uvicorn.error")
    for failure in (ClientDisconnect(), OSError("the disk is full")):
        try:
            raise failure
        except Exception:
            server.exception("Exception in ASGI application")
    server.error("without an exception")
    assert [record.exc_info and str(record.exc_info[1]) for record in caplog.records] == ["the disk is full", None]


def test_where_previews_take_long_the_bar_is_told_between_them() -> None:
    time = [0.0]

    def steps() -> Iterator[None]:
        while True:
            time[0] += 0.03
            yield None

    walked = []
    for tick in live.watch(steps(), 200, lambda: time[0]):  # type: ignore[arg-type]
        walked.append((time[0], tick.due, tick.told))
        time[0] += 0.5 * tick.due
        if tick.done == 199:
            break
    told = [at for at, _, told in walked if told]
    assert all(told for _, due, told in walked if due)
    assert sum(due for _, due, _ in walked) < len(told) / 3
    assert max(later - earlier for earlier, later in pairwise(told)) < live.PREVIEW_SECONDS + 0.5 + 0.07
