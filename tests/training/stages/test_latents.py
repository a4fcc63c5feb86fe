"""The latents of a run: made once, kept, and made anew when what they were made of is another."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import SafetensorError
from torch import Tensor

from ddpm_core.checkpoints import atomic
from ddpm_core.checkpoints import native as checkpoint
from ddpm_core.checkpoints.atomic import UnwritableError
from ddpm_core.checkpoints.stored import StoredTensor
from ddpm_core.data.load import PictureSet
from ddpm_core.networks.codec import PixelCodec
from ddpm_core.networks.vae import VAE
from ddpm_core.training.distributed import World
from ddpm_core.training.pictures import Pictures
from ddpm_core.training.recolour import recolour
from ddpm_core.training.settings import TrainRequest
from ddpm_core.training.stages import latents
from ddpm_core.training.stages.denoiser import DenoiserStage
from ddpm_core.training.stages.run import run_stage, state_file

DENOISER = {"channels": (32, 32), "blocks": 1, "mixer": "none", "warmup": 2, "batch_size": 3, "iterations": 4}


@pytest.fixture
def pictures() -> Pictures:
    pixels = torch.randint(0, 256, (40, 3, 32, 32), dtype=torch.uint8)
    return Pictures(PictureSet(pixels[:36], []), PictureSet(pixels[36:], []), 36)


@pytest.fixture
def request_(own_checkpoint: Path) -> TrainRequest:
    """A run that trains a denoiser anew on the tiny checkpoint's codec."""
    (own_checkpoint / checkpoint.DENOISER_WEIGHTS).unlink()
    values: dict[str, Any] = {"precision": "fp32", "device": "cpu", "size": 32, "denoiser": DENOISER}
    return TrainRequest.model_validate({"data": "nowhere", "out": own_checkpoint, **values})


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many pictures each call of a VAE's `encode` was given."""
    counted: list[int] = []
    encode = VAE.encode

    def counting(self: VAE, image: Tensor) -> Tensor:
        counted.append(len(image))
        return encode(self, image)

    monkeypatch.setattr(VAE, "encode", counting)
    return counted


def file_of(request: TrainRequest) -> Path:
    return request.out / "training" / latents.LATENTS


def test_latents_are_made_once_and_are_the_same_to_the_last_bit(
    request_: TrainRequest, pictures: Pictures, calls: list[int]
) -> None:
    fresh = DenoiserStage.prepare(request_, pictures)
    assert sum(calls) == 2 * 36 + 4  # mirror images of those to train on, too
    calls.clear()
    again = DenoiserStage.prepare(request_, pictures)
    assert calls == []
    assert fresh.held_out is not None
    assert again.held_out is not None
    assert torch.equal(fresh.train.clean, again.train.clean)
    assert torch.equal(fresh.held_out.clean, again.held_out.clean)
    file_of(request_).unlink()
    assert torch.equal(DenoiserStage.prepare(request_, pictures).train.clean, again.train.clean)


def other_pixel(request: TrainRequest, pictures: Pictures) -> tuple[TrainRequest, Pictures]:
    pixels = pictures.train.pixels.clone()
    pixels[35, 2, 31, 31] ^= 1
    return request, replace(pictures, train=PictureSet(pixels, []))


def other_held_out(request: TrainRequest, pictures: Pictures) -> tuple[TrainRequest, Pictures]:
    return request, replace(pictures, held_out=PictureSet(pictures.train.pixels[:4], []))


def none_held_out(request: TrainRequest, pictures: Pictures) -> tuple[TrainRequest, Pictures]:
    return request, replace(pictures, held_out=None)


def other_order(request: TrainRequest, pictures: Pictures) -> tuple[TrainRequest, Pictures]:
    return request, replace(pictures, train=PictureSet(pictures.train.pixels.flip(0), []))


def other_flips(request: TrainRequest, pictures: Pictures) -> tuple[TrainRequest, Pictures]:
    return request.model_copy(update={"flips": False}), pictures


def other_weights(request: TrainRequest, pictures: Pictures) -> tuple[TrainRequest, Pictures]:
    vae = checkpoint.load_vae(request.out)
    next(vae.encoder.parameters())[0] += 0.01
    checkpoint.write_weights(request.out / checkpoint.CODEC_WEIGHTS, vae)
    return request, pictures


def other_statistics(request: TrainRequest, pictures: Pictures) -> tuple[TrainRequest, Pictures]:
    vae = checkpoint.load_vae(request.out)
    vae.latent_std *= 1.5
    checkpoint.write_weights(request.out / checkpoint.CODEC_WEIGHTS, vae)
    return request, pictures


