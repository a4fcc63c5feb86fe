"""Training of a denoiser that enlarges: what it is shown, that it goes by it, and what it takes over and leaves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from pydantic import ValidationError

from ddpm_core.checkpoints import native as checkpoint
from ddpm_core.diffusion.diffuser import Diffuser
from ddpm_core.networks.unet import Denoiser
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.training.losses import denoiser_loss
from ddpm_core.training.pictures import Pictures
from ddpm_core.training.settings import DenoiserSettings, TrainRequest
from ddpm_core.training.shards import MicroBatch, Shard
from ddpm_core.training.stages.denoiser import DenoiserStage
from ddpm_core.training.stages.latents import LOW_RESOLUTION
from ddpm_core.training.stages.run import state_file
from tests.distributed_run import some_pictures
from tests.training.small_runs import copy_vae, request_for, run_all, settings_with


def enlarging(out: Path, vae: Path | None = None, **changes: Any) -> TrainRequest:
    if vae and not out.exists():
        copy_vae(vae, out)
    return settings_with(request_for(out, **changes), enlarges=2, conditioning_noise=0.5)


def pixels(out: Path, enlarges: int, **changes: Any) -> TrainRequest:
    """A run on pixels for latents, long enough to learn something."""
    request = request_for(out, codec="pixel", **changes)
    how = {"iterations": 40, "batch_size": 8, "learning_rate": 3e-3, "clamp_share": 0.0, "mixer": "none"}
    return settings_with(request, enlarges=enlarges, **how)


def test_a_run_broken_off_goes_on_bit_for_bit_and_leaves_a_checkpoint_that_enlarges(
    tmp_path: Path, pictures: Pictures, trained: Path
) -> None:
    run_all("denoiser", enlarging(tmp_path / "whole", trained), pictures)
    run_all("denoiser", enlarging(tmp_path / "broken", trained), pictures, until=3)
    run_all("denoiser", enlarging(tmp_path / "broken", trained, resume=True), pictures)
    one, other = (checkpoint.read_tensors(state_file(tmp_path / name, "denoiser"))[0] for name in ("whole", "broken"))
    assert all(torch.equal(one[name], other[name]) for name in one)
    model = LatentDiffusion.load(tmp_path / "whole", "cpu")
    assert model.conditioning == checkpoint.ImageConditioning(factor=2, noise=0.5)
    assert model.denoiser.conditioning_channels == model.codec.latent_channels + 1
    kept = checkpoint.read_tensors(tmp_path / "whole" / "training" / LOW_RESOLUTION)[0]
    assert len(kept["train"]) == 2 * len(pictures.train)  # their mirror images, too
    with pytest.raises(checkpoint.CheckpointError, match="--denoiser-enlarges was 2 and cannot become 1"):
        run_all("denoiser", settings_with(enlarging(tmp_path / "whole", resume=True), enlarges=1), pictures)


def test_the_sample_grid_shows_what_it_is_given_its_result_and_the_original(tmp_path: Path) -> None:
    stage = DenoiserStage.prepare(pixels(tmp_path / "run", enlarges=2), some_pictures())
    stage.evaluate(stage.model.eval(), tmp_path / "grid.png")
    assert stage.held_out is not None
    assert stage.held_out.condition is not None
    with Image.open(tmp_path / "grid.png") as grid:
        assert grid.width > grid.height  # three columns, and a row for each of two held-out pictures
    condition = stage.codec.decode(stage.held_out.condition)
    coarse = torch.nn.functional.avg_pool2d(condition - stage.codec.decode(stage.held_out.clean), 4)
    assert coarse.abs().max() < 0.1  # the same pictures


def test_it_learns_more_with_what_it_is_shown_than_without_and_with_another_picture_than_its_own(
    tmp_path: Path,
) -> None:
    torch.manual_seed(0)
    losses = {}
    for name, enlarges in (("alone", 1), ("shown", 2)):
        request = pixels(tmp_path / name, enlarges)
        run_all("denoiser", request, some_pictures())
        stage = DenoiserStage.prepare(request, some_pictures())
        network = checkpoint.load_denoiser(tmp_path / name)
        assert stage.held_out is not None
        losses[name] = stage.by_decile(network, "held_out", stage.held_out)["held_out_decile_8"]
    assert stage.held_out.condition is not None
    stage.held_out.condition = stage.held_out.condition.flip(0)
    losses["misled"] = stage.by_decile(network, "held_out", stage.held_out)["held_out_decile_8"]
    assert losses["shown"] < 0.5 * losses["alone"]
    assert losses["shown"] < 0.5 * losses["misled"]


def test_shards_see_the_rows_of_the_condition_and_of_its_noise_that_the_batch_has(tmp_path: Path) -> None:
    stage = DenoiserStage.prepare(pixels(tmp_path / "run", enlarges=2), some_pictures())
    losses = []
    for shards in ([Shard()], [Shard(0, 2), Shard(1, 2)]):
        each = []
        for shard in shards:
            torch.manual_seed(0)
            micro_batch = MicroBatch(shard.rank, shard.size, number=0, batch_size=8)
            each.append(stage.loss(stage.model.eval(), micro_batch)["loss"].item())
        losses.append(sum(each) / len(each))
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_weights_that_know_no_condition_begin_with_none_of_it_and_can_do_without_again(
    tmp_path: Path, pictures: Pictures, trained: Path
) -> None:
    copy_vae(trained, tmp_path / "plain")
    run_all("denoiser", request_for(tmp_path / "plain"), pictures)
    stage = DenoiserStage.prepare(enlarging(tmp_path / "larger", init=tmp_path / "plain"), pictures)
    assert any("new to it" in note for note in stage.notes)
    plain, larger = checkpoint.load_denoiser(tmp_path / "plain"), stage.model.eval()
    z, t = torch.randn(2, plain.latent_channels, 4, 4), torch.tensor([3, 700])
    with torch.no_grad():
        torch.testing.assert_close(larger(torch.cat([z, torch.randn(2, 5, 4, 4)], 1), t), plain(z, t))
    stage.export(shaken_condition(larger), finished=1)
    back = DenoiserStage.prepare(request_for(tmp_path / "back", init=tmp_path / "larger"), pictures)
    assert any("enlarges no more" in note for note in back.notes)
    with torch.no_grad():
        torch.testing.assert_close(back.model.eval()(z, t), plain(z, t), rtol=1e-2, atol=1e-3)  # in half precision


def shaken_condition(network: Denoiser) -> Denoiser:
    with torch.no_grad():
        network.input.weight[:, network.latent_channels :] += 1  # type: ignore[union-attr, index, operator]
    return network


def test_a_guide_of_one_that_enlarges_is_shown_the_same(tmp_path: Path) -> None:
    request = settings_with(pixels(tmp_path / "run", enlarges=2), iterations=1)
    run_all("denoiser", request, some_pictures())
    guide = request.guide.model_copy(update={"iterations": 1, "channels": (32,), "blocks": 1, "batch_size": 2})
    run_all("guide", request.model_copy(update={"guide": guide, "stage": "guide"}), some_pictures())
    model = LatentDiffusion.load(tmp_path / "run", "cpu")
    assert model.guide is not None
    assert model.guide.conditioning_channels == model.denoiser.conditioning_channels == 13
    z, t = torch.randn(1, 12, 8, 8), torch.tensor([900])
    assert model.with_condition(torch.randn(1, 12, 8, 8)).predict(z, t).eps.shape == z.shape


def test_noise_on_what_is_shown_is_drawn_up_to_the_level_and_told() -> None:
    shown = []

    class Watching:
        prediction = "v"

        def __call__(self, noisy: torch.Tensor, t: torch.Tensor, *asked: object) -> torch.Tensor:
            shown.append(noisy)
            return noisy[:, :4]

    clean, condition = torch.randn(2, 256, 4, 4, 4).unbind()
    denoiser_loss(
        Watching(), clean, Diffuser(), "uniform", 0.3, condition=condition, conditioning_noise=0.4  # type: ignore[arg-type]
    )  # fmt: skip
    level = shown[0][:, 8]
    assert level.flatten(1).std(1).max() == 0
    assert 0.3 < level.max() <= 0.4
    off = (shown[0][:, 4:8] - condition * (1 - level[:, None] ** 2).sqrt()).std((1, 2, 3))
    torch.testing.assert_close(off, level[:, 0, 0], rtol=0.5, atol=1e-6)


@pytest.mark.parametrize("other", [{"clamp_recolour": 0.5}, {"learns": "guided"}])
def test_what_enlarging_excludes_is_refused(other: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="enlarges"):
        DenoiserSettings.model_validate({"enlarges": 2, **other})
