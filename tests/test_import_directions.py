"""Imports run downwards: which room of the package may know which."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
CORE = ROOT / "ddpm_core"
# From the bottom up; a room may import those on lower floors. Rooms of one floor do not know each other.
FLOORS = [
    {"errors", "aliases", "display"},
    {"machine", "diffusion"},
    {"networks", "images"},
    {"cli", "requests", "data"},
    {"checkpoints"},
    {"pipeline"},
    {"training"},
    {"evaluation"},
    {"inspection"},
    {"commands"},
]


def floor_of(room: str) -> int:
    return next(number for number, rooms in enumerate(FLOORS) if room in rooms)


def imports_of(file: Path) -> Iterator[str]:
    """Modules that a file imports, inside functions as well."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{name.name}" for name in node.names)


FILES = [file for file in sorted(CORE.rglob("*.py")) if file != CORE / "__init__.py"]  # which is a table of contents


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.relative_to(CORE).as_posix())
def test_a_room_imports_rooms_below_it_only(file: Path) -> None:
    room = file.relative_to(CORE).with_suffix("").parts[0]
    for module in imports_of(file):
        package, *rest = module.split(".")
        assert package not in {"gradio", "ui", "tests", "benchmarks"}, module
        if package == "ddpm_core" and rest[0] != room:
            assert floor_of(rest[0]) < floor_of(room), f"{room} imports {module}"


def test_every_room_has_its_floor() -> None:
    rooms = {path.stem for path in CORE.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert rooms == {room for rooms in FLOORS for room in rooms} & rooms
    for room in {room for rooms in FLOORS for room in rooms} - rooms:
        assert (CORE / f"{room}.py").is_file(), room
