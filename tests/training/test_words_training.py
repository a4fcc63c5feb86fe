"""Training with captions: what is learned, what is written, how a run goes on and what another can start from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from ddpm_core.checkpoints import native as checkpoint
from ddpm_core.checkpoints.atomic import CheckpointError
from ddpm_core.cli import merge
from ddpm_core.commands import sample, train
from ddpm_core.data.find import find
from ddpm_core.evaluation.denoising import measure_denoising
from ddpm_core.images.files import open_picture
from ddpm_core.networks.text import TextEncoder
from ddpm_core.networks.unet import UNet
from ddpm_core.networks.vae import VAE
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.training.pictures import read_pictures
from ddpm_core.training.presets import PRESETS
from ddpm_core.training.settings import TrainRequest
from ddpm_core.training.shards import MicroBatch
from ddpm_core.training.stages.denoiser import DenoiserStage, shape_of
from ddpm_core.training.stages.run import state_file
from tests.training.small_runs import run_all

COLOURS = {"red": (200, 40, 40), "blue": (40, 40, 200)}
TINY = ["--size", 8, "--codec", "pixel", "--denoiser-channels", "32,32", "--denoiser-mixer", "none", "--views", 1]
TINY += ["--denoiser-blocks", 1, "--precision", "fp32", "--device", "cpu", "--denoiser-text-width", 32]
TINY += ["--denoiser-text-layers", 1, "--denoiser-text-length", 8, "--held-out", 0.1]


def write_walls(folder: Path, **more: str) -> Path:
    """Forty walls, red or blue, and what each caption says of them."""
    draw, lines = np.random.default_rng(0), ["file,caption"]
    folder.mkdir()
    for number in range(40):
        name, colour = list(COLOURS.items())[number % 2]
        pixels = (np.array(colour) + draw.integers(-20, 20, (8, 8, 3))).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:02d}.png")
        lines.append(f'{number:02d}.png,"a wall: {more.get(name, name)}, plain"')
    (folder / "labels.csv").write_text("\n".join(lines))
    return folder


@pytest.fixture(scope="module")
def walls(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_walls(tmp_path_factory.mktemp("data") / "walls")


def red_of(path: Path) -> float:
    """How much more red than blue there is in a picture."""
    pixels = np.asarray(open_picture(path)).astype(int)
    return float((pixels[..., 0] - pixels[..., 2]).mean())


@pytest.mark.integration
def test_two_words_are_learned_from_the_command_line_to_the_samples(call, walls: Path, tmp_path: Path) -> None:
    out = tmp_path / "walls"
    flags = [*TINY, "--iterations", 150, "--batch-size", 16, "--denoiser-warmup", 10, "--denoiser-ema-decay", 0.9]
    flags += [
        "--denoiser-learning-rate",
        3e-3,
        "--denoiser-clamp-share",
        0,
        "--denoiser-channels",
        32,
        "--denoiser-text-width",
        64,
    ]
    outcome = call(train.main, "--data", walls, "--out", out, *flags)
    assert outcome.status == 0, outcome.err
    assert "Captions of 5 words: a, blue, plain, red, wall." in outcome.out
    config = checkpoint.read_config(out)
    assert config.words == ["a", "blue", "plain", "red", "wall"]
    assert (config.denoiser["words"], config.denoiser["text_width"]) == (5, 64)
    assert config.prompts == ["a wall: blue, plain"]
    card = (out / "README.md").read_text(encoding="utf-8")
    assert "Words: a, blue, plain, red, wall." in card
    assert "asked for in 5 words" in card
    assert "a row of eight for each of these captions: “a wall: blue, plain”" in card
    with Image.open(next(iter(sorted((out / "training").rglob("*.png"))))) as grid:
        assert grid.width > grid.height  # rows of eight

    reds = {}
    for name, prompt in {"red": ["a RED wall"], "blue": ["blue"], "away": ["wall", "--negative-prompt", "red"]}.items():
        flags = ["--checkpoint", out, "--count", 4, "--guidance", 3, "--steps", 8, "--out", tmp_path / name]
        made = call(sample.main, *flags, "--prompt", *prompt)
        assert made.status == 0, made.err
        reds[name] = [red_of(path) for path in sorted((tmp_path / name).glob("*.png"))]
    assert min(reds["red"]) > 60
    assert max(reds["blue"]) < -60
    assert np.mean(reds["away"]) < 0

    # Held-out pictures are denoised better by who is told what they show.
    model, found = LatentDiffusion.load(out, "cpu"), find(walls, fraction=0.1)
    assert found.captions is not None
    told = measure_denoising(model, found)["denoising_loss"]
    found.captions = {part: [caption.replace("red", "-").replace("blue", "red").replace("-", "blue") for caption in
                             captions] for part, captions in found.captions.items()}  # fmt: skip
    misled = measure_denoising(model, found)["denoising_loss"]
    assert told is not None
    assert misled is not None
    assert sum(told) < 0.9 * sum(misled)


def request_for(data: Path, out: Path, **changes: Any) -> TrainRequest:
    denoiser = {"channels": (32, 32), "blocks": 1, "mixer": "none", "warmup": 2, "batch_size": 4, "iterations": 6}
    denoiser |= {"text_width": 32, "text_layers": 1, "text_length": 8, **changes.pop("denoiser", {})}
    common = {"size": 8, "codec": "pixel", "precision": "fp32", "device": "cpu", "denoiser": denoiser}
    return TrainRequest.model_validate({"data": data, "out": out, **common, **changes})


def test_six_steps_equal_three_an_interruption_and_three_more_bit_for_bit(walls: Path, tmp_path: Path) -> None:
    whole, broken = (request_for(walls, tmp_path / name) for name in ("whole", "broken"))
    pictures = read_pictures(whole)
    run_all("denoiser", whole, pictures)
    run_all("denoiser", broken, pictures, until=3)
    run_all("denoiser", broken.model_copy(update={"resume": True}), pictures)
    states = [checkpoint.read_tensors(state_file(request.out, "denoiser"))[0] for request in (whole, broken)]
    assert states[0].keys() == states[1].keys()
    for name, tensor in states[0].items():
        assert torch.equal(tensor, states[1][name]), name
    for name in (checkpoint.DENOISER_WEIGHTS, checkpoint.CONFIG):
        assert (whole.out / name).read_bytes() == (broken.out / name).read_bytes()


def test_shares_of_a_batch_add_up_to_the_batch(walls: Path, tmp_path: Path, shaken) -> None:
    request = request_for(walls, tmp_path / "run", denoiser={"dropout": 0.0})
    stage = DenoiserStage.prepare(request, read_pictures(request))
    model = shaken(stage.model)

    def gradient(*shards: MicroBatch) -> Tensor:
        model.zero_grad()
        for shard in shards:
            torch.manual_seed(5)
            (stage.loss(model, shard)["loss"] / len(shards)).backward()
        return model.text.embedding.weight.grad.clone()

    whole = gradient(MicroBatch(number=0, batch_size=4))
    halves = gradient(*(MicroBatch(rank, 2, number=0, batch_size=4) for rank in (0, 1)))
    torch.testing.assert_close(halves, whole)
    assert whole.abs().sum() > 0


def test_mirror_images_keep_their_caption_and_pictures_without_words_are_learned_as_before(
    walls: Path, tmp_path: Path
) -> None:
    request = request_for(walls, tmp_path / "run")
    stage = DenoiserStage.prepare(request, read_pictures(request))
    assert stage.train.captions is not None
    red = stage.codec.decode(stage.train.clean)[:, 0].mean((1, 2)) > 0
    assert [("red" in caption) for caption in stage.train.captions] == red.tolist()
    assert len(red) == 2 * 38  # mirror images among them

    plain = request_for(walls, tmp_path / "plain", denoiser={"text_width": 0})
    run_all("denoiser", plain, read_pictures(plain), until=1)
    said = json.loads((plain.out / checkpoint.CONFIG).read_text())
    assert not {"words", "prompts"} & said.keys()
    assert not [name for name in said["denoiser"] if "text" in name or "words" in name]


def test_a_run_goes_on_with_its_own_words_alone(walls: Path, tmp_path: Path) -> None:
    request = request_for(walls, tmp_path / "run")
    run_all("denoiser", request, read_pictures(request), until=1)
    other = request_for(write_walls(tmp_path / "greens", red="green"), request.out, resume=True)
    with pytest.raises(CheckpointError, match=r"knows 5 words and the captions now have 5 \(green, red\)"):
        run_all("denoiser", other, read_pictures(other))
    wider = request_for(walls, request.out, resume=True, denoiser={"text_width": 64})
    with pytest.raises(CheckpointError, match="--denoiser-text-width was 32 and cannot become 64"):
        run_all("denoiser", wider, read_pictures(wider))


@pytest.mark.parametrize("words", [False, True], ids=["without words", "other words"])
def test_a_run_starts_from_what_a_checkpoint_knows_of_words(walls: Path, tmp_path: Path, words: bool) -> None:
    start = request_for(write_walls(tmp_path / "greens", red="green"), tmp_path / "start")
    if not words:
        start = request_for(walls, start.out, denoiser={"text_width": 0})
    run_all("denoiser", start, read_pictures(start))
    request = request_for(walls, tmp_path / "run", init=start.out)
    stage = DenoiserStage.prepare(request, read_pictures(request))
    taken, now = checkpoint.load_denoiser(start.out).state_dict(), stage.model.state_dict()
    reads = {name for name in now if "text" in name or "cross_attention" in name}
    assert all(torch.equal(now[name], taken[name]) for name in now.keys() - reads)
    if words:
        assert stage.notes[-2:] == [
            "New words, whose embedding starts anew: red.",
            "Words it knew and that are no more: green.",
        ]
        # numbers of words: a, blue, green, plain, wall and then a, blue, plain, red, wall, both after two of their own
        rows, before = now["text.embedding.weight"], taken["text.embedding.weight"]
        assert torch.equal(rows[[0, 1, 2, 3, 4, 6]], before[[0, 1, 2, 3, 5, 6]])
        assert all(torch.equal(now[name], taken[name]) for name in reads - {"text.embedding.weight"})
    else:
        assert stage.notes[-1] == "It knew no words, so what reads captions starts anew."


def test_a_dry_run_counts_what_reads_captions(call, walls: Path, tmp_path: Path) -> None:
    counts = []
    for width in (0, 32):
        flags = [*TINY, "--batch-size", 4, "--iterations", 6, "--denoiser-text-width", width]
        outcome = call(train.main, "--data", walls, "--out", tmp_path / "run", *flags, "--dry-run")
        assert outcome.status == 0, outcome.err
        line = next(line for line in outcome.out.splitlines() if line.startswith("denoiser: "))
        counts.append(int(line.split()[1].replace(",", "")))
    reader = TextEncoder(words=5, width=32, layers=1, length=8)
    assert counts[1] - counts[0] > sum(each.numel() for each in reader.parameters())


def test_the_preset_for_avatars_fits_into_twenty_megabytes() -> None:
    request = TrainRequest.model_validate(merge({"data": "avatars.zip", "out": "run"}, PRESETS["avatars"]))
    vae = VAE(**{name: getattr(request.vae, name) for name in request.vae.SHAPE})
    unet = UNet(**shape_of(request.denoiser, words=200) | {"latent_channels": request.vae.latent_channels})
    assert 2 * sum(each.numel() for model in (vae, unet) for each in model.parameters()) < 20e6
