"""The benchmarks that train or inpaint with several models, run small."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from benchmarks import ablation, constraints
from benchmarks.matching import parameters
from ddpm_core.checkpoints import native as checkpoint
from ddpm_core.diffusion.diffuser import Diffuser
from ddpm_core.networks.unet import UNet
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import InpaintRequest
from tests.command_lines import assert_refused


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("mixers", "schedules"):
        small = ablation.CONTESTS[name]._replace(shape={"channels": (32, 64), "blocks": 1})
        monkeypatch.setitem(ablation.CONTESTS, name, small)
    contestants = {
        name: settings | ({"blocks": 1} if "blocks" in settings else {})
        for name, settings in ablation.CONTESTS["backbones"].contestants.items()
    }
    contestants["UNet, serpentine"] |= {"channels": (32, 64)}
    monkeypatch.setitem(
        ablation.CONTESTS, "backbones", ablation.CONTESTS["backbones"]._replace(contestants=contestants)
    )
    monkeypatch.setattr(ablation, "TURN", 0.05)


def test_all_contestants_are_trained_measured_and_written(
    call, small, own_checkpoint: Path, picture_folder: Path, tmp_path: Path
) -> None:
    source = checkpoint.read_config(own_checkpoint)
    of_its_denoiser = {"diffuser": Diffuser(schedule="cosine").config(), "classes": ["ant", "bee"]}
    checkpoint.write_config(own_checkpoint, source.model_copy(update=of_its_denoiser))
    file, out = tmp_path / "mixers.json", tmp_path / "out"
    arguments = ["--minutes", 0.005, "--samples", 2, "--out", out, "--json", file]
    assert call(ablation.main, "--checkpoint", own_checkpoint, "--data", picture_folder, *arguments).status == 0
    results = {result["name"]: result["value"] for result in json.loads(file.read_text())}
    for name in ablation.CONTESTS["mixers"].contestants:
        assert results[f"{name}: iterations"] >= 1
        assert results[f"{name}: held-out loss"] > 0
        assert results[f"{name}: training seconds"] < 5
    written = [checkpoint.read_config(folder).denoiser.get("mixer", "serpentine") for folder in out.iterdir()]
    assert sorted(written) == ["attention", "none", "serpentine", "serpentine"]
    for folder in out.iterdir():  # as they were trained, whatever the source's denoiser was
        model = LatentDiffusion.load(folder)
        assert (model.diffuser.schedule, model.classes) == ("linear", ())


@pytest.mark.parametrize("contest", ["schedules", "backbones"])
def test_contestants_are_written_as_what_they_are(
    call, small, contest: str, own_checkpoint: Path, picture_folder: Path, tmp_path: Path
) -> None:
    arguments = ["--contest", contest, "--minutes", 0.001, "--samples", 1, "--out", tmp_path / "out"]
    assert call(ablation.main, "--checkpoint", own_checkpoint, "--data", picture_folder, *arguments).status == 0
    folders = sorted((tmp_path / "out").iterdir())
    models = [LatentDiffusion.load(folder) for folder in folders]
    if contest == "schedules":
        found = {(model.diffuser.schedule, model.denoiser.prediction) for model in models}
        assert found == {
            (one, p) for one in ("linear", "cosine", "scaled-linear", "sigmoid", "flow") for p in ("eps", "v")
        }
    else:
        assert [type(model.denoiser).__name__ for model in models] == ["DiT", "DiT", "UNet"]
        counts = [parameters(checkpoint.load_denoiser(folder)) for folder in folders]
        assert max(counts) < 1.2 * min(counts)


def test_without_a_mixer_a_denoiser_is_widened_to_the_same_size() -> None:
    shape = ablation.CONTESTS["mixers"].shape | {"latent_channels": 4}
    goal = parameters(UNet(**shape))
    assert parameters(UNet(**shape | {"mixer": "attention"})) == goal
    widened = ablation.wide_enough(goal, shape | {"mixer": "none"})
    assert widened["channels"][-1] > shape["channels"][-1]
    assert parameters(UNet(**widened)) == pytest.approx(goal, rel=0.03)


def test_narrow_fine_levels_are_made_up_for_by_wide_coarse_ones() -> None:
    shape, _, contestants = ablation.CONTESTS["widths"]
    with torch.device("meta"):
        goal = parameters(UNet(**shape))
        for changes in contestants.values():
            widened = ablation.wide_enough(goal, shape | changes)
            assert widened["channels"][:-1] == tuple({**shape, **changes}["channels"][:-1])
            assert parameters(UNet(**widened)) == pytest.approx(goal, rel=0.03)


def test_an_unknown_contest_is_refused(call, own_checkpoint: Path, picture_folder: Path, tmp_path: Path) -> None:
    arguments = ["--data", picture_folder, "--out", tmp_path / "out", "--contest", "depths"]
    assert_refused(call(ablation.main, "--checkpoint", own_checkpoint, *arguments), "mixers, widths")


def test_inpainting_variants_are_compared_at_equal_calls(
    call, tiny_checkpoint: Path, picture_folder: Path, tmp_path: Path
) -> None:
    file = tmp_path / "constraints.json"
    arguments = ["--checkpoint", tiny_checkpoint, "--data", picture_folder, "--calls", 5, "--pictures", 1]
    assert_refused(call(constraints.main, *arguments, "--region", "nose"), "'nose'", "mouth")
    assert call(constraints.main, *arguments, "--part", "mouth").status == 0  # as it was called before
    assert call(constraints.main, *arguments, "--json", file).status == 0
    names = [result["name"] for result in json.loads(file.read_text())]
    measures = len(constraints.MEASURES)
    assert len(names) == measures * len(constraints.VARIANTS)
    for variant, choices in constraints.VARIANTS.items():
        assert sum(name.startswith(f"tiny, {variant}:") for name in names) == measures
        for calls in (12, 40):
            steps = constraints.steps_for(calls, choices)
            assert calls - 4 < InpaintRequest(steps=steps, **choices).calls <= calls


def test_resampling_and_noised_clamps_reach_the_sampler(tiny_model: LatentDiffusion) -> None:
    image, mask = torch.rand(1, 3, 32, 32) * 2 - 1, torch.zeros(1, 1, 32, 32, dtype=torch.bool)
    mask[..., 8:24, 8:24] = True
    ends = {}
    for variant, choices in constraints.VARIANTS.items():
        request = InpaintRequest(steps=4, seed=3, **choices)
        steps = list(tiny_model.inpaint(request, image, mask))
        assert len(steps) == request.calls
        ends[variant] = steps[-1].latent
    kept = torch.ones(8, 8, dtype=torch.bool)
    kept[2:6, 2:6] = False
    anchor = tiny_model.codec.encode(image)
    for end in ends.values():
        assert torch.equal(end[..., kept], anchor[..., kept])
    for variant in set(ends) - {"clean clamp"}:
        assert not torch.equal(ends[variant], ends["clean clamp"]), variant
