"""What a Space is made of."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

from deploy.space.make import CODE, ROOT, main
from tests.command_lines import Outcome, assert_refused


@pytest.fixture
def made(tmp_path: Path, tiny_checkpoint: Path, call: Callable[..., Outcome]) -> Path:
    """A Space with the tiny checkpoint."""
    done = call(main, "--out", tmp_path / "space", "--checkpoint", tiny_checkpoint)
    assert done.status == 0, done.err
    assert "hf upload" in done.out
    return tmp_path / "space"


def test_its_header_names_an_app_that_is_there_and_a_gradio_that_the_app_takes(made: Path) -> None:
    _, header, text = (made / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    said = yaml.safe_load(header)
    assert said["sdk"] == "gradio"
    assert text.strip() == (ROOT / "README.md").read_text(encoding="utf-8").strip()
    needed = [Requirement(line.partition("#")[0]) for line in (made / "requirements.txt").read_text().splitlines()]
    assert all(one.specifier.contains(said["sdk_version"]) for one in needed if one.name == "gradio")
    assert {"torch", "gradio", "huggingface_hub", "prometheus_client"} <= {one.name for one in needed}
    app = (made / said["app_file"]).read_text(encoding="utf-8")
    compile(app, "app.py", "exec")
    assert '"checkpoints/tiny"' in app
    assert "--no-allow-training" in app


def test_it_holds_the_code_and_the_checkpoint_and_nothing_else(made: Path, tiny_checkpoint: Path) -> None:
    held = {path.relative_to(made).as_posix() for path in made.rglob("*") if path.is_file()}
    code = {
        path.relative_to(ROOT).as_posix()
        for name in CODE
        for path in (ROOT / name).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    weights = {f"checkpoints/tiny/{path.name}" for path in tiny_checkpoint.iterdir()}
    assert held == code | weights | {"README.md", "app.py", "requirements.txt"}


def test_what_is_there_is_not_written_over(
    made: Path, tiny_checkpoint: Path, tmp_path: Path, call: Callable[..., Outcome]
) -> None:
    assert_refused(call(main, "--out", made, "--checkpoint", tiny_checkpoint), "is not empty")
    assert_refused(call(main, "--out", tmp_path / "other", "--checkpoint", tmp_path), "config.json is missing")
    assert not (tmp_path / "other").exists()


def test_its_app_is_told_the_flags_that_the_command_knows() -> None:
    flags = set(re.findall(r'"(--[a-z-]+)"', (ROOT / "deploy" / "space" / "app.py").read_text(encoding="utf-8")))
    assert flags == {"--host", "--no-allow-training", "--trust-proxy", "--mcp", "--checkpoint"}
