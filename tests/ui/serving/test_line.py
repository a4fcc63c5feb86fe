"""The line's rules: shares, order, lanes, and what is said of waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import partial
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest
from fastapi import HTTPException
from gradio.data_classes import PredictBodyInternal
from gradio.server_messages import EstimationMessage, ProcessCompletedMessage

from ddpm_core.requests import GenerateRequest
from ui.components.events import ONE_AT_A_TIME, announced
from ui.serving.line import MODEL, SHORT, Line
from ui.serving.metrics import Metrics
from ui.serving.settings import ServingSettings
from ui.serving.together import ModelRequest

LONG = 10 * SHORT


class Studio:
    """A page with one handler whose only input says how many calls of the model it takes, and its line."""

    def __init__(self, **settings: Any):
        def work(calls: float) -> Iterator[float]:
            yield calls

        def asks(calls: float) -> ModelRequest:
            return ModelRequest("faces", GenerateRequest(steps=int(calls)))

        with gr.Blocks() as page:
            asked, said = gr.Number(), gr.Number()
            page_only = gr.Button()
            asked.change(announced(work, "try", lambda calls: int(calls)), asked, said, **ONE_AT_A_TIME)
            page_only.click(lambda: 1, None, said)
            page_only.click(lambda: 2, None, said, **ONE_AT_A_TIME)
            batched = announced(partial(work), "try", lambda calls: int(calls), asks)
            asked.submit(batched, asked, said, **ONE_AT_A_TIME)
            told = {"only_newest": True, "refused": lambda sentence, calls: {said: sentence} if calls else {}}
            draft = announced(partial(work), "draft", lambda calls: int(calls), **told)  # type: ignore[arg-type]
            asked.input(draft, asked, [said, gr.State()], **ONE_AT_A_TIME)
        self.model, self.plain, self.small, self.batched, self.draft = page.fns
        self.time = 0.0
        self.line = Line(page, ServingSettings(**settings), Metrics(), lambda: self.time)

    def ask(self, session: str, calls: int = 1, address: str = "127.0.0.1", fn: int | None = None) -> str:
        """The number of an event that was taken into the line."""
        data = [calls] if fn in (None, self.batched, self.draft) else []
        body = PredictBodyInternal(data=data, session_hash=session, fn_index=self.model if fn is None else fn)
        request: Any = SimpleNamespace(client=SimpleNamespace(host=address))
        taken, number, _ = asyncio.run(self.line.push(body, request, None))
        assert taken
        return str(number)

    def refused(self, *asked: Any, **named: Any) -> str:
        with pytest.raises(HTTPException) as refusal:
            self.ask(*asked, **named)
        assert refusal.value.status_code == 503
        assert refusal.value.headers == {"Retry-After": "10"}
        return refusal.value.detail

    def begin(self) -> str | None:
        """Whose request is next; it runs from now on."""
        found = self.line.get_events()
        if found is None:
            return None
        self.line.event_queue_per_concurrency_id[found[2]].current_concurrency += 1
        return found[0][0].session_hash

    def end(self, session: str) -> None:
        (event,) = (event for event in self.line.running if event.session_hash == session)
        del self.line.running[event]
        self.line.event_queue_per_concurrency_id[MODEL].current_concurrency -= 1

    def answers(self, session: str) -> dict[str, Any]:
        """What a visitor's requests were answered with, by their numbers, without having been run."""
        messages = self.line.pending_messages_per_session[session]
        said = [messages.get_nowait() for _ in range(messages.qsize())]
        return {str(one.event_id): one.output["data"] for one in said if isinstance(one, ProcessCompletedMessage)}

    def told(self, session: str) -> EstimationMessage:
        """The last that a visitor was told of waiting."""
        messages, said = self.line.pending_messages_per_session[session], []
        while not messages.empty():
            said.append(messages.get_nowait())
        return said[-1]


def test_a_page_and_an_address_hold_no_more_than_their_share() -> None:
    studio = Studio(per_visitor=2, per_address=3)
    studio.ask("a", address="192.0.2.1")
    studio.ask("a", address="192.0.2.1")
    assert studio.refused("a", address="192.0.2.1").startswith("You have 2 requests waiting or running")
    studio.ask("b", address="192.0.2.1")
    assert studio.refused("c", address="192.0.2.1").startswith("You have 3 requests")
    studio.ask("c", address="192.0.2.2")
    assert studio.begin() == "a"
    studio.refused("a", address="192.0.2.3")  # what runs is held, too
    studio.end("a")
    studio.ask("a", address="192.0.2.3")


def test_what_a_page_does_by_itself_is_no_part_of_its_share() -> None:
    """A page asks for several small things at once when another checkpoint is chosen."""
    studio = Studio(per_visitor=1, max_waiting=100)
    studio.ask("a")
    for _ in range(24):
        studio.ask("a", fn=studio.small)
    studio.refused("a", fn=studio.small)
    studio.refused("a")
    studio.ask("b", fn=studio.small)


