"""Faces made earlier, and the checkpoints that they stand with."""

from __future__ import annotations

import pytest

from ui.components.made_earlier import Shown, exchange
from ui.models import Shelf


@pytest.mark.parametrize(
    ("framing", "shown", "expected"),
    [
        ("face", Shown.NOTHING, {"put": "there"}),
        ("face", Shown.MADE_EARLIER, {}),
        ("face", Shown.OWN, {}),
        ("square", Shown.NOTHING, {}),
        ("square", Shown.MADE_EARLIER, {"put": "away"}),
        ("square", Shown.OWN, {}),
    ],
)
def test_they_come_and_go_with_the_checkpoint_and_never_in_place_of_a_visitor_s_own(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch, framing: str, shown: Shown, expected: dict[str, str]
) -> None:
    monkeypatch.setattr(shelf.load("tiny"), "framing", framing)
    assert exchange(shelf, "tiny", shown, lambda: {"put": "there"}, lambda: {"put": "away"}) == expected
