"""The button that enlarges, without a browser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from PIL import Image

from ddpm_core.images.files import read_parameters
from ddpm_core.requests import EnlargeRequest
from tests.conftest import write_enlarging_checkpoint
from tests.ui.conftest import grain
from ui.components.enlarging import Enlarging
from ui.errors import Problem, as_problem
from ui.models import Shelf


@pytest.fixture
def enlarging(own_checkpoint: Path) -> Enlarging:
    with gr.Blocks():
        return Enlarging("edit", Shelf.around(own_checkpoint, "cpu"), gr.Dropdown(["own"], value="own"))


def run(enlarging: Enlarging, *pictures: str) -> list[Any]:
    """What it would show: files while it is being made, then the results."""
    shown: list[Any] = []

    def unfinished(before: Any, made: Any) -> dict[Any, Any]:
        shown.append((before, made))
        return {}

    def finished(results: Any) -> dict[Any, Any]:
        shown.append(results)
        return {}

    list(as_problem(enlarging.run)("own", pictures, 5, gr.HTML(), unfinished, finished))
    return shown


def test_it_is_there_while_something_enlarges_such_pictures(enlarging: Enlarging, own_checkpoint: Path) -> None:
    assert not enlarging.button.visible
    with pytest.raises(Problem, match="No checkpoint here enlarges"):
        run(enlarging)
    faces = write_enlarging_checkpoint(own_checkpoint.with_name("faces"), framing="face")
    assert not enlarging.offered("own")["visible"]  # which are no faces
    with pytest.raises(Problem, match="No checkpoint here enlarges"):
        run(enlarging)
    write_enlarging_checkpoint(faces)
    assert enlarging.offered("own")["visible"]
    with pytest.raises(Problem, match="There is no picture yet"):
        run(enlarging)


def test_calls_are_counted_and_made_by_window(enlarging: Enlarging, own_checkpoint: Path, tmp_path: Path) -> None:
    write_enlarging_checkpoint(own_checkpoint.with_name("larger"))  # takes 16 pixels a side at once
    for side, windows in (((16, 16), 1), ((20, 17), 4)):
        Image.fromarray(grain(*side)).save(path := str(tmp_path / "small.png"))
        assert enlarging.calls("own", [path], 5) == windows * EnlargeRequest().model_calls
        assert enlarging.calls("own", [path, path], 5) == 2 * windows * EnlargeRequest().model_calls
        both = run(enlarging, path, path)[-1]
        for results in both:
            assert [Image.open(file).size for file in results.pair(0)] == [(2 * side[0], 2 * side[1])] * 2
        assert [read_parameters(results.files[0])["seed"] for results in both] == [5, 6]
