"""What a single request may ask of the machine."""

from __future__ import annotations

import warnings

from PIL import Image

from ddpm_core.requests import GenerateRequest

MOST_CALLS = 16_000  # of the model, a picture each: 8 pictures in all steps, by a sampler that calls twice in each
MOST_PIXELS = 50_000_000  # of an upload or a mask, about 150 MB when opened


def too_much(request: GenerateRequest, windows: int = 1) -> str | None:
    """What is wrong with a request that would take too long, as a sentence; None if nothing is.

    Args:
        windows: by which the model works on its picture, a call each.
    """
    calls = request.model_calls * windows
    if calls <= MOST_CALLS:
        return None
    return (
        f"This would take {calls:,} calls of the model, and {MOST_CALLS:,} are the most for one request; "
        f"take fewer steps or fewer pictures."
    )


def limit_pixels() -> None:
    """Have everything that opens pictures refuse those of more than `MOST_PIXELS`, unread."""
    Image.MAX_IMAGE_PIXELS = MOST_PIXELS // 2  # Pillow warns from here on, and refuses from twice as many
    warnings.simplefilter("ignore", Image.DecompressionBombWarning)
