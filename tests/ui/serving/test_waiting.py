"""How long a request takes by what was seen, and when each that waits is ready."""

from __future__ import annotations

import pytest

from ui.serving.waiting import OF_A_KIND, Pace, Work, until_ready


def test_before_anything_is_known_nothing_is_said() -> None:
    assert Pace().seconds("generate", 20) is None


def test_a_small_request_does_not_make_a_large_one_look_slow() -> None:
    """Half a second of a draft is reading, drawing and writing; its seven calls take a fifth of that."""
    pace = Pace()
    pace.begin(0.03)
    pace.note("draft", 7, 0.71)
    assert pace.seconds("generate", 160) == pytest.approx(160 * 0.03)


def test_the_first_of_a_kind_which_compiles_is_no_rule_and_what_all_of_them_take_is() -> None:
    pace = Pace()
    pace.begin(0.03)
    pace.note("inpaint", 20, 9.0)
    assert pace.seconds("inpaint", 20) == pytest.approx(0.6)
    for seconds in (1.0, 1.1, 0.9, 1.0):
        pace.note("inpaint", 20, seconds)
    assert pace.seconds("inpaint", 20) == pytest.approx(1.0)


def test_a_machine_that_got_slower_is_noticed() -> None:
    pace = Pace()
    pace.begin(0.03)
    for _ in range(2 * OF_A_KIND):
        pace.note("generate", 20, 3.0)
    assert pace.seconds("generate", 160) == pytest.approx(160 * 0.15)


def test_batches_are_quicker_and_say_nothing_of_what_is_made_alone() -> None:
    pace = Pace()
    pace.begin(0.03)
    for _ in range(3):
        pace.note("generate", 160, 2.4, batched=True)
    assert pace.seconds("generate", 160, batched=True) == pytest.approx(2.4)
    assert pace.seconds("generate", 160) == pytest.approx(4.8)
    assert pace.seconds("edit", 160, batched=True) == pytest.approx(4.8)  # no batch of this kind was seen yet


def test_before_a_batch_was_seen_it_is_as_quick_as_one_was_at_the_start() -> None:
    pace = Pace()
    pace.begin(0.04, 0.03)
    assert pace.seconds("generate", 100, batched=True) == pytest.approx(3.0)
    assert pace.seconds("generate", 100) == pytest.approx(4.0)
    for _ in range(2 * OF_A_KIND):
        pace.note("generate", 20, 1.6)  # the machine got slower: by half of that, batches too
    assert pace.seconds("generate", 100, batched=True) == pytest.approx(6.0)
    pace.note("generate", 100, 7.0, batched=True)
    assert pace.seconds("generate", 100, batched=True) == pytest.approx(7.0)
    pace.begin(0.04, 0.05)
    assert pace.seconds("edit", 100, batched=True) == pace.seconds("edit", 100)  # no batch is slower than its parts


SECONDS = {"a": 3.0, "b": 1.0, "long": 100.0, "longer": 50.0}


def work(events: list[str]) -> Work[str]:
    left = sum(SECONDS[event] for event in events)
    return Work(events, left, left < 10)


def test_one_after_the_other() -> None:
    ready = until_ready([Work(["r"], 2.0, True)], ["a", "b"], work, lambda first, others: [first], lanes=2)
    assert ready == {"r": 2.0, "a": 5.0, "b": 6.0}


def test_what_begins_together_is_ready_together() -> None:
    ready = until_ready([], ["a", "b"], work, lambda first, others: [first, *others], lanes=2)
    assert ready == {"a": 4.0, "b": 4.0}


def test_short_ones_pass_a_long_one_at_half_their_speed_and_a_long_one_waits() -> None:
    ready = until_ready([work(["long"])], ["longer", "a", "b"], work, lambda first, others: [first], lanes=2)
    assert ready == {"a": 6.0, "b": 8.0, "long": 104.0, "longer": 154.0}
