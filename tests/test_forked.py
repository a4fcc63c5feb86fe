from __future__ import annotations

from pathlib import Path

import pytest

from tests import forked


class Delayed:
    """A process that has not begun yet."""

    pid = 1

    def __init__(self, **_: object): ...

    def start(self) -> None: ...


def test_what_a_process_says_can_be_read_before_it_has_said_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forked._CONTEXT, "Process", Delayed)
    forked.open_app([], tmp_path / "app.log", {})
    forked.start([], tmp_path / "output")
    assert (tmp_path / "app.log").read_text() == (tmp_path / "output").read_text() == ""
