"""The notebook of docs/ runs from its first cell to its last."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from ddpm_core.pipeline import LatentDiffusion

NOTEBOOK = Path(__file__).resolve().parents[2] / "docs" / "look_inside.ipynb"


def test_every_cell_runs_and_nothing_of_a_machine_is_in_it(
    tiny_model: LatentDiffusion, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(LatentDiffusion, "load", lambda folder: tiny_model)
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    codes = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    assert not any(cell["outputs"] for cell in cells if cell["cell_type"] == "code")
    names: dict[str, Any] = {}
    shown: list[Any] = []
    for number, text in enumerate(codes):
        tree, where = ast.parse(text), f"{NOTEBOOK.name}, cell {number}"
        *before, last = tree.body
        exec(compile(ast.Module(before, []), where, "exec"), names)
        assert isinstance(last, ast.Expr | ast.For)
        if isinstance(last, ast.Expr):
            shown.append(eval(compile(ast.Expression(last.value), where, "eval"), names))
        else:
            exec(compile(ast.Module([last], []), where, "exec"), names)
    shown = [one for one in shown if one is not None]
    assert len(shown) == 8
    assert all(isinstance(one, Image.Image) for one in shown)
    said = capsys.readouterr().out
    assert "serpentine" in said
    assert "'dpm-solver++': {1: " in said
