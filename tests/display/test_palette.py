"""One palette for plots and page."""

from __future__ import annotations

from pathlib import Path

from ddpm_core.display import palette

PACKAGES = [Path(__file__).resolve().parents[2] / name for name in ("ddpm_core", "ui")]


def test_no_other_module_names_its_colours() -> None:
    colours = [value for name, value in vars(palette).items() if name.isupper()]
    files = {file for package in PACKAGES for file in package.rglob("*.py")} - {Path(palette.__file__).resolve()}
    again = {file.name for file in files if any(colour in file.read_text(encoding="utf-8") for colour in colours)}
    assert again == {"path_pictures.py"}  # eight inks, far apart, one of which happens to be among them
