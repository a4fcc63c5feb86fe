"""What every command shares: how it ends when something is wrong."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest
from pydantic import BaseModel, Field

from ddpm_core.checkpoints.atomic import CheckpointError, UnwritableError
from ddpm_core.cli import bounds, in_one_sentence, merge, say_written, takes
from ddpm_core.errors import UserError
from ddpm_core.images.files import PictureError
from ddpm_core.images.masks import MaskError
from ddpm_core.machine import NoSuchDevice
from ddpm_core.training.loop import TrainingError
from tests.command_lines import assert_refused


class Shape(BaseModel):
    sides: int


@pytest.mark.parametrize("kind", [UserError, PictureError, MaskError, CheckpointError, TrainingError, NoSuchDevice])
def test_what_was_given_and_cannot_be_used_ends_a_command_with_its_sentence(call, kind: type[UserError]) -> None:
    def command() -> None:
        with in_one_sentence():
            raise kind("this cannot be; try that.")

    assert_refused(call(command), "this cannot be; try that.")


def test_a_request_and_a_file_that_cannot_be_used_end_a_command_with_a_sentence(call) -> None:
    def refused() -> None:
        with in_one_sentence():
            Shape.model_validate({"sides": "many"})

    def unwritable() -> None:
        with in_one_sentence():
            raise UnwritableError("x.png cannot be written (No space left).", "No space left")

    assert_refused(call(refused), "sides should be a valid integer", "not 'many'")
    assert_refused(call(unwritable), "x.png cannot be written (No space left).")


class Outline(BaseModel):
    sides: int = Field(3, ge=3)


class Drawing(BaseModel):
    label: int = Field(0, ge=0)
    outline: Outline = Outline()


@pytest.mark.parametrize(("option", "bound"), [("--class", 0), ("--outline-sides", 3)])
def test_a_complaint_names_the_option_that_was_typed(call, option: str, bound: int) -> None:
    @takes(Drawing)
    def command(given: dict[str, object]) -> None:
        with in_one_sentence():
            Drawing.model_validate(given)

    sentence = f"Error: {option} should be greater than or equal to {bound}, not '-1'."
    assert_refused(call(command, option, "-1"), sentence)


@pytest.mark.parametrize("mistake", [ValueError("axis 7"), RuntimeError("axis 7"), KeyError("axis 7")])
def test_a_mistake_of_the_programs_own_is_no_advice_but_a_traceback(call, mistake: Exception) -> None:
    def command() -> None:
        with in_one_sentence():
            raise mistake

    outcome = call(command)
    assert outcome.status == 1
    *traceback, last = outcome.err.splitlines()
    assert traceback[0].startswith("Traceback")
    assert "axis 7" in traceback[-1]
    assert last.startswith("Error: something went wrong here")
    assert "axis 7" not in last


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (1, "Wrote 1 picture to samples: 0.png\n"),
        (4, "Wrote 4 pictures to samples: 0.png, 1.png, 2.png, 3.png\n"),
        (5, "Wrote 5 pictures to samples: 0.png, 1.png, 2.png, 3.png, …\n"),
    ],
)
def test_what_was_written_is_said_in_a_line_that_stays_short(
    capsys: pytest.CaptureFixture[str], count: int, words: str
) -> None:
    say_written([Path("samples") / f"{number}.png" for number in range(count)], Path("samples"))
    assert capsys.readouterr().out == words


def test_a_name_that_the_output_has_no_letters_for_is_spelled_out(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(shown, encoding="ascii", newline="\n"))
    say_written([Path("café/\udcff.png")])
    sys.stdout.flush()
    assert shown.getvalue() == b"Wrote caf\\xe9/\\udcff.png.\n"


def test_layers_are_merged_the_last_on_top_and_the_nested_ones_too() -> None:
    lowest, middle, top = {"a": 1, "vae": {"x": 1, "y": 1}}, {"vae": {"y": 2, "z": 2}}, {"b": 3, "vae": {"z": 3}}
    assert merge(lowest, middle, top) == {"a": 1, "b": 3, "vae": {"x": 1, "y": 2, "z": 3}}
    assert lowest == {"a": 1, "vae": {"x": 1, "y": 1}}


class Bounded(BaseModel):
    steps: int = Field(20, ge=1, le=999, description="reverse steps")
    rate: float = Field(5e-4, gt=0, le=1)
    decay: float = Field(0.5, ge=0, lt=1)
    clip: float = Field(1.0, gt=0)
    warmup: int = Field(300, ge=0)
    few: int = Field(1, lt=9)
    word: str = Field("", description="a word")
    shape: Shape = Shape(sides=3)


def test_bounds_are_put_into_words() -> None:
    assert {name: bounds(field) for name, field in Bounded.model_fields.items()} == {
        "steps": "1 to 999", "rate": "above 0 to 1", "decay": "0 to below 1", "clip": "above 0",
        "warmup": "at least 0", "few": "below 9", "word": "", "shape": "",
    }  # fmt: skip


def test_help_says_defaults_and_bounds_and_parts_options_by_what_belongs_together(
    call, monkeypatch: pytest.MonkeyPatch
) -> None:
    @takes(Bounded, groups={"First part": ("word", "shape.sides"), "Second part": ("steps",)})
    def command(given: dict[str, object]) -> None:
        """Do it."""

    monkeypatch.setenv("COLUMNS", "120")
    shown = call(command, "--help").out
    words = ["First part", "--word", "a word [default: empty]", "--shape-sides", "Second part", "--steps"]
    places = [shown.index(word) for word in [*words, "reverse steps (1 to 999) [default: 20]"]]
    assert places == sorted(places)
    assert shown.index("--rate") < places[0]
