"""Page colours have one owner."""

from __future__ import annotations

import re

from ui.components.editor_canvas import PAINT
from ui.theme import ACCENT, SHADES, STATIC, colours, rgb


def test_the_style_sheet_names_no_colour() -> None:
    style = re.sub(r"/\*.*?\*/", "", (STATIC / "style.css").read_text(encoding="utf-8"), flags=re.DOTALL)
    assert re.findall(r"#[0-9a-fA-F]{3,8}\b(?=[^{}]*[;}])|rgba?\(|hsla?\(", style.replace("#inpaint", "")) == []


def test_every_shade_is_there_in_the_light_and_in_the_dark_and_is_used() -> None:
    style, said = (STATIC / "style.css").read_text(encoding="utf-8"), colours()
    for name in SHADES:
        assert said.count(f"--{name}: ") == 2
        assert f"var(--{name})" in style


def test_paint_and_logo_have_the_accent() -> None:
    assert PAINT[:3] == rgb(ACCENT.c600) == (15, 118, 110)
    assert ACCENT.c600 in (STATIC / "logo.svg").read_text(encoding="utf-8")
