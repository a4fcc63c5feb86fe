"""What `pip install` puts in place: every package, the page's static files, a console script per command."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from configparser import ConfigParser
from email import message_from_string
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = (
    "sample",
    "inpaint",
    "edit",
    "enlarge",
    "process",
    "interpolate",
    "anagram",
    "hybrid",
    "train",
    "guide",
    "evaluate",
    "compare",
)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built beside the repository: a build leaves folders of its own."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    for name in ("ddpm_core", "ui", "static"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for path in [
        *ROOT.glob("requirements*.txt"),
        *(ROOT / name for name in ("pyproject.toml", "setup.py", "README.md")),
    ]:
        shutil.copy(path, source)
    flags = ["--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(folder)]
    command = [sys.executable, "-m", "pip", "wheel", *flags, str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return next(folder.glob("*.whl"))


def test_it_holds_every_module_static_file_and_language_and_nothing_else(wheel: Path) -> None:
    expected = {str(path.relative_to(ROOT)) for name in ("ddpm_core", "ui") for path in (ROOT / name).rglob("*.py")}
    expected |= {str(path.relative_to(ROOT)) for path in (ROOT / "ui" / "languages").glob("*.json")}
    expected |= {f"ui/{path.relative_to(ROOT)}" for path in (ROOT / "static").rglob("*") if path.is_file()}
    expected |= {str(path.relative_to(ROOT)) for path in (ROOT / "ui" / "languages").glob("*.json")}
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert held == expected


def test_every_command_has_a_console_script(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("entry_points.txt"))
        said = ConfigParser()
        said.read_string(archive.read(name).decode())
    expected = {f"ddpm-{name}": f"ddpm_core.commands.{name}:command" for name in COMMANDS}
    assert dict(said["console_scripts"]) == expected | {"ddpm-studio": "ui.studio:command"}


def test_the_page_is_an_extra(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("METADATA"))
        needed = message_from_string(archive.read(name).decode()).get_all("Requires-Dist") or []
    extras = {one.split(";")[1].strip() for one in needed if one.startswith("gradio")}
    assert extras == {'extra == "app"', 'extra == "mcp"'}
    assert any(one.startswith("torch") and ";" not in one for one in needed)


def test_what_is_installed_runs_and_finds_what_belongs_to_the_page(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    told = """
import ui.help, ui.theme
from importlib.metadata import entry_points
assert (ui.theme.STATIC / "style.css").is_file() and (ui.theme.STATIC / "icons" / "dice.svg").is_file()
assert "## Limits" in ui.help.documentation()
scripts = [one for one in entry_points(group="console_scripts") if one.name.startswith("ddpm-")]
assert len(scripts) == COUNT and all(callable(one.load()) for one in scripts), scripts
"""
    alone = os.environ | {"PYTHONPATH": str(tmp_path / "site"), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", told.replace("COUNT", str(len(COMMANDS) + 1))]  # and the studio
    done = subprocess.run(command, cwd=tmp_path, env=alone, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("file", sorted(path.name for path in ROOT.glob("requirements*.txt")))
def test_every_requirement_says_from_which_version_and_below_which(file: str) -> None:
    lines = [line.split("#")[0].strip() for line in (ROOT / file).read_text().splitlines()]
    needed = [line for line in lines if line and not line.startswith("-r ")]
    assert all(re.fullmatch(r"[\w-]+(\[[\w,]+\])?>=[\d.]+,<=?[\d.]+", line) for line in needed), needed
