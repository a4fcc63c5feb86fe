"""Failures that become sentences, and requests made from what stands in the controls."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

import pytest
from starlette.requests import ClientDisconnect

from ddpm_core.checkpoints.atomic import CheckpointError
from ddpm_core.errors import UserError
from ddpm_core.images.masks import MaskError
from ddpm_core.machine import NoSuchDevice
from ddpm_core.requests import MAX_SEED, GenerateRequest, InpaintRequest
from ui.errors import WENT_WRONG, Problem, as_problem, as_sentence, as_warning, build_request, forgive_leaving


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"seed": -1}, "Seed should be greater than or equal to 0"),
        ({"seed": 2**31}, "Seed should be less than or equal to 2147483647"),
        ({"seed": 1.5}, "Seed should be a valid integer, not '1.5'."),
        ({"seed": "many"}, "Seed should be a valid integer, not 'many'."),
        ({"seed": None}, "The seed is empty"),
        ({"seed": 1, "count": 9}, "Count should be less than or equal to 8"),
        ({"seed": 1, "steps": 0}, "Steps should be greater than or equal to 1"),
        ({"seed": 1, "sampler": "magic"}, "Sampler should be 'ddim', 'ddpm'"),
    ],
)
def test_ask_says_what_is_wrong(fields: dict, sentence: str) -> None:
    with pytest.raises(Problem, match=sentence):
        build_request(GenerateRequest, **fields)


def test_ask_takes_what_number_boxes_give() -> None:
    assert build_request(InpaintRequest, seed=7.0, count=2.0, steps=5.0).seed == 7


@pytest.mark.parametrize(
    ("failure", "sentence"),
    [(MaskError("Nothing is painted."), "Nothing is painted"), (KeyError("secret"), "Something went wrong here")],
)
def test_failures_become_sentences(failure: Exception, sentence: str) -> None:
    def plain() -> None:
        raise failure

    def generator() -> Iterator[int]:
        yield 1
        raise failure

    with pytest.raises(Problem, match=sentence) as caught:
        as_problem(plain)()
    assert "secret" not in caught.value.message
    with pytest.raises(Problem, match=sentence):
        list(as_problem(generator)())

    made: Callable[[str], str] = lambda text: f"told: {text}"  # noqa: E731
    with pytest.warns(UserWarning, match=sentence):
        assert sentence in as_warning(plain, made)()
    with pytest.warns(UserWarning, match=sentence):
        first, told_last = as_warning(generator, made)()
    assert first == 1
    assert sentence in told_last


def test_where_a_sentence_came_from_is_in_the_log_of_those_who_look_for_it(caplog: pytest.LogCaptureFixture) -> None:
    def plain() -> None:
        raise MaskError("Nothing is painted.")

    with caplog.at_level(logging.DEBUG, "ui.errors"), pytest.raises(Problem):
        as_problem(plain)()
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


@pytest.mark.parametrize("kind", [UserError, CheckpointError, NoSuchDevice])
def test_what_is_meant_for_whoever_asked_is_reported(kind: type[UserError], caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(Problem, match=r"^'this cannot be; try that\.'$"), as_sentence():
        raise kind("this cannot be; try that.")
    assert not [record for record in caplog.records if record.levelno > logging.DEBUG]


@pytest.mark.parametrize("mistake", [ValueError("axis 7"), TypeError("axis 7"), IndexError("axis 7")])
def test_a_mistake_of_the_programs_own_is_logged_whole_and_reported_to_nobody(
    mistake: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(Problem) as caught, as_sentence():
        raise mistake
    assert caught.value.message == WENT_WRONG
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert record.exc_info
    assert record.exc_info[1] is mistake


def test_what_is_wrong_with_several_fields_together_is_one_sentence() -> None:
    with pytest.raises(Problem) as caught:
        build_request(GenerateRequest, seed=MAX_SEED, count=2)
    assert caught.value.message == f"The last seed, {MAX_SEED + 1}, is above {MAX_SEED}."
