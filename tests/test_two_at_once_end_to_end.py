"""Pictures that are two things at once: anagrams and hybrids, of classes, in pixels and in latents."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from ddpm_core.diffusion.illusions import VIEWS, blurred, rearranged
from ddpm_core.diffusion.samplers import last
from ddpm_core.networks.codec import PixelCodec
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import AnagramRequest, GenerateRequest, HybridRequest
from tests.predictors import of_noise

ROOT = Path(__file__).resolve().parents[1]
DIGITS = ROOT / "checkpoints" / "digits"
SHORT = {"steps": 4, "sampler": "ddim"}
CLOSE = {"rtol": 2e-2, "atol": 2e-2}  # networks compute in bf16 where the machine is fast in it


def image(model: LatentDiffusion, latent: Tensor) -> Tensor:
    with torch.inference_mode():
        return model.codec.decode(latent)


def test_a_predictor_can_be_asked_about_what_is_laid_out_otherwise() -> None:
    @of_noise
    def predict(z: Tensor, t: Tensor) -> Tensor:
        return z * torch.arange(4.0)

    z = torch.randn(1, 1, 2, 4)
    turned = rearranged(predict, lambda z: z.flip(3), lambda z: z.flip(3))
    torch.testing.assert_close(turned(z, torch.zeros(1)).eps, z * torch.arange(4.0).flip(0))


@pytest.mark.parametrize("view", ["upside-down", "turned-90"])
def test_an_anagram_swapped_and_begun_from_noise_turned_is_the_same_picture_turned(
    class_model: LatentDiffusion, view: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of pixels, where cells are squares of them: it is the pixels that are turned, not the cells."""
    apply, undo = VIEWS[view].apply, VIEWS[view].undo
    start = torch.randn(1, 48, 8, 8)
    made = []
    for first, second, noise in (
        ("ant", "bee", start),
        ("bee", "ant", F.pixel_unshuffle(apply(F.pixel_shuffle(start, 4)), 4)),
    ):
        # Where the second is seen is undone by turning the other way.
        chosen = {"upside-down": view, "turned-90": "turned-90" if first == "ant" else "turned-270"}[view]
        monkeypatch.setattr(class_model, "_noise", lambda request, noise=noise: lambda: noise)
        request = AnagramRequest(label=first, other=second, view=chosen, **SHORT)
        made.append(F.pixel_shuffle(last(class_model.anagram(request)).latent, 4))
    torch.testing.assert_close(undo(made[1]), made[0], **CLOSE)
    assert (made[1] - made[0]).abs().max() > 0.1


def test_each_of_the_two_follows_its_class_and_guidance(class_model: LatentDiffusion) -> None:
    def made(**choices: object) -> Tensor:
        return last(class_model.anagram(AnagramRequest(**SHORT, **choices))).latent

    pictures = [made(), made(label="ant"), made(other="ant"), made(label="ant", other="bee")]
    pictures.append(made(label="ant", other="bee", guidance=5))
    for one in range(len(pictures)):
        for two in range(one):
            assert (pictures[one] - pictures[two]).abs().mean() > 0.01


def test_a_hybrid_takes_its_coarse_parts_from_one_class_and_its_fine_ones_from_the_other(
    class_model: LatentDiffusion, monkeypatch: pytest.MonkeyPatch
) -> None:
    noisy, t = torch.randn(2, 48, 8, 8), torch.tensor([500, 500])
    seen: list[Tensor] = []
    monkeypatch.setattr(
        class_model, "_run", lambda request, noise, predict: iter([seen.append(predict(noisy, t).eps)])
    )  # fmt: skip
    with torch.inference_mode():
        list(class_model.hybrid(HybridRequest(label="ant", other="bee", guidance=3, blur=2.5)))
        far, near = (
            F.pixel_shuffle(class_model.class_predictor(label, 3)(noisy, t).eps, 4) for label in ("ant", "bee")
        )
    torch.testing.assert_close(F.pixel_shuffle(seen[0], 4), near + blurred(far - near, 2.5), **CLOSE)


