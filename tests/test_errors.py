"""What is meant for whoever asked, and what is a mistake of the program's own."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from ddpm_core.checkpoints.atomic import UnwritableError
from ddpm_core.errors import UserError
from ddpm_core.images.files import PictureError, open_picture

CORE = Path(__file__).resolve().parents[1] / "ddpm_core"
NOT_TOLD = {"UserError", "Interruption"}  # the root of them, and what ends a program that nothing is wrong with


def defined() -> dict[str, set[str]]:
    """Every class of the core that is an exception, by its bases, as far as their names tell."""
    found = {}
    for path in CORE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                bases = {base.id for base in node.bases if isinstance(base, ast.Name)}
                if node.name in NOT_TOLD or any(base.endswith(("Error", "Exception")) for base in bases):
                    found[node.name] = bases
    return found


def test_every_exception_of_the_core_is_one_whose_sentence_is_told() -> None:
    exceptions = defined()
    assert exceptions.keys() > NOT_TOLD
    for name in exceptions.keys() - NOT_TOLD:
        bases = exceptions[name]
        assert "UserError" in bases or bases & exceptions.keys(), f"{name} is caught by nobody who tells sentences"


def test_what_cannot_be_used_is_a_value_error_and_other_value_errors_are_not_told() -> None:
    assert issubclass(UserError, ValueError)  # who called the library before it had a name catches that
    assert not isinstance(ValueError("axis 7"), UserError)


def test_a_disk_that_is_full_is_both_the_systems_error_and_one_to_be_told() -> None:
    with pytest.raises(OSError, match="cannot be written") as told:
        raise UnwritableError("x.png cannot be written (No space left).", "No space left")
    assert isinstance(told.value, UserError)


def test_a_file_that_is_no_picture_is_refused_in_one_sentence_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "letter.png").write_text("Dear")
    with pytest.raises(UserError, match=r"letter\.png") as told:
        open_picture(tmp_path / "letter.png")
    assert isinstance(told.value, PictureError)
    assert "\n" not in str(told.value)
