"""Words: what a prompt makes, what leads away from it, and what is said when a word is not known."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from ddpm_core.checkpoints import native as checkpoint
from ddpm_core.checkpoints.atomic import CheckpointError
from ddpm_core.commands import edit, sample
from ddpm_core.diffusion.samplers import Step, last
from ddpm_core.images.files import read_parameters
from ddpm_core.networks.text import TextEncoder
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import (
    AnagramRequest,
    BetweenRequest,
    EditRequest,
    GenerateRequest,
    HybridRequest,
    InpaintRequest,
)
from tests.command_lines import assert_refused
from tests.conftest import WORDS, write_word_checkpoint


def made(model: LatentDiffusion, **choices: object) -> np.ndarray:
    request = GenerateRequest.model_validate({"steps": 4, **choices})
    return np.stack([np.asarray(p) for p in model.pictures(last(model.generate(request)).latent)]).astype(int)


def apart(one: np.ndarray, other: np.ndarray) -> float:
    return float(abs(one - other).mean())


def test_the_prompt_decides_what_is_made_and_the_negative_prompt_what_is_not(word_model: LatentDiffusion) -> None:
    plain, red, blue = (made(word_model, prompt=prompt) for prompt in ("", "red", "blue ant"))
    assert min(apart(plain, red), apart(plain, blue), apart(red, blue)) > 0.2
    assert apart(red, made(word_model, prompt="red", guidance=6)) > 0.2
    away = made(word_model, prompt="red", negative_prompt="blue ant")
    assert apart(red, away) > 0.1
    assert apart(plain, made(word_model, negative_prompt="blue ant")) > 0.1
    # What is asked for alone: with a guidance of 1 nothing is led away from.
    assert apart(made(word_model, prompt="red", guidance=1), made(word_model, prompt="red", guidance=1,
                 negative_prompt="blue ant")) < 1  # fmt: skip


def test_unknown_words_are_passed_over_and_can_be_asked_for(word_model: LatentDiffusion) -> None:
    assert word_model.words == tuple(WORDS)
    assert word_model.unknown_words("a Red mohawk, red skin; a cat") == ["a", "mohawk", "cat"]
    assert np.array_equal(made(word_model, prompt="mohawk RED"), made(word_model, prompt="red"))
    request = GenerateRequest(prompt="red mohawk", negative_prompt="red " * 40)
    assert word_model.notes(request) == [
        "wordy does not know, and passes over: mohawk.",
        "wordy reads 32 words and commas at most; the last 8 of the prompt are left out.",
    ]
    assert word_model.notes(GenerateRequest(prompt="red skin")) == []


def test_a_seed_gives_the_same_picture_of_a_prompt_whatever_the_count(word_model: LatentDiffusion) -> None:
    together = made(word_model, seed=3, count=3, prompt="red skin")
    for i in range(3):
        # In bf16 the products of another number of pictures are rounded otherwise, and random weights amplify that.
        assert abs(made(word_model, seed=3 + i, prompt="red skin")[0] - together[i]).max() <= 6
    assert abs(together[1] - together[0]).max() > 100


def test_captions_are_read_once_for_a_run(word_model: LatentDiffusion, monkeypatch: pytest.MonkeyPatch) -> None:
    read, forward = [], TextEncoder.forward
    monkeypatch.setattr(TextEncoder, "forward", lambda self, tokens: read.append(len(tokens)) or forward(self, tokens))
    made(word_model, prompt="red", count=2)
    assert read == [2]  # prompt and null caption
    made(word_model)
    assert read == [2]


def test_every_way_to_make_pictures_follows_prompts(word_model: LatentDiffusion) -> None:
    image, mask = torch.zeros(1, 3, 32, 32), torch.ones(1, 1, 32, 32, dtype=torch.bool)
    mask[..., :8] = False

    def runs(**prompts: str) -> Iterator[Iterator[Step]]:
        yield word_model.inpaint(InpaintRequest(steps=3, **prompts), image, mask)
        yield word_model.edit(EditRequest(steps=3, **prompts), image)
        yield word_model.between(BetweenRequest(steps=3, count=2, **prompts))
        yield word_model.anagram(AnagramRequest(steps=3, sampler="ddim", **prompts))
        yield word_model.hybrid(HybridRequest(steps=3, **prompts))

    def latents(**prompts: str) -> list[Tensor]:
        return [last(run).latent for run in runs(**prompts)]

    for one, other in zip(latents(prompt="red"), latents(prompt="blue ant"), strict=True):
        assert (one - other).abs().mean() > 1e-3
    pair = [
        last(word_model.anagram(AnagramRequest(steps=3, sampler="ddim", prompt="red", other_prompt=second))).latent
        for second in ("", "blue ant")
    ]
    assert (pair[0] - pair[1]).abs().mean() > 1e-3


def test_a_prompt_is_refused_by_a_model_without_words(tiny_model: LatentDiffusion) -> None:
    for asked in ({"prompt": "red"}, {"negative_prompt": "red"}):
        with pytest.raises(ValueError, match=r"^tiny was trained without words; leave the prompt out\.$"):
            tiny_model.generate(GenerateRequest(**asked))
    assert tiny_model.words == ()
    assert made(tiny_model, prompt="  ").shape == (1, 32, 32, 3)
    with pytest.raises(ValueError, match="prompt"):
        GenerateRequest(prompt="x" * 401)


def test_only_pictures_of_a_prompt_say_prompt_and_guidance(word_model: LatentDiffusion) -> None:
    said = word_model.png_parameters(GenerateRequest(prompt="red", guidance=3))
    assert (said["prompt"], said["guidance"]) == ("red", 3)
    assert "negative_prompt" not in said
    plain = word_model.png_parameters(AnagramRequest())
    assert not {"prompt", "other_prompt", "negative_prompt", "guidance"} & set(plain)
    assert GenerateRequest(prompt="red").model_calls == 2 * GenerateRequest().model_calls


def test_words_that_do_not_fit_the_network_are_refused(tmp_path: Path) -> None:
    folder = write_word_checkpoint(tmp_path / "own")
    path = folder / checkpoint.CONFIG
    path.write_text(json.dumps(json.loads(path.read_text()) | {"words": ["red"]}))
    with pytest.raises(CheckpointError, match="inconsistent"):
        LatentDiffusion.load(folder, "cpu")


def test_commands_make_what_the_prompt_says_and_name_the_words_they_do_not_know(
    call, word_checkpoint: Path, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    common = ["--checkpoint", word_checkpoint, "--steps", 3]
    done = call(sample.main, *common, "--prompt", "red mohawk", "--negative-prompt", "blue", "--out", tmp_path / "red")
    assert done.status == 0
    assert "wordy does not know, and passes over: mohawk." in done.out
    said = read_parameters(tmp_path / "red" / "0.png")
    assert (said["prompt"], said["negative_prompt"]) == ("red mohawk", "blue")
    Image.new("RGB", (32, 32)).save(tmp_path / "black.png")
    picture = [tmp_path / "black.png", "--out", tmp_path / "edited.png"]
    assert call(edit.main, *picture, *common, "--prompt", "red").status == 0
    assert read_parameters(tmp_path / "edited.png")["prompt"] == "red"
    refused = call(sample.main, "--checkpoint", tiny_checkpoint, "--prompt", "red", "--out", tmp_path / "none")
    assert_refused(refused, "without words")
