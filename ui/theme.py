"""Colours, type and spacing. One accent, light and dark; static/style.css arranges, and names no colour itself."""

from __future__ import annotations

from pathlib import Path

import gradio as gr
from gradio.themes.utils.colors import Color

from ddpm_core.display import palette

BESIDE = Path(__file__).resolve().parent.parent / "static"  # in the repository
STATIC = BESIDE if BESIDE.is_dir() else Path(__file__).resolve().parent / "static"  # else as `pip install` lays it

# System fonts only: the page must not ask anyone else for anything.
SANS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "Helvetica Neue", "Noto Sans", "Arial", "sans-serif")
MONO = ("ui-monospace", "SF Mono", "Menlo", "Consolas", "DejaVu Sans Mono", "monospace")

ACCENT = Color(
    c50="#effaf8", c100="#d5f2ed", c200=palette.PALE, c300="#78cfc4", c400="#3fb3a7", c500="#1f978c",
    c600=palette.ACCENT, c700="#115e59", c800=palette.DARK, c900="#143e3c", c950="#052726", name="accent",
)  # fmt: skip
PAPER = Color(
    c50=palette.PAPER, c100="#f4f2ee", c200=palette.LINE, c300="#d3cfc7", c400="#a19c93", c500=palette.QUIET,
    c600="#57534c", c700="#3d3a35", c800=palette.INK, c900="#1a1917", c950="#121110", name="paper",
)  # fmt: skip

# What Gradio's theme has no word for: (light, dark) by the name static/style.css knows it by.
SHADES = {
    "well": ("#fff", "#27272a"),  # under pictures; in the dark what Gradio's editor paints its canvas with
    "line": ("var(--neutral-200)", "var(--neutral-700)"),
    "on-picture": ("rgb(0 0 0 / 55%)",) * 2,  # behind words on a picture
    "words-on-picture": ("#fff",) * 2,
}
# Lines of charts, told apart by those who see fewer colours, too; after Okabe and Ito.
SERIES = {
    f"series-{i}": shades
    for i, shades in enumerate(
        [
            (palette.ACCENT, "#3fb3a7"), (palette.SECOND, "#e69f00"), ("#1d5fa8", "#56b4e9"),
            ("#a33b7a", "#e08bbd"), ("#57534c", "#a19c93"), ("#7a6a00", "#f0e442"),
        ]
    )
}  # fmt: skip
HELD_OUT = "#d97706"  # the second line of a plot, beside one in the accent colour


def colours() -> str:
    """`SHADES` and `SERIES` as style sheet, for `launch`."""
    light, dark = ("".join(f"--{name}: {shade[at]}; " for name, shade in {**SHADES, **SERIES}.items()) for at in (0, 1))
    return f".gradio-container {{ {light}}} .dark .gradio-container, .dark.gradio-container {{ {dark}}}"


def rgb(colour: str) -> tuple[int, int, int]:
    """Red, green and blue, 0 to 255, of "#rrggbb"."""
    red, green, blue = bytes.fromhex(colour.removeprefix("#"))
    return red, green, blue


def icon(name: str) -> str:
    return str(STATIC / "icons" / f"{name}.svg")


def theme() -> gr.themes.Base:
    """The theme, for `launch`."""
    return gr.themes.Base(
        primary_hue=ACCENT,
        secondary_hue=ACCENT,
        neutral_hue=PAPER,
        font=SANS,
        font_mono=MONO,
        radius_size=gr.themes.sizes.radius_md,
        spacing_size=gr.themes.sizes.spacing_md,
    ).set(
        body_background_fill="*neutral_50",
        body_background_fill_dark="*neutral_950",
        body_text_color="*neutral_900",
        body_text_color_dark="*neutral_100",
        body_text_color_subdued="*neutral_500",
        body_text_color_subdued_dark="*neutral_400",
        block_background_fill="transparent",
        block_background_fill_dark="transparent",
        block_border_width="0px",
        block_border_width_dark="0px",
        block_shadow="none",
        block_shadow_dark="none",
        block_padding="0px",
        block_label_background_fill="transparent",
        block_label_background_fill_dark="transparent",
        block_title_text_color="*neutral_600",
        block_title_text_color_dark="*neutral_300",
        block_title_text_size="*text_sm",
        block_title_text_weight="600",
        block_info_text_color="*neutral_500",
        block_info_text_color_dark="*neutral_400",
        border_color_primary="*neutral_200",
        border_color_primary_dark="*neutral_800",
        input_background_fill="white",
        input_background_fill_dark="*neutral_900",
        input_border_color="*neutral_300",
        input_border_color_dark="*neutral_700",
        input_border_color_focus="*primary_600",
        input_border_color_focus_dark="*primary_400",
        input_border_width="1px",
        button_primary_background_fill="*primary_600",
        button_primary_background_fill_hover="*primary_700",
        button_primary_background_fill_dark="*primary_600",
        button_primary_background_fill_hover_dark="*primary_500",
        button_primary_text_color="white",
        button_primary_text_color_dark="white",
        button_secondary_background_fill="white",
        button_secondary_background_fill_hover="*neutral_100",
        button_secondary_background_fill_dark="*neutral_900",
        button_secondary_background_fill_hover_dark="*neutral_800",
        button_secondary_border_color="*neutral_300",
        button_secondary_border_color_dark="*neutral_700",
        button_cancel_background_fill="*neutral_800",
        button_cancel_background_fill_hover="*neutral_700",
        button_cancel_background_fill_dark="*neutral_200",
        button_cancel_background_fill_hover_dark="*neutral_100",
        button_cancel_text_color="white",
        button_cancel_text_color_dark="*neutral_900",
        slider_color="*primary_600",
        slider_color_dark="*primary_400",
        checkbox_label_background_fill="transparent",
        checkbox_label_background_fill_dark="transparent",
        checkbox_label_background_fill_selected="*primary_50",
        checkbox_label_background_fill_selected_dark="*primary_950",
        checkbox_label_border_color="*neutral_300",
        checkbox_label_border_color_dark="*neutral_700",
    )
