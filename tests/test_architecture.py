"""The house can be drawn from its folders: few rooms on few floors, a page without arithmetic, tests that mirror it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MOST_ROOMS, MOST_FLOORS = 20, 10


def modules(package: str) -> list[Path]:
    return [path for path in sorted((ROOT / package).rglob("*.py")) if path.name != "__init__.py"]


def imports(path: Path) -> Iterator[str]:
    """Names of all that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room_of(name: str) -> str:
    return name.split(".")[1]


def rooms() -> dict[str, set[str]]:
    """Modules and packages right inside `ddpm_core`, and which others each imports."""
    found: dict[str, set[str]] = {}
    for path in modules("ddpm_core"):
        room = path.relative_to(ROOT / "ddpm_core").with_suffix("").parts[0]
        known = {room_of(name) for name in imports(path) if name.startswith("ddpm_core.")}
        found[room] = found.get(room, set()) | known - {room}
    return found


def test_there_are_few_rooms_on_few_floors_and_no_circle() -> None:
    drawn = rooms()

    @cache
    def floor(room: str) -> int:
        return 1 + max((floor(below) for below in drawn.get(room, ())), default=0)

    assert len(drawn) <= MOST_ROOMS, sorted(drawn)
    assert max(map(floor, drawn)) <= MOST_FLOORS  # a circle would never end, and is a RecursionError


def test_pages_do_no_arithmetic_of_tensors() -> None:
    found = {path.name for path in modules("ui") if any(name.split(".")[0] == "torch" for name in imports(path))}
    assert found == set()


def test_every_module_has_tests_of_its_name_in_the_folder_that_mirrors_its_own() -> None:
    missing = set()
    for path in [*modules("ddpm_core"), *modules("ui")]:
        place = path.relative_to(ROOT if path.is_relative_to(ROOT / "ui") else ROOT / "ddpm_core")
        if not (ROOT / "tests" / place.parent / f"test_{path.name}").is_file():
            missing.add(place.as_posix())
    assert not missing, f"without a test file of their name: {sorted(missing)}"
