"""What a view is made of: controls, code, and what is taken away."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import gradio as gr
import pytest
from PIL import Image

from ddpm_core.diffusion.diffuser import Diffuser
from ddpm_core.inspection.subject import subject_of_seed
from ddpm_core.pipeline import LatentDiffusion
from ui import site
from ui.tabs.inside.view import ROOT, choice, code_links, code_of, html_stage, png, slider, subject


def test_the_code_that_is_shown_is_that_of_the_functions_and_says_where_it_stands() -> None:
    text = code_of((Diffuser.add_noise, subject_of_seed))
    assert "`ddpm_core/diffusion/diffuser.py`, lines " in text
    assert "signal, noise = self.signal_and_noise(t, clean)" in text
    assert "`ddpm_core/inspection/subject.py`, lines " in text
    assert "def subject_of_seed" in text  # not what keeps its answers
    assert "wrapper" not in text


def test_links_to_the_code_say_its_lines_and_count_what_the_fold_shows_of_it() -> None:
    functions = Diffuser.add_noise, subject_of_seed
    links = re.findall(r'<a href="#fold" data-code="(\d)" title="(\S+), lines (\d+) to (\d+)">(\S+)</a>',
                       code_links("fold", functions))  # fmt: skip
    shown = re.findall(r"```python\n(.*?)\n```", code_of(functions), re.DOTALL)
    assert len(links) == len(shown) == 2
    for (number, place, first, last, name), block in zip(links, shown, strict=True):
        lines = (ROOT / place).read_text(encoding="utf-8").splitlines()[int(first) - 1 : int(last)]
        assert textwrap.dedent("\n".join(lines)).rstrip() == block == shown[int(number)]
        assert f"def {name.split('.')[-1]}(" in block


def test_where_the_documentation_is_shown_the_code_has_a_link_into_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(site, "SITE", tmp_path)
    page = tmp_path / "reference" / "ddpm_core" / "diffusion" / "diffuser.html"
    page.parent.mkdir(parents=True)
    page.touch()
    link = f"{page.relative_to(tmp_path).as_posix()}#ddpm_core.diffusion.diffuser.Diffuser.add_noise"
    assert f"[`ddpm_core/diffusion/diffuser.py`](documentation/{link}), lines " in code_of((Diffuser.add_noise,))


def test_controls_start_with_what_a_request_has_by_default() -> None:
    with gr.Blocks():
        number, one = slider("State", 0, 9)("a", 5), choice("Kind", [("A", "a"), ("B", "b")])("b", "b")
        assert (number.value, number.elem_id, one.value, one.elem_id) == (5, "a", "b", "b")
        assert "data-set" in html_stage("c").js_on_load  # type: ignore[operator]


def test_a_picture_is_made_when_it_is_saved(tmp_path: Path) -> None:
    made: list[int] = []
    save = png(lambda: made.append(1) or Image.new("RGB", (3, 2)), "name")  # type: ignore[func-returns-value,arg-type,return-value]
    assert not made
    assert Image.open(save(tmp_path)).size == (3, 2)


def test_what_is_looked_into_is_a_file_or_else_a_seed(model: LatentDiffusion, tmp_path: Path) -> None:
    assert subject(model, None, 3) is subject_of_seed(model, 3)
    Image.new("RGB", (40, 40), "teal").save(tmp_path / "a.png")
    assert subject(model, str(tmp_path / "a.png"), 3).picture.getpixel((5, 5)) == (0, 128, 128)
