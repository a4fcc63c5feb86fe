"""`python -m deploy.space.make`: the folder of a Hugging Face Space that shows the studio.

Example:
    python -m deploy.space.make --out space --checkpoint checkpoints/faces-128 --checkpoint checkpoints/mine
    hf upload you/studio space . --repo-type space
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from ddpm_core.checkpoints.folders import files
from ddpm_core.checkpoints.hub import save
from ddpm_core.cli import CHECKPOINT, in_one_sentence, output_folder, run, say
from ddpm_core.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
CODE = ("ddpm_core", "ui", "static")
REQUIREMENTS = ("requirements.txt", "requirements-mcp.txt")


def main(
    out: Annotated[Path, typer.Option(help="folder to write into; it must be empty or not be there")],
    checkpoint: Annotated[
        list[Path] | None,
        typer.Option(help="checkpoint folder to put in, and again for more; the first opens the page"),
    ] = None,
) -> None:
    """Write all that a Space needs into a folder; upload it with `hf upload you/name OUT . --repo-type space`."""
    with in_one_sentence():
        chosen = checkpoint or [ROOT / CHECKPOINT]
        for folder in chosen:
            if missing := [file for file in files(folder) if not file.is_file()]:
                raise UserError(f"{missing[0]} is missing; name the folder of a complete checkpoint.")
        output_folder(out)
        if any(out.iterdir()):
            raise UserError(f"{out} is not empty; name a folder that is not there.")
        for name in CODE:
            shutil.copytree(ROOT / name, out / name, ignore=shutil.ignore_patterns("__pycache__"))
        for folder in chosen:
            save(folder, out / "checkpoints" / folder.resolve().name)
        header = (HERE / "header.md").read_text(encoding="utf-8").replace("{gradio}", version("gradio"))
        readme = (ROOT / "README.md").read_text(encoding="utf-8")  # its chapters are the page's documentation, too
        (out / "README.md").write_text(header + readme, encoding="utf-8")
        needed = "".join(f"{line}\n" for name in REQUIREMENTS for line in requirements(ROOT / name))
        (out / "requirements.txt").write_text(needed, encoding="utf-8")
        app = (HERE / "app.py").read_text(encoding="utf-8")
        first = f"checkpoints/{chosen[0].resolve().name}"
        (out / "app.py").write_text(app.replace("FIRST", first), encoding="utf-8")
    say(f"Wrote a Space to {out}; put it on the Hub with: hf upload you/name {out} . --repo-type space")


def requirements(path: Path) -> Iterator[str]:
    """The lines of a file of requirements and of those it names: where a Space is built, only one file is seen."""
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("-r "):
            yield from requirements(path.with_name(line.removeprefix("-r ").strip()))
        elif line.strip() and not line.startswith("#"):
            yield line


if __name__ == "__main__":
    run(main)