def test_of_the_drafts_that_a_page_asks_for_by_itself_the_newest_is_made_or_told_why_not() -> None:
    """An editor that opens reports itself five times: more than a visitor's share, and nothing to be told of it."""
    studio = Studio(per_visitor=1, max_waiting=3)
    studio.ask("a")
    assert studio.begin() == "a"
    numbers = [studio.ask("a", 7, fn=studio.draft) for _ in range(5)]
    (waiting,) = studio.line.event_queue_per_concurrency_id[MODEL].queue
    assert waiting._id == numbers[-1]
    assert studio.answers("a") == {one: [gr.skip(), None] for one in numbers[:-1]}  # the last is a state's

    studio.ask("b")
    studio.ask("c")
    studio.refused("d")  # the line is full
    late = studio.ask("d", 7, fn=studio.draft)
    sentence = "The studio is busy: as many as may wait are waiting, 3. Try again in a minute."
    assert studio.answers("d") == {late: [sentence, None]}
    unasked = studio.ask("d", 0, fn=studio.draft)
    assert studio.answers("d") == {unasked: [gr.skip(), None]}
    assert len(studio.line) == 3
    assert studio.line.metrics.registry.get_sample_value("studio_refusals_total", {"reason": "full"}) == 3


def test_this_machines_own_address_is_no_visitors() -> None:
    studio = Studio(per_address=1)
    for session in "abc":
        studio.ask(session, address="127.0.0.1")


def test_a_full_line_and_a_closing_app_refuse_in_a_sentence() -> None:
    studio = Studio(max_waiting=2)
    studio.ask("a")
    studio.ask("b")
    assert studio.refused("c") == "The studio is busy: as many as may wait are waiting, 2. Try again in a minute."
    studio.line.close_to_new()
    assert "closing" in studio.refused("d", fn=studio.plain)
    counted = studio.line.metrics.registry.get_sample_value
    assert counted("studio_refusals_total", {"reason": "full"}) == 1
    assert counted("studio_refusals_total", {"reason": "closing"}) == 1
    assert counted("studio_waiting") == 2


def test_more_visitors_than_wanted_come_back_when_others_have_left() -> None:
    studio = Studio(max_visitors=2, max_waiting=9)
    studio.ask("a")
    studio.ask("b")
    assert studio.refused("c") == "The studio is full: 2 visitors are being served. Try again in a few minutes."
    studio.ask("c", fn=studio.plain)  # what needs no model is answered
    studio.ask("b")
    while studio.begin():
        for event in list(studio.line.running):
            studio.end(event.session_hash)
    studio.refused("c")  # they may come back
    studio.time += 301
    studio.ask("c")


def test_who_asks_for_much_waits_behind_those_who_ask_for_little() -> None:
    studio = Studio()
    for _ in range(3):
        studio.ask("much", 100)
    studio.ask("little", 10)
    studio.ask("other", 10)
    order = []
    while (session := studio.begin()) is not None:
        order.append(session)
        studio.end(session)
    assert order == ["much", "little", "other", "much", "much"]


def test_who_has_asked_for_much_is_not_overtaken_for_ever() -> None:
    studio, order = Studio(), []
    for calls in (100, 100):
        studio.ask("much", calls)
    for number in range(40):  # somebody new comes whenever somebody is served
        studio.ask(f"new {number}", 10)
        order.append(studio.begin())
        studio.end(str(order[-1]))
    assert order[0] == "much"
    assert 5 < order.index("much", 1) < 30


def test_what_was_stopped_is_not_put_to_a_visitors_account() -> None:
    studio = Studio()
    number = studio.ask("a", 150)
    studio.ask("b", 10)
    assert studio.begin() == "a"
    event = studio.line.event_ids_to_events[number]
    studio.end("a")
    studio.line._note(event, event.fn, 0.0, 1.0, stopped=True)
    studio.ask("a", 10)
    studio.ask("b", 10)
    order = []
    while (session := studio.begin()) is not None:
        order.append(session)
        studio.end(session)
    assert order == ["b", "a", "b"]


def test_a_short_request_runs_beside_a_long_one_and_a_second_long_one_does_not() -> None:
    studio = Studio()
    for session, calls in (("long", LONG), ("longer", 2 * LONG), ("short", SHORT), ("brief", 1)):
        studio.ask(session, calls)
    assert [studio.begin(), studio.begin(), studio.begin()] == ["long", "short", None]
    studio.end("short")
    assert [studio.begin(), studio.begin()] == ["brief", None]
    studio.end("long")
    assert studio.begin() is None  # until what is beside it has ended
    studio.end("brief")
    assert studio.begin() == "longer"


def test_waiting_visitors_see_their_place_and_a_time_by_what_is_asked() -> None:
    studio = Studio()
    for session, calls in (("a", 100), ("b", 30), ("c", 20)):
        studio.ask(session, calls)
    assert (studio.told("c").rank, studio.told("b").rank_eta) == (2, None)  # nothing has been timed yet
    studio.line.pace.begin(0.5)
    assert studio.begin() == "a"
    studio.time += 10.0
    studio.line.broadcast_estimations(MODEL)
    b, c = studio.told("b"), studio.told("c")
    assert (b.rank, b.rank_eta, b.queue_size) == (0, 40.0 + 15.0, 2)
    assert (c.rank, c.rank_eta) == (1, 40.0 + 15.0 + 10.0)


