"""`metadata.jsonl`: what is read of it, and what is refused in a sentence."""

from __future__ import annotations

import pytest

from ddpm_core.data.metadata import read
from ddpm_core.images.files import PictureError


def test_lines_are_rows_and_a_list_of_objects_is_the_same() -> None:
    lines = (
        '{"file_name": "0.png", "text": " a\\ncat ", "age": 3, "box": [1, 2]}\n\n{"file_name": "1.png", "text": null}\n'
    )
    table = read(lines.encode("utf-8-sig"), "m")
    assert table.columns == ["file_name", "text", "age"]
    assert table.rows == [{"file_name": "0.png", "text": "a\ncat", "age": "3"}, {"file_name": "1.png", "text": ""}]
    assert read(f"[{','.join(lines.split(chr(10))[::2])}]".encode(), "m") == table


def test_words_are_text_that_can_be_written_again() -> None:
    table = read('{"file_name": "a\\u0308.png", "text": "half \\ud83d, line\u2028end"}'.encode(), "m")
    assert table.rows == [{"file_name": "ä.png", "text": "half ?, line\u2028end"}]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"file_name": "0.png"}\nfile,caption', "Line 2 of m is no JSON object"),
        ('"0.png"', "Line 1 of m is no JSON object"),
        ('{"a":' * 10**5, "Line 1 of m is no JSON object"),
        ('[{"file_name": "0.png"}, 3]', "m has a list whose element 2 is no JSON object"),
        ("[1, ", "m is neither JSON objects, one a line, nor a list of them"),
    ],
)
def test_what_is_no_object_is_refused_by_its_place(content: str, said: str) -> None:
    with pytest.raises(PictureError, match=said):
        read(content.encode(), "m")
