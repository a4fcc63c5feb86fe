"""A critic beside the decoder: what each side learns, and whole runs with it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError

from ddpm_core.checkpoints import native as checkpoint
from ddpm_core.checkpoints.atomic import CheckpointError
from ddpm_core.training.pictures import Pictures
from ddpm_core.training.record.journal import rows_of
from ddpm_core.training.settings import VaeSettings
from ddpm_core.training.stages.critic import Critic, contest, sampled_latents
from tests.training.small_runs import request_for, run_all

JUDGED = {"learns": "decoder", "adversarial_weight": 0.1, "sampled": 5}


def test_a_score_depends_on_a_patch_and_not_on_the_picture() -> None:
    critic, image = Critic(4).eval(), torch.rand(1, 3, 64, 64)
    other = image.clone()
    other[..., 40:] = 0
    scores, changed = critic(image), critic(other)
    assert scores.shape == (1, 1, 16, 16)
    assert torch.equal(scores[..., :7], changed[..., :7])
    assert not torch.equal(scores[..., 10:], changed[..., 10:])


def test_each_side_is_moved_by_its_own_term_alone() -> None:
    critic, real = Critic(4), torch.rand(2, 3, 16, 16)
    made = torch.rand(3, 3, 16, 16, requires_grad=True)
    contest(critic, real, made)["judging"].backward()
    assert made.grad is None
    assert all(parameter.grad is not None for parameter in critic.parameters())
    critic.zero_grad()
    contest(critic, real, made)["passing"].backward()
    assert made.grad is not None
    assert made.grad.abs().max() > 0
    assert all(parameter.grad is None for parameter in critic.parameters())


def test_a_critic_learns_to_tell_noise_from_flat_pictures() -> None:
    torch.manual_seed(0)
    critic = Critic(8)
    optimizer = torch.optim.Adam(critic.parameters(), 1e-2)
    for _ in range(100):
        flat, noise = (2 * torch.rand(4, 3, side, side).expand(4, 3, 16, 16) - 1 for side in (1, 16))
        optimizer.zero_grad()
        contest(critic, flat, noise)["judging"].backward()
        optimizer.step()
    assert critic(flat).mean() > critic(noise).mean() + 1


def test_grain_of_a_few_levels_counts_for_more_than_as_much_of_a_tint() -> None:
    torch.manual_seed(0)
    critic, size = Critic(16), (16, 3, 32, 32)
    plain = (2 * torch.rand(16, 3, 1, 1) - 1).expand(size)
    grain = 3 / 127.5 * torch.randn(size)  # 3 levels of 255
    tint = 3 / 127.5 * torch.randn(16, 3, 1, 1)
    with torch.no_grad():
        by_grain, by_tint = (critic(plain + change) - critic(plain) for change in (grain, tint))
    assert by_grain.square().mean() > 3**2 * by_tint.square().mean()


def test_a_judged_decoder_resumes_as_if_it_had_not_stopped_and_leaves_no_critic_behind(
    tmp_path: Path, pictures: Pictures, trained: Path
) -> None:
    vae = request_for(tmp_path).vae.model_copy(update=JUDGED)
    whole, broken, plain = (request_for(tmp_path / name, init=trained, vae=vae) for name in ("whole", "broken", "no"))
    run_all("vae", whole, pictures)
    run_all("vae", broken, pictures, until=3)
    run_all("vae", broken.model_copy(update={"resume": True}), pictures)
    run_all("vae", plain.model_copy(update={"vae": vae.model_copy(update={"adversarial_weight": 0.0})}), pictures)
    tensors = [checkpoint.read_tensors(request.out / checkpoint.CODEC_WEIGHTS)[0] for request in (whole, broken, plain)]
    assert tensors[0].keys() == checkpoint.load_vae(trained).state_dict().keys()
    assert all(torch.equal(tensors[0][name], tensors[1][name]) for name in tensors[0])
    assert any(not torch.equal(tensors[0][name], tensors[2][name]) for name in tensors[0])
    rows = rows_of(whole.out / "training" / "vae.jsonl")
    assert all({"judging", "passing"} <= row.keys() for row in rows)


def test_an_autoencoder_may_be_judged_by_what_it_restores_alone(tmp_path: Path, pictures: Pictures) -> None:
    vae = request_for(tmp_path).vae.model_copy(update={"adversarial_weight": 0.1})
    run_all("vae", request_for(tmp_path / "out", vae=vae), pictures)
    assert checkpoint.load_vae(tmp_path / "out").latent_channels == vae.latent_channels


def test_what_is_sampled_for_the_critic_is_the_same_every_time(trained: Path, tmp_path: Path) -> None:
    config = checkpoint.read_config(trained)
    own_way = config.model_copy(update={"defaults": {"generate": {"steps": 3}}})
    folder = Path(shutil.copytree(trained, tmp_path / "own way"))
    checkpoint.write_config(folder, own_way)
    latents = sampled_latents(trained, 9, "cpu")
    assert not torch.equal(latents, sampled_latents(folder, 9, "cpu"))  # made as the checkpoint makes them by default
    assert len(latents) == 9
    assert torch.equal(latents, sampled_latents(trained, 9, "cpu"))
    (tmp_path / "half").mkdir()
    for name in (checkpoint.CONFIG, checkpoint.CODEC_WEIGHTS):
        (tmp_path / "half" / name).write_bytes((trained / name).read_bytes())
    with pytest.raises(CheckpointError, match=checkpoint.DENOISER_WEIGHTS):
        sampled_latents(tmp_path / "half", 1, "cpu")


@pytest.mark.parametrize(
    ("settings", "word"),
    [({"sampled": 5, "learns": "decoder"}, "adversarial"), ({"sampled": 5, "adversarial_weight": 0.1}, "decoder")],
)
def test_samples_that_nobody_would_judge_are_refused(settings: dict, word: str) -> None:
    with pytest.raises(ValidationError, match=word):
        VaeSettings(**settings)
