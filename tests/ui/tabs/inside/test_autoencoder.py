"""The view Your photo: it shows what `inspection.autoencoder` says."""

from __future__ import annotations

from collections.abc import Callable

from ddpm_core.inspection.autoencoder import round_trip
from ddpm_core.inspection.subject import subject_of_seed
from ddpm_core.pipeline import LatentDiffusion
from ui.tabs.inside.autoencoder import VIEW
from ui.tabs.inside.draw import data_uri
from ui.tabs.inside.view import Drawing


def test_the_numbers_are_those_of_the_functions(draw: Callable[..., Drawing], model: LatentDiffusion) -> None:
    drawn, made = draw(VIEW), round_trip(model, subject_of_seed(model, 3))
    assert drawn.numbers == {"psnr": made.psnr, "values": made.values, "pixels": made.pixels}
    assert f"<strong>{made.psnr:.1f} dB</strong>" in drawn.shown
    assert data_uri(made.reconstruction) in drawn.shown
    assert data_uri(made.difference) in drawn.shown
    assert f"{made.pixels:,} numbers become {made.values:,}" in drawn.shown
