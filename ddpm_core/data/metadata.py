"""`metadata.jsonl` as in Hugging Face's imagefolder: an object a line, with `file_name` and words about it."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterator
from typing import Any

from ddpm_core.data.tables import Table, decoded
from ddpm_core.images.files import PictureError

METADATA = "metadata.jsonl"


def read(content: bytes, name: str) -> Table:
    """The lines, or one list of objects, as rows of a table called `name` in errors; what is nested is passed over.

    Raises:
        PictureError: a line is no JSON object.
    """
    rows = [
        {key: word for key, value in line.items() if (word := _word(value)) is not None}
        for line in _lines(content, name)
    ]
    return Table(list(dict.fromkeys(key for row in rows for key in row)), rows)


def _lines(content: bytes, name: str) -> Iterator[dict[str, Any]]:
    text = decoded(content).strip()
    if text.startswith("["):
        objects = _parsed(text, f"{name} is neither JSON objects, one a line, nor a list of them; mend it.")
        yield from (
            _object(each, f"{name} has a list whose element {n} is no JSON object; mend it.")
            for n, each in enumerate(objects, 1)
        )
        return
    for number, line in enumerate(text.split("\n"), 1):  # only these: JSON's strings may hold other ends of lines
        if line.strip():
            wrong = f'Line {number} of {name} is no JSON object, as {{"file_name": "0.png", "text": "a cat"}}; mend it.'
            yield _object(_parsed(line, wrong), wrong)


def _parsed(text: str, wrong: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise PictureError(wrong) from None


def _object(value: Any, wrong: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise PictureError(wrong)
    return value


def _word(value: Any) -> str | None:
    if isinstance(value, (list, dict)):
        return None
    word = "" if value is None else str(value)
    whole = word.encode("utf-8", errors="replace").decode("utf-8")  # an escape may be half a letter
    return unicodedata.normalize("NFC", whole).strip()
