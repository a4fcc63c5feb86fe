"""The package's table of contents."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import ddpm_core

ROOT = Path(__file__).resolve().parents[1]
COMMANDS = [path.stem for path in sorted((ROOT / "ddpm_core" / "commands").glob("[!_]*.py"))]


@pytest.mark.parametrize("name", ddpm_core.__all__)
def test_every_name_of_the_contents_is_the_one_of_its_module(name: str) -> None:
    found = getattr(ddpm_core, name)
    (module,) = [module for module, names in ddpm_core.MODULES.items() if name in names]
    assert found is getattr(sys.modules[f"ddpm_core.{module}"], name)
    assert name in dir(ddpm_core)


def test_the_contents_have_no_other_names_and_modules_are_still_found() -> None:
    assert sorted(name for names in ddpm_core.MODULES.values() for name in names) == sorted(ddpm_core.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Diffusor'"):
        _ = ddpm_core.Diffusor
    with pytest.raises(ImportError):
        from ddpm_core import Diffusor  # type: ignore[attr-defined]  # noqa: F401


@pytest.mark.parametrize("name", COMMANDS)
def test_commands_are_found_by_the_names_that_people_type(name: str) -> None:
    found = find_spec(f"ddpm_core.{name}")
    assert found is not None
    assert found.origin == str(ROOT / "ddpm_core" / "commands" / f"{name}.py")


def test_no_command_hides_a_room_and_none_is_imported_by_its_short_name_in_here() -> None:
    """A module would be loaded twice: what a test replaces in the one is not replaced in the other."""
    rooms = {path.stem for path in (ROOT / "ddpm_core").iterdir()}
    assert not rooms & set(COMMANDS)
    short = re.compile(rf"(from ddpm_core import .*|(from|import) ddpm_core\.)\b({'|'.join(COMMANDS)})\b")
    files = [path for name in ("ddpm_core", "ui", "tests", "benchmarks") for path in (ROOT / name).rglob("*.py")]
    found = [str(path) for path in files if any(map(short.match, map(str.strip, path.read_text("utf-8").split("\n"))))]
    assert found == []


@pytest.mark.integration
def test_the_contents_alone_load_nothing() -> None:
    code = "import sys, ddpm_core; print(sorted({'torch', 'numpy', 'pydantic', 'ddpm_core.pipeline'} & {*sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "[]"
