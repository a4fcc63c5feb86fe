"""The view Cell: it shows what `inspection.cell` says."""

from __future__ import annotations

from collections.abc import Callable

from ddpm_core.inspection.cell import CellRequest, painted_by_cell
from ddpm_core.inspection.subject import channels, subject_of_seed
from ddpm_core.pipeline import LatentDiffusion
from ui.tabs.inside.cell import VIEW
from ui.tabs.inside.draw import data_uri
from ui.tabs.inside.view import Drawing


def test_the_numbers_are_those_of_the_functions(draw: Callable[..., Drawing], model: LatentDiffusion) -> None:
    drawn, subject = draw(VIEW, row=2, column=4, move=2), subject_of_seed(model, 3)
    painted = painted_by_cell(model, subject, CellRequest(seed=3, row=2, column=4, move=2))
    assert (drawn.numbers["radius"], drawn.numbers["promised"]) == (painted.radius, painted.promised)
    assert drawn.numbers["within_3x3"] == painted.within_3x3
    assert f"<strong>{painted.radius} px</strong>" in drawn.shown
    assert f"promised: {painted.promised} px at most" in drawn.shown
    for picture in (painted.before, painted.after, painted.change, *channels(subject.latent)):
        assert data_uri(picture) in drawn.shown