def test_of_a_draft_that_had_nothing_to_make_no_pace_is_learned() -> None:
    """A page asks for several as its canvas opens: none of them calls the model, and they take next to no time."""
    studio = Studio()
    studio.line.pace.begin(0.5)
    for _ in range(9):
        number = studio.ask("a", 7, fn=studio.draft)
        studio.begin()
        event = studio.line.event_ids_to_events[number]
        studio.line.event_analytics[event._id]["status"] = "success"
        event.calls = 0  # type: ignore[attr-defined]  # as `turns.nothing_to_make` does
        studio.line._note(event, event.fn, 0.0, 0.07, stopped=False)
        studio.end("a")
    assert studio.line.pace.seconds("draft", 7) == pytest.approx(3.5)


def test_who_has_just_come_is_told_one_time_by_what_is_asked() -> None:
    studio = Studio()
    studio.line.pace.begin(0.5)
    studio.ask("a", 100)
    messages = studio.line.pending_messages_per_session["a"]
    assert [messages.get_nowait().rank_eta for _ in range(messages.qsize())] == [50.0]


def test_what_differs_in_seeds_alone_begins_together_and_others_wait_for_all_of_them() -> None:
    studio = Studio()
    studio.ask("a", 20, fn=studio.batched)
    studio.ask("finer", 30, fn=studio.batched)
    studio.ask("other", 20)
    studio.ask("b", 20, fn=studio.batched)
    number = studio.ask("c", 20, fn=studio.batched)
    assert [studio.begin(), studio.begin(), studio.begin(), studio.begin()] == ["a", "b", "c", None]
    event = studio.line.event_ids_to_events[number]
    assert (event.batch.seeds, event.first) == ([0, 0, 0], 2)  # type: ignore[attr-defined]
    studio.line.pace.begin(0.5)
    studio.time += 6.0
    studio.line.broadcast_estimations(MODEL)
    assert studio.told("other").rank_eta == pytest.approx(3 * 20 * 0.5 - 6.0 + 20 * 0.5 + 30 * 0.5)
    for session in "abc":
        studio.end(session)
    assert [studio.begin(), studio.begin()] == ["finer", None]


def test_who_waits_for_a_batch_is_told_when_all_of_it_is_ready_by_how_long_batches_took() -> None:
    studio = Studio()
    studio.line.pace.begin(0.5)
    studio.ask("before", 10)
    for session in "abc":
        studio.ask(session, 20, fn=studio.batched)
    assert studio.begin() == "before"
    studio.line.broadcast_estimations(MODEL)
    assert [studio.told(session).rank_eta for session in "abc"] == [5.0 + 3 * 20 * 0.5] * 3
    studio.end("before")
    assert [studio.begin() for _ in "abc"] == ["a", "b", "c"]
    for event in list(studio.line.running):  # all see the end of the whole batch; it counts once
        studio.line.event_analytics[event._id]["status"] = "success"
        studio.line._note(event, event.fn, 0.0, 12.0, stopped=False)
        studio.end(event.session_hash)
    assert studio.line.pace.seconds("try", 60, batched=True) == pytest.approx(12.0)
    assert studio.line.pace.seconds("try", 60) == pytest.approx(30.0)


def test_who_may_run_beside_a_long_one_is_not_told_to_wait_for_its_end() -> None:
    studio = Studio()
    studio.line.pace.begin(0.1)
    studio.ask("long", LONG)
    assert studio.begin() == "long"
    studio.ask("longer", LONG)
    studio.ask("short", 20)
    studio.line.broadcast_estimations(MODEL)
    assert studio.told("short").rank_eta == pytest.approx(2 * 20 * 0.1)  # the two share the machine
    assert studio.told("longer").rank_eta == pytest.approx((LONG + 20 + LONG) * 0.1)


def test_a_batch_has_no_more_pictures_than_one_request_may_and_is_over_as_soon_as_a_short_one() -> None:
    studio = Studio(per_visitor=20)
    for _ in range(10):
        studio.ask("a", 20, fn=studio.batched)
    assert [studio.begin() for _ in range(9)] == ["a"] * 8 + [None]
    slow = Studio()
    for session in "abc":
        slow.ask(session, SHORT // 2, fn=slow.batched)
    assert [slow.begin() for _ in range(3)] == ["a", "b", None]


def test_who_left_before_a_batch_began_is_not_waited_for() -> None:
    studio = Studio()
    for session in "abc":
        studio.ask(session, 20, fn=studio.batched)
    assert studio.begin() == "a"
    asyncio.run(studio.line.clean_events(session_hash="b"))
    assert [studio.begin(), studio.begin()] == ["c", None]


def test_inputs_that_make_no_sense_are_short_and_left_to_the_handler() -> None:
    studio = Studio()
    body = PredictBodyInternal(data=["many", 2], session_hash="a", fn_index=studio.model)
    taken, number, _ = asyncio.run(studio.line.push(body, SimpleNamespace(client=None), None))
    assert taken
    assert studio.line.event_ids_to_events[str(number)].calls == 1  # type: ignore[attr-defined]
