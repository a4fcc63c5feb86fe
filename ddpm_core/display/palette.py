"""Colours of plots and of the page that shows them."""

ACCENT, PALE, DARK = "#0f766e", "#aee4dc", "#134b48"
SECOND = "#b45309"  # for what was held out, beside the accent
PAPER, LINE, INK, QUIET = "#fbfaf8", "#e7e4de", "#262421", "#736e66"
