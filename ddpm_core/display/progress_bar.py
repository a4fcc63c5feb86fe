"""The layout of every bar of progress: a terminal's own width, or 80 columns of a file twice a minute."""

from __future__ import annotations

import sys
from typing import Any

LAYOUT = "{desc} {n_fmt}/{total_fmt} {bar} {rate_fmt}, {remaining} left{postfix}"
ON_SCREEN, IN_A_FILE = 0.2, 30.0  # seconds between two states of the bar
COLUMNS = 80  # width of the line in a file


def bar_layout() -> dict[str, Any]:
    """Arguments of `tqdm` for a bar on standard error."""
    watched = sys.stderr.isatty()
    pause = ON_SCREEN if watched else IN_A_FILE
    return {
        "bar_format": LAYOUT,
        "dynamic_ncols": watched,
        "ncols": None if watched else COLUMNS,
        "mininterval": pause,
        "maxinterval": max(10.0, pause),
        "miniters": 1,
    }
