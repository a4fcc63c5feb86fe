"""An inpainting step by step is the inpainting itself, and what is said of it is true."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from ddpm_core.diffusion.samplers import last
from ddpm_core.inspection.clamping import (
    RULES,
    ClampRequest,
    changed_pixels,
    edge,
    moment_at,
    moved_kept,
    put_back,
    requests_of,
    runs,
    tinted,
)
from ddpm_core.inspection.subject import subject_of_seed
from ddpm_core.pipeline import LatentDiffusion

REQUEST = ClampRequest(seed=2, region="eyes", steps=4, at=100)


def test_each_run_is_the_inpainting_that_its_rule_makes(tiny_model: LatentDiffusion) -> None:
    subject = subject_of_seed(tiny_model, 2)
    made = runs(tiny_model, subject, REQUEST)
    assert list(made.by_rule) == list(RULES)
    anchor = subject.latent
    for name, inpainting in requests_of(REQUEST).items():
        mask = torch.zeros(1, 1, 32, 32, dtype=torch.bool)
        mask[0, 0] = torch.from_numpy(np.asarray(made.picture) != np.asarray(subject.picture)).any(-1)
        run = made.by_rule[name]
        assert len(run.moments) == inpainting.calls
        assert run.moments[0].t == tiny_model.diffuser.num_timesteps - 1
        # the end is what the pipeline makes by itself; its cells are those of the tinted picture, whose mask is larger
        alone = last(tiny_model.inpaint(inpainting.model_copy(update={"mask_rule": "nearest"}), subject.image, mask))
        torch.testing.assert_close(run.latent, alone.latent)
        torch.testing.assert_close(torch.where(made.cells, anchor, run.latent), anchor)
        assert moment_at(run, 100) is run.moments[-1]
        assert moment_at(run, 0) is run.moments[0]


def test_a_clean_clamp_shows_kept_cells_clean_and_a_noised_one_with_the_states_noise(tiny_model) -> None:
    subject = subject_of_seed(tiny_model, 2)
    made = runs(tiny_model, subject, REQUEST)
    kept = ~made.cells
    clean, noised = (made.by_rule[name].moments[0].shown for name in ("clean clamp", "noised clamp"))
    torch.testing.assert_close(torch.where(kept, clean, subject.latent), subject.latent)
    assert (noised - subject.latent)[kept.expand_as(noised)].std() > 0.5
    answer = made.by_rule["RePaint"].moments[-1].answer
    apart = (answer - subject.latent)[kept.expand_as(answer)]
    assert moved_kept(answer, subject.latent, made.cells) == pytest.approx(apart.square().mean().sqrt().item())
    assert moved_kept(subject.latent, subject.latent, made.cells) == 0


def test_kept_pixels_are_pasted_back_and_the_edge_is_measured_on_the_result(tiny_model: LatentDiffusion) -> None:
    subject = subject_of_seed(tiny_model, 2)
    made = runs(tiny_model, subject, REQUEST)
    painted = np.zeros((4, 4), bool)
    painted[:, 2:] = True
    steps = Image.fromarray(np.repeat(np.array([[0, 0, 30, 30]], np.uint8), 4, 0)).convert("RGB")
    assert edge(steps, painted) == 30
    untouched = (np.asarray(made.picture) == np.asarray(subject.picture)).all(-1)
    for run in made.by_rule.values():
        assert np.array_equal(np.asarray(run.filled)[untouched], np.asarray(subject.picture)[untouched])
        assert run.edge != made.edge
        assert run.changed == 0
        assert 0 < run.changed_by_decoding <= made.kept < untouched.size
    first, second = Image.new("RGB", (2, 1)), Image.new("RGB", (2, 1), (0, 0, 1))
    assert changed_pixels(first, second, np.array([[True, False]])) == 1


def test_what_is_put_back_is_the_answer_where_cells_are_made_anew_and_the_picture_elsewhere() -> None:
    cells = torch.tensor([[[[True, False]]]])
    held = put_back(torch.ones(1, 3, 1, 2), torch.zeros(1, 3, 1, 2), cells)
    assert held[0, :, 0].tolist() == [[1, 0]] * 3
    assert moved_kept(held, torch.zeros(1, 3, 1, 2), cells) == 0


def test_repaint_takes_about_as_many_calls_as_the_others() -> None:
    calls = [one.calls for one in requests_of(ClampRequest()).values()]
    assert max(calls) - min(calls) <= 2


def test_a_tint_lies_on_whole_cells() -> None:
    cells = torch.zeros(1, 1, 2, 2, dtype=torch.bool)
    cells[0, 0, 1, 0] = True
    drawn = np.asarray(tinted(Image.new("RGB", (8, 8)), cells, 4)).any(2)
    assert drawn[4:, :4].all()
    assert drawn.sum() == 16