def test_a_hybrid_of_a_class_with_itself_is_that_class(class_model: LatentDiffusion) -> None:
    both = last(class_model.hybrid(HybridRequest(seed=2, label="bee", other="bee", **SHORT))).latent
    alone = last(class_model.generate(GenerateRequest(seed=2, label="bee", **SHORT))).latent
    torch.testing.assert_close(both, alone, rtol=5e-2, atol=5e-2)


@pytest.mark.parametrize("sampler", ["ddim", "ddpm"])
def test_a_seed_makes_the_same_hybrid_whatever_the_count(class_model: LatentDiffusion, sampler: str) -> None:
    asked = {"label": "ant", "other": "bee", "steps": 4, "sampler": sampler}
    together = last(class_model.hybrid(HybridRequest(seed=3, count=3, **asked))).latent
    for i in range(3):
        alone = last(class_model.hybrid(HybridRequest(seed=3 + i, **asked))).latent
        torch.testing.assert_close(alone[0], together[i], rtol=5e-2, atol=5e-2)


# Where they are valid


def test_hybrids_take_classes_and_pixels(tiny_model: LatentDiffusion, class_model: LatentDiffusion) -> None:
    assert class_model.hybrids
    assert not tiny_model.hybrids
    with pytest.raises(ValueError, match="tiny makes no hybrids: they take classes or words, and pixels for latents"):
        tiny_model.hybrid(HybridRequest())


def test_colours_can_be_inverted_where_latents_are_pixels_around_0(
    tiny_model: LatentDiffusion, class_model: LatentDiffusion
) -> None:
    for model in (tiny_model, class_model):  # the pixels of the second are shifted
        assert model.views == ("mirrored", "upside-down", "turned-90", "turned-180", "turned-270")
        with pytest.raises(ValueError, match="cannot be made to be seen negated; choose from: mirrored, "):
            model.anagram(AnagramRequest(view="negated"))
    around_0 = LatentDiffusion(
        PixelCodec(4), class_model.denoiser, class_model.diffuser, 32, classes=class_model.classes
    )
    assert around_0.views[-1] == "negated"
    latent = last(around_0.anagram(AnagramRequest(view="negated", label="ant", other="bee", **SHORT))).latent
    assert torch.isfinite(latent).all()


def test_a_class_that_is_not_there_is_refused(tiny_model: LatentDiffusion, class_model: LatentDiffusion) -> None:
    with pytest.raises(ValueError, match="no class 'wasp'"):
        class_model.hybrid(HybridRequest(label="ant", other="wasp"))
    with pytest.raises(ValueError, match="without classes"):
        tiny_model.anagram(AnagramRequest(other="ant"))


def test_pictures_say_the_classes_they_were_made_of(class_model: LatentDiffusion) -> None:
    said = class_model.png_parameters(HybridRequest(label="ant", other="bee", guidance=3))
    assert (said["action"], said["label"], said["other"], said["guidance"], said["blur"]) == (
        "hybrid", "ant", "bee", 3, 1.5,
    )  # fmt: skip
    said = class_model.png_parameters(AnagramRequest(other="bee"))
    assert (said["other"], said["guidance"], "label" in said) == ("bee", 2, False)
    assert not {"label", "other", "guidance"} & set(class_model.png_parameters(AnagramRequest()))


def test_the_example_of_the_page_on_playing_runs() -> None:
    (block,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "playing.md").read_text("utf-8"), flags=re.DOTALL)
    known: dict[str, Any] = {}
    exec(block.replace("checkpoints/digits", str(DIGITS)), known)
    assert known["picture"].size == (32, 32)


def test_the_shipped_digits_can_be_read_from_either_side() -> None:
    model = LatentDiffusion.load(DIGITS, "cpu")
    request = AnagramRequest(seed=4, label="6", other="9", guidance=4, view="turned-180", steps=20, sampler="ddim")
    made = image(model, last(model.anagram(request)).latent).mean(1)[0]
    # A six has its ink below the middle; a nine, which it is turned round, above.
    ink = (made.clamp(-1, 1) + 1).sum(1)
    assert ink[16:].sum() > 1.3 * ink[:16].sum()
