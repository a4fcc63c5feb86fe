"""The view Clamp: it shows what `inspection.clamping` says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PIL import Image

from ddpm_core.inspection.autoencoder import difference_picture
from ddpm_core.inspection.clamping import RULES, ClampRequest, moment_at, moved_kept, put_back, runs
from ddpm_core.inspection.subject import subject_of_seed
from ddpm_core.pipeline import LatentDiffusion
from ui.tabs.inside.clamp import MEANT, VIEW
from ui.tabs.inside.draw import data_uri
from ui.tabs.inside.view import Drawing


def test_the_numbers_are_those_of_the_functions(
    draw: Callable[..., Drawing], model: LatentDiffusion, tmp_path: Path
) -> None:
    asked = {"steps": 4, "at": 60, "region": "mouth"}
    drawn, subject = draw(VIEW, **asked), subject_of_seed(model, 3)
    made = runs(model, subject, ClampRequest(seed=3, **asked))  # type: ignore[arg-type]
    assert data_uri(made.picture) in drawn.shown
    assert drawn.numbers["edge_of_the_picture"] == made.edge
    for name in RULES:
        run = made.by_rule[name]
        moment = moment_at(run, 60)
        moved = moved_kept(moment.answer, subject.latent, made.cells)
        expected = {
            "t": moment.t, "moved_kept": moved, "edge": run.edge, "calls": len(run.moments),
            "kept_pixels_changed_by_decoding": run.changed_by_decoding, "kept_pixels_changed": 0,
        }  # fmt: skip
        assert drawn.numbers[name] == expected
        for picture in (run.filled, *(model.pictures(latent)[0] for latent in (moment.shown, moment.answer))):
            assert data_uri(picture) in drawn.shown
        assert f"what it answers, {moved:.2f} deviations" in drawn.shown
        assert f"differ by {run.edge:.1f} of 255 (in the picture itself by {made.edge:.1f})" in drawn.shown
        assert MEANT[name] in drawn.shown  # a name that nobody has to know
    assert drawn.shown.index("To clamp is") < drawn.shown.index("RePaint")
    clean = made.by_rule["clean clamp"]
    answer = moment_at(clean, 60).answer
    held = put_back(answer, subject.latent, made.cells)
    begun, answered, put = (model.pictures(latent)[0] for latent in (subject.latent, answer, held))
    for before, after in (
        (begun, answered),
        (begun, put),
        *((subject.picture, end) for end in (clean.decoded, clean.filled)),
    ):
        assert data_uri(difference_picture(before, after)) in drawn.shown
    assert f"<strong>{clean.changed_by_decoding:,}</strong> of {made.kept:,} kept pixels" in drawn.shown
    assert f"<strong>0</strong> of {made.kept:,} kept pixels" in drawn.shown
    assert drawn.numbers["kept_pixels"] == made.kept
    with Image.open(drawn.save(tmp_path)) as film:
        assert film.format == "GIF"
