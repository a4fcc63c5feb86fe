"""The app's flags: who may come in, from a file, and below which path."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from ddpm_core.errors import UserError
from ui.serving.settings import ServingSettings


def test_names_and_passwords_are_lines_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "visitors"
    file.write_text("# the house\nann:a:b\n\nbob:c\n", encoding="utf-8")
    assert ServingSettings(auth=file).visitors() == [("ann", "a:b"), ("bob", "c")]
    assert ServingSettings().visitors() is None


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "cannot be read"),
        (b"\xff", "it is not text"),
        (b"ann\n", "line 1, is not name:password"),
        (b"# nobody\n", "names nobody"),
    ],
)
def test_a_file_that_is_none_is_a_sentence(tmp_path: Path, content: bytes | None, sentence: str) -> None:
    file = tmp_path / "visitors"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(UserError, match=sentence):
        ServingSettings(auth=file).visitors()


def test_a_root_path_begins_with_a_slash_and_ends_without() -> None:
    assert ServingSettings(root_path="/studio/").root_path == "/studio"
    with pytest.raises(ValidationError, match="must begin with a slash"):
        ServingSettings(root_path="studio")
