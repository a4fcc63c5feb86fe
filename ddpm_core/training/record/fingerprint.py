"""How the trainer knows the cards that it wrote from those that a person has changed: by their last line."""

from __future__ import annotations

import hashlib
import re

OWN = re.compile(r"\n<!-- Written by the trainer, which leaves it alone once it is edited: ([0-9a-f]{64}) -->\n\Z")


def sealed(text: str) -> str:
    """A card with the fingerprint that shows whether somebody changed it."""
    return f"{text}\n<!-- Written by the trainer, which leaves it alone once it is edited: {_print_of(text)} -->\n"


def is_own(text: str) -> bool:
    """Whether a card is as the trainer wrote it."""
    end = OWN.search(text)
    return end is not None and end[1] == _print_of(text[: end.start()])


def _print_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
