"""A picture that views look into, and what they draw of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ddpm_core.inspection.subject import subject_of_seed
from ddpm_core.pipeline import LatentDiffusion
from ui.models import Shelf
from ui.tabs.inside.view import Drawing, View


@pytest.fixture
def model(shelf: Shelf) -> LatentDiffusion:
    """The tiny model, as the page has it."""
    return shelf.load("tiny")


@pytest.fixture
def draw(model: LatentDiffusion) -> Callable[..., Drawing]:
    """What a view draws of the picture of seed 3, for these fields of its request."""

    def drawn(view: View, **fields: Any) -> Drawing:
        if not view.of_a_picture:
            return view.draw(model, None, view.request(**fields))  # type: ignore[arg-type]
        return view.draw(model, subject_of_seed(model, 3), view.request(seed=3, **fields))

    return drawn
