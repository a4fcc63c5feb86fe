"""Bits per dimension."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Generator, Tensor
from torch.distributions import Normal

from ddpm_core.commands import evaluate
from ddpm_core.data.load import PictureSet
from ddpm_core.diffusion.diffuser import Diffuser
from ddpm_core.diffusion.prediction import Prediction, Predictor
from ddpm_core.diffusion.variational_bound import log_variance, prior_bits, step_bits
from ddpm_core.evaluation import checkpoint as measuring
from ddpm_core.evaluation import likelihood
from ddpm_core.evaluation.likelihood import bits_per_dim, drawn_steps, measure_likelihood, pixel_bits
from ddpm_core.evaluation.measures import MEANING
from ddpm_core.networks.codec import Codec, GreyCodec, PixelCodec
from ddpm_core.networks.unet import UNet
from ddpm_core.pipeline import LatentDiffusion
from tests.predictors import of_noise


def model_of(predict, diffuser: Diffuser, codec: Codec | None = None, size: int = 16) -> LatentDiffusion:
    """A model of pixels that predicts what it is given to."""
    codec = codec or PixelCodec(1)
    unet = UNet(latent_channels=codec.latent_channels, channels=(32,), blocks=1, mixer="none")
    model = LatentDiffusion(codec, unet, diffuser, size)
    model.predict = predict
    return model


def best(diffuser: Diffuser, spread: float) -> Predictor:
    """The best predictor, and the true variance, of pixels that are independent and normal around grey."""

    def predict(noisy: Tensor, t: Tensor) -> Prediction:
        signal, noise = diffuser.signal_and_noise(t, noisy.double())
        total = (signal * spread) ** 2 + noise**2
        now, then, beta = diffuser.alpha_bar[t], diffuser.alpha_bar[t - 1], diffuser.betas[t]
        unsure = ((spread * noise) ** 2 / total).flatten()
        true = (1 - then) / (1 - now) * beta + then * beta**2 / (1 - now) ** 2 * unsure
        least, most = (log_variance(diffuser, t, noisy, torch.full_like(noisy, v)) for v in (0, 1))
        v = (true.log().view(-1, 1, 1, 1) - least) / (most - least)
        return Prediction((noise * noisy / total).float(), v)

    return predict


def knowing(clean: Tensor, diffuser: Diffuser):
    """A predictor that knows the picture."""

    @of_noise
    def predict(noisy: Tensor, t: Tensor) -> Tensor:
        signal, noise = diffuser.signal_and_noise(t, noisy)
        return (noisy - signal * clean) / noise

    return predict


def levels(image: Tensor) -> Tensor:
    """Pixels (N, 3, H, W) in [-1, 1] as 8 bits."""
    return ((image.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)


@pytest.fixture(scope="module")
def grey() -> PictureSet:
    """Pictures of noise around grey, far from black and white."""
    noise = torch.randn(60, 3, 16, 16, generator=Generator().manual_seed(0))
    return PictureSet(levels(0.2 * noise), [])


def test_of_pixels_of_which_all_is_known_the_bound_is_their_entropy(grey: PictureSet) -> None:
    diffuser = Diffuser(100, 1e-3, 0.2)
    entropy = 0.5 * math.log2(2 * math.pi * math.e * 0.2**2) - math.log2(2 / 255)
    bits = bits_per_dim(model_of(best(diffuser, 0.2), diffuser), grey)
    assert bits.shape == (60,)
    assert bits.mean().item() == pytest.approx(entropy, abs=0.02)


def test_of_grey_pixels_too_and_colours_are_left_out() -> None:
    diffuser = Diffuser(100, 1e-3, 0.2)
    entropy = 0.5 * math.log2(2 * math.pi * math.e * 0.2**2) - math.log2(2 / 255)
    noise = 0.2 * torch.randn(120, 1, 16, 16, generator=Generator().manual_seed(0))
    model = model_of(best(diffuser, 0.2), diffuser, GreyCodec())
    plain = bits_per_dim(model, PictureSet(levels(noise.expand(-1, 3, -1, -1)), []))
    assert plain.mean().item() == pytest.approx(entropy, abs=0.02)

    pixels = torch.randint(0, 256, (2, 16, 16, 3), dtype=torch.uint8)
    coloured = [Image.fromarray(one.numpy()) for one in pixels]
    without = torch.stack([torch.from_numpy(np.array(one.convert("L").convert("RGB"))) for one in coloured])
    both = (PictureSet(each.permute(0, 3, 1, 2), []) for each in (pixels, without))
    as_it_is, grey = (bits_per_dim(model, each) for each in both)
    torch.testing.assert_close(as_it_is, grey, rtol=1e-3, atol=0)


@pytest.mark.parametrize("stride", [1, 2])
def test_how_the_codec_arranges_and_normalises_pixels_does_not_matter_to_their_probability(stride: int) -> None:
    codec, image = PixelCodec(stride), levels(torch.rand(2, 3, 4, 4) * 2 - 1).float() / 127.5 - 1
    image[0, :, 0], image[0, :, 1] = -1, 1
    mean, spread = torch.rand(2, 3, 4, 4) * 2 - 1, torch.rand(2, 3, 4, 4) / 10 + 0.02
    normal = Normal(mean.double(), spread.double())
    below, above = (normal.cdf(image.double() + side / 255) for side in (-1, 1))
    expected = torch.where(image == 1, 1.0, above) - torch.where(image == -1, 0.0, below)
    codec.latent_mean.copy_(torch.randn(codec.latent_channels))
    codec.latent_std.copy_(torch.rand(codec.latent_channels) + 0.5)
    deviation = codec.means(spread) / codec.latent_std[:, None, None]
    bits = pixel_bits(image, codec.encode(mean), 2 * deviation.log(), codec)
    likely = codec.means(expected) > 1e-9  # beyond, the differences of the formula are lost
    torch.testing.assert_close(bits[likely], -codec.means(expected).log2()[likely], rtol=1e-3, atol=1e-4)
    assert bits.isfinite().all()
    assert likely.any()


@pytest.mark.parametrize("codec", [PixelCodec(1), GreyCodec()])
def test_the_probabilities_of_all_256_levels_add_up_to_1(codec: Codec) -> None:
    image = (torch.arange(256.0) / 127.5 - 1).expand(1, 3, 1, 256)
    latent = codec.encode(image)
    for mean, spread in ((0.1, 0.3), (-1.0, 0.003), (1.4, 0.2)):
        gaussian = torch.full_like(latent, mean), torch.full_like(latent, 2 * math.log(spread))
        total = torch.exp2(-pixel_bits(image, *gaussian, codec)).sum(3)
        torch.testing.assert_close(total, torch.ones_like(total), rtol=0, atol=1e-6)


def test_a_predictor_that_knows_the_picture_pays_for_the_last_step_and_the_last_state_alone() -> None:
    pictures, diffuser = PictureSet(torch.full((1, 3, 16, 16), 255, dtype=torch.uint8), []), Diffuser()
    clean = torch.ones(1, 3, 16, 16)
    bits = bits_per_dim(model_of(knowing(clean, diffuser), diffuser), pictures)
    spread = log_variance(diffuser, torch.ones(1, dtype=torch.int64), clean).exp().sqrt().item()
    last_step = -math.log2(1 - Normal(0.0, 1.0).cdf(torch.tensor(-1 / 255 / spread)).item())
    assert bits.item() == pytest.approx(last_step + prior_bits(clean, diffuser).mean().item(), rel=1e-3)


def test_terms_drawn_add_up_on_average_to_all_terms(grey: PictureSet) -> None:
    diffuser = Diffuser(30, 1e-3, 0.3)
    clean = grey.batch(torch.arange(1))

    @of_noise
    def predict(noisy: Tensor, t: Tensor) -> Tensor:
        return torch.sin(noisy)

    every = prior_bits(clean, diffuser).mean()
    for t in range(2, 30):
        at = torch.full((200,), t)
        noisy = diffuser.add_noise(clean.expand(200, -1, -1, -1), torch.randn(200, 3, 16, 16), at)
        every += step_bits(clean, diffuser.denoised(noisy, predict(noisy, at).eps, at), at, diffuser).mean()
    at = torch.ones(200, dtype=torch.int64)
    noisy = diffuser.add_noise(clean.expand(200, -1, -1, -1), torch.randn(200, 3, 16, 16), at)
    spread = log_variance(diffuser, at, noisy).expand_as(noisy)
    believed = diffuser.denoised(noisy, predict(noisy, at).eps, at)
    every += pixel_bits(clean.expand(200, -1, -1, -1), believed, spread, PixelCodec(1)).mean()

    one = PictureSet(grey.pixels[:1].expand(400, -1, -1, -1), [])
    drawn = bits_per_dim(model_of(predict, diffuser), one, draws=3)
    assert drawn.mean().item() == pytest.approx(every.item(), rel=0.02)


@pytest.mark.parametrize("states", [2, 3, 40, 1000])
def test_weights_of_the_steps_drawn_count_every_step_once_on_average(states: int) -> None:
    diffuser, generator = Diffuser(states), Generator().manual_seed(0)
    counts = torch.zeros(states, dtype=torch.float64)
    for _ in range(500):
        t, weights = drawn_steps(diffuser, 40, generator)
        counts.index_add_(0, t, weights)
        assert weights.numel() == 0 or weights.max() <= 10 * states / 40
    counts /= 500
    assert counts[:2].sum() == 0
    for part in counts[2:].split(100):
        assert part.numel() == 0 or part.mean().item() == pytest.approx(1, abs=0.1)


def test_the_same_seed_gives_the_same_bits(grey: PictureSet) -> None:
    diffuser = Diffuser()
    model, some = model_of(best(diffuser, 0.2), diffuser), PictureSet(grey.pixels[:3], [])
    assert torch.equal(bits_per_dim(model, some), bits_per_dim(model, some))
    assert not torch.equal(bits_per_dim(model, some), bits_per_dim(model, some, seed=9))


def test_the_two_kinds_of_codec_have_measures_of_their_own(
    tiny_model: LatentDiffusion, class_model: LatentDiffusion, picture_folder: Path
) -> None:
    files = sorted(picture_folder.iterdir())
    for model, name in ((tiny_model, "latent_bits_per_dim"), (class_model, "bits_per_dim")):
        measures = measure_likelihood(model, {"train": files[3:], "val": files[:3]})
        assert list(measures) == [name, f"{name}_error", f"{name}_train", f"{name}_train_error"]
        assert measures.keys() <= MEANING.keys()
        for part in (name, f"{name}_train"):
            assert math.isfinite(measures[part])
            assert measures[f"{part}_error"] > 0
        assert measure_likelihood(model, {"train": files, "val": []}) == dict.fromkeys(measures)


def test_no_more_pictures_than_that_are_measured_and_as_many_that_were_learned(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for number in range(33):
        Image.new("RGB", (16, 16), (number, 0, 0)).save(tmp_path / f"{number:02d}.png")
    files, seen = sorted(tmp_path.iterdir()), []

    def counted(model: LatentDiffusion, pictures: PictureSet) -> Tensor:
        seen.append(pictures.pixels[:, 0, 0, 0].tolist())
        return torch.ones(len(pictures)) * len(seen)

    monkeypatch.setattr(likelihood, "PICTURES", 4)
    monkeypatch.setattr(likelihood, "bits_per_dim", counted)
    diffuser = Diffuser()
    model = model_of(best(diffuser, 0.2), diffuser)
    measures = measure_likelihood(model, {"train": files[10:], "val": files[:10]})
    assert seen == [[0, 3, 6, 9], [10, 15, 20, 25]]
    assert (measures["bits_per_dim"], measures["bits_per_dim_train"]) == (1, 2)
    measure_likelihood(model, {"train": files[:2], "val": files[10:14]})
    assert seen[2:] == [[10, 11, 12, 13], [0, 1]]


def test_evaluating_a_model_of_pixels_says_its_bits_per_dimension(
    call, class_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, name in enumerate(("1", "ant", "bee")):
        for split in ("train", "val"):
            (tmp_path / "data" / split / name).mkdir(parents=True)
            Image.new("RGB", (32, 32), (80 * number, 9, 9)).save(tmp_path / "data" / split / name / f"{name}.png")
    monkeypatch.setattr(measuring, "classifier_of", lambda *arguments: None)  # which takes long to train
    report = tmp_path / "measures.json"
    arguments = ["--checkpoint", class_checkpoint, "--data", tmp_path / "data", "--json", report]
    outcome = call(evaluate.main, *arguments, "--device", "cpu", "--samples", 8, "--fills", 1)
    assert outcome.status == 0
    measures = json.loads(report.read_text())
    assert math.isfinite(measures["bits_per_dim"])
    assert math.isfinite(measures["bits_per_dim_train"])
    assert MEANING["bits_per_dim"] in outcome.out