def damaged(request: TrainRequest, pictures: Pictures) -> tuple[TrainRequest, Pictures]:
    file_of(request).write_bytes(b"no tensors")
    return request, pictures


def cut_short(request: TrainRequest, pictures: Pictures) -> tuple[TrainRequest, Pictures]:
    file_of(request).write_bytes(file_of(request).read_bytes()[:-100])
    return request, pictures


def one_bit_turned(request: TrainRequest, pictures: Pictures) -> tuple[TrainRequest, Pictures]:
    content = bytearray(file_of(request).read_bytes())
    content[-100] ^= 1
    file_of(request).write_bytes(content)
    return request, pictures


Change = Callable[[TrainRequest, Pictures], tuple[TrainRequest, Pictures]]
CHANGES: list[Change] = [other_pixel, other_held_out, none_held_out, other_order, other_flips]
CHANGES += [other_weights, other_statistics, damaged, cut_short, one_bit_turned]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_latents_of_anything_else_are_made_anew_and_kept(
    request_: TrainRequest, pictures: Pictures, calls: list[int], change: Change
) -> None:
    DenoiserStage.prepare(request_, pictures)
    changed = change(request_, pictures)
    calls.clear()
    stage = DenoiserStage.prepare(*changed)
    assert calls
    views = latents.Views(changed[1].train, changed[0].flips)
    assert torch.equal(stage.train.clean, latents.encoded(checkpoint.load_codec(request_.out), views))
    calls.clear()
    assert torch.equal(DenoiserStage.prepare(*changed).train.clean, stage.train.clean)
    assert calls == []


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), SafetensorError("I/O error")])
def test_a_full_disk_does_not_end_the_run(
    request_: TrainRequest, pictures: Pictures, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(atomic, "save_file", full)
    assert len(DenoiserStage.prepare(request_, pictures).train.clean) == 72
    assert not file_of(request_).exists()


def test_of_several_processes_the_first_writes_and_all_read(
    request_: TrainRequest, pictures: Pictures, calls: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(World, "barrier", lambda self: None)  # there are no others to wait for
    made = DenoiserStage.prepare(request_, pictures, World(rank=1, size=2)).train.clean
    assert not file_of(request_).exists()
    DenoiserStage.prepare(request_, pictures, World(rank=0, size=2))
    assert file_of(request_).exists()
    calls.clear()
    assert torch.equal(DenoiserStage.prepare(request_, pictures, World(rank=1, size=2)).train.clean, made)
    assert calls == []


def test_pixels_are_not_kept_for_they_are_there_already(tmp_path: Path, pictures: Pictures) -> None:
    values: dict[str, Any] = {"codec": "pixel", "pixel_stride": 4, "device": "cpu", "size": 32, "denoiser": DENOISER}
    request = TrainRequest.model_validate({"data": "nowhere", "out": tmp_path / "run", **values})
    stage = DenoiserStage.prepare(request, pictures)
    assert isinstance(stage.codec, PixelCodec)
    assert len(stage.train.clean) == 72
    assert not file_of(request).exists()


def test_a_run_that_reads_its_latents_is_the_run_that_made_them_bit_for_bit(
    request_: TrainRequest, pictures: Pictures, calls: list[int], tmp_path: Path
) -> None:
    other = request_.model_copy(update={"out": tmp_path / "other"})
    shutil.copytree(request_.out, other.out)
    DenoiserStage.prepare(other, pictures)  # leaves its latents behind
    calls.clear()
    for _ in run_stage("denoiser", other, pictures):
        pass
    assert calls == []
    for _ in run_stage("denoiser", request_, pictures):
        pass
    assert calls
    one, two = (checkpoint.read_tensors(state_file(each.out, "denoiser"))[0] for each in (request_, other))
    assert one.keys() == two.keys()
    assert all(torch.equal(one[name], two[name]) for name in one)


def recolouring(request: TrainRequest, share: float = 0.5) -> TrainRequest:
    return request.model_copy(update={"denoiser": request.denoiser.model_copy(update={"clamp_recolour": share})})


def test_recoloured_latents_are_kept_beside_the_others_and_made_of_the_same_pictures(
    request_: TrainRequest, pictures: Pictures, calls: list[int]
) -> None:
    plain = DenoiserStage.prepare(request_, pictures)
    assert plain.train.recoloured is None
    assert not (request_.out / "training" / latents.RECOLOURED).exists()
    calls.clear()
    stage = DenoiserStage.prepare(recolouring(request_), pictures)
    assert sum(calls) == 72  # what there was before is not made again
    assert torch.equal(stage.train.clean, plain.train.clean)
    assert stage.train.recoloured is not None
    assert stage.train.recoloured.shape == stage.train.clean.shape
    assert (stage.train.recoloured != stage.train.clean).flatten(1).any(1).all()
    calls.clear()
    again = DenoiserStage.prepare(recolouring(request_), pictures)
    assert calls == []
    assert again.train.recoloured is not None
    assert torch.equal(again.train.recoloured, stage.train.recoloured)
    (request_.out / "training" / latents.RECOLOURED).unlink()
    anew = DenoiserStage.prepare(recolouring(request_), pictures)
    assert anew.train.recoloured is not None
    assert torch.equal(anew.train.recoloured, stage.train.recoloured)


def test_recoloured_pictures_are_those_of_their_place_in_the_set(request_: TrainRequest, pictures: Pictures) -> None:
    stage = DenoiserStage.prepare(recolouring(request_), pictures)
    assert stage.train.recoloured is not None
    image = pictures.train.batch(torch.arange(32, 36))  # the second batch, whose mirror images come last
    for first, view, seeds in ((64, image, [64, 66, 68, 70]), (68, image.flip(3), [65, 67, 69, 71])):
        expected = stage.codec.encode(recolour(view, torch.tensor(seeds)))
        assert torch.equal(stage.train.recoloured[first : first + 4], expected)


def test_without_clamped_examples_nothing_is_recoloured(request_: TrainRequest, pictures: Pictures) -> None:
    request = recolouring(request_)
    none = request.model_copy(update={"denoiser": request.denoiser.model_copy(update={"clamp_share": 0.0})})
    assert DenoiserStage.prepare(none, pictures).train.recoloured is None


# More of them than memory is for


def test_those_that_have_their_place_in_a_file_are_the_same_and_made_once(
    request_: TrainRequest, pictures: Pictures, calls: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = DenoiserStage.prepare(recolouring(request_), pictures)
    for name in (latents.LATENTS, latents.RECOLOURED):
        (request_.out / "training" / name).unlink()
    monkeypatch.setattr(latents.stored, "IN_MEMORY", 0)
    for _ in range(2):
        stage = DenoiserStage.prepare(recolouring(request_), pictures)
        assert isinstance(stage.train.clean, StoredTensor)
        for one, other in ((stage.train, expected.train), (stage.held_out, expected.held_out)):
            assert one is not None
            assert other is not None
            assert torch.equal(one.clean[:], other.clean)
        assert stage.train.recoloured is not None
        assert torch.equal(stage.train.recoloured[:], expected.train.recoloured)
    assert sum(calls) == 2 * (72 + 4 + 72)  # the third time they were there
    calls.clear()
    with monkeypatch.context() as patch:  # in memory again, from the same file
        patch.setattr(latents.stored, "IN_MEMORY", 2**28)
        assert torch.equal(DenoiserStage.prepare(request_, pictures).train.clean, expected.train.clean)
    assert calls == []


def test_a_file_of_which_a_byte_has_changed_is_made_anew(
    request_: TrainRequest, pictures: Pictures, calls: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(latents.stored, "IN_MEMORY", 0)
    DenoiserStage.prepare(request_, pictures)
    content = bytearray(file_of(request_).read_bytes())
    content[-1] ^= 1
    file_of(request_).write_bytes(content)
    calls.clear()
    DenoiserStage.prepare(request_, pictures)
    assert sum(calls) == 76


def test_a_full_disk_ends_a_run_that_has_no_memory_for_them(
    request_: TrainRequest, pictures: Pictures, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(latents.stored, "IN_MEMORY", 0)
    monkeypatch.setattr(latents.stored.shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10, 10, 0))
    with pytest.raises(UnwritableError, match=r"latents\.safetensors cannot be written .* 0\.0 GB are free"):
        DenoiserStage.prepare(request_, pictures)


def test_of_several_processes_one_makes_the_file(
    request_: TrainRequest, pictures: Pictures, calls: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(World, "barrier", lambda self: None)
    monkeypatch.setattr(latents.stored, "IN_MEMORY", 0)
    with pytest.raises(checkpoint.CheckpointError, match="all processes need the same --out"):
        DenoiserStage.prepare(request_, pictures, World(rank=1, size=2))
    assert calls == []
    made = DenoiserStage.prepare(request_, pictures, World(rank=0, size=2)).train.clean
    calls.clear()
    assert torch.equal(DenoiserStage.prepare(request_, pictures, World(rank=1, size=2)).train.clean[:], made[:])
    assert calls == []
