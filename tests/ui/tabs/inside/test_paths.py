"""The view Paths: it shows what `inspection.paths` says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PIL import Image

from ddpm_core.inspection.paths import LAYERS, PathsRequest, multiplications, path_cells, reach
from ddpm_core.inspection.subject import subject_of_seed
from ddpm_core.pipeline import LatentDiffusion
from ui.tabs.inside.paths import SAID, VIEW
from ui.tabs.inside.view import Drawing


def test_the_numbers_are_those_of_the_functions(
    draw: Callable[..., Drawing], model: LatentDiffusion, tmp_path: Path
) -> None:
    drawn = draw(VIEW, row=2, column=4)
    found = reach(model, subject_of_seed(model, 3), PathsRequest(seed=3, row=2, column=4))
    for layer in LAYERS:
        said = drawn.numbers[layer]
        assert said["strength"] == found.by_layer[layer].tolist()
        assert (said["cells"], said["beyond_4_cells"]) == (found.cells(layer), found.beyond(layer, 2, 4))
        words = f"{found.cells(layer)} of 63 cells reach it; {found.beyond(layer, 2, 4):.0%} of that"
        assert f"<strong>{SAID[layer]}:</strong> {words}" in drawn.shown
        expected = {str(n): count for n, count in multiplications(model.denoiser.channels[0])[layer]}
        assert said["multiplications"] == expected
    assert drawn.shown.index("A serpentine is") < drawn.shown.index("Serpentine mixer")  # said before it is named
    for path in path_cells(8, 8):
        assert " ".join(f"{cell % 8 + 0.5:g},{cell // 8 + 0.5:g}" for cell in path) in drawn.shown
    with Image.open(drawn.save(tmp_path)) as film:
        assert (film.format, film.n_frames > 8) == ("GIF", True)
