"""Words: what a caption is parted into, what reads it, and how the picture looks at it."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch

from ddpm_core.networks.cpu import packed
from ddpm_core.networks.dit import DiT
from ddpm_core.networks.text import CrossAttention, TextEncoder, Vocabulary, vocabulary
from ddpm_core.networks.unet import Denoiser, UNet

SHAPE = {"latent_channels": 3, "channels": (32, 64), "blocks": 1, "mixer": "none"}
TEXT = {"words": 5, "text_width": 32, "text_layers": 1, "text_length": 6}
NETWORKS = [
    UNet(**SHAPE, **TEXT),
    DiT(latent_channels=3, channels=(32,), blocks=2, **TEXT),
]
T = torch.tensor([5, 900])


def test_words_are_those_of_the_captions_in_small_letters_sorted() -> None:
    captions = ["Big smile: pink, T-shirt", "pink; O\u2019Neil's RED.", ""]
    assert vocabulary(captions) == ("big", "o'neil's", "pink", "red", "smile", "t-shirt")
    assert vocabulary([]) == ()


def test_a_caption_is_numbers_of_words_and_commas_and_what_is_unknown_is_passed_over() -> None:
    words = Vocabulary(("pink", "skin"), 5)
    rows = words.tokens(["Pink: green SKIN", "green, , ", "", "skin skin skin skin, pink"])
    assert rows.tolist() == [[2, 1, 3, 0, 0], [0] * 5, [0] * 5, [3, 3, 3, 3, 1]]
    assert words.unknown("a Green skin, a lawn") == ["a", "green", "lawn"]
    assert [words.beyond(text) for text in ("pink skin", "skin skin skin skin, pink")] == [0, 1]


def test_order_and_words_count_and_what_stands_beside_in_the_batch_does_not(shaken) -> None:
    encoder = shaken(TextEncoder(words=5, width=32, layers=2, length=6)).eval()
    tokens = torch.tensor([[2, 3, 0, 0, 0, 0], [3, 2, 0, 0, 0, 0], [0] * 6])
    together = encoder(tokens)  # (3, 6, 32)
    assert not torch.allclose(together[0], together[1], atol=0.01)
    torch.testing.assert_close(together[:1], encoder(tokens[:1]))
    assert torch.equal(together[2:], encoder.null_captions(1))  # nothing said is the null caption


def test_cells_that_look_at_a_caption_start_unchanged() -> None:
    look, x = CrossAttention(32, 16), torch.randn(2, 32, 3, 5)
    assert torch.equal(look.of_map(x, torch.randn(2, 6, 16)), x)


@pytest.mark.parametrize("network", NETWORKS, ids=["unet", "dit"])
def test_a_network_answers_to_its_caption_row_by_row(shaken, network: Denoiser) -> None:
    network, noisy = shaken(deepcopy(network)).eval(), torch.randn(2, 3, 8, 8)
    assert network.text is not None
    captions = network.text(torch.tensor([[2, 0, 0, 0, 0, 0], [3, 4, 0, 0, 0, 0]]))
    answer = network(noisy, T, None, captions)
    torch.testing.assert_close(answer[1:], network(noisy[1:], T[1:], None, captions[1:]))
    without = network(noisy, T)
    assert (answer - without).abs().mean() > 1e-3
    torch.testing.assert_close(without, network(noisy, T, None, network.text(torch.zeros(2, 6, dtype=torch.int64))))


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("network", NETWORKS, ids=["unet", "dit"])
def test_a_network_made_ready_for_use_reads_the_same(
    shaken, network: Denoiser, precision: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packed, "resolve_precision", lambda _, device: precision)
    network, noisy = shaken(deepcopy(network)).eval(), torch.randn(2, 3, 8, 8)
    tokens = torch.tensor([[2, 0, 0, 0, 0, 0], [3, 4, 0, 0, 0, 0]])

    def answer() -> torch.Tensor:
        assert network.text is not None
        told, null = network(noisy, T, None, network.text(tokens)), network(noisy, T)
        return torch.cat([told, null])

    with torch.inference_mode():
        before = answer()
        packed.ready(network, torch.device("cpu"))
        torch.testing.assert_close(answer(), before, rtol=0.1, atol=0.05)


def test_only_the_coarsest_levels_look_and_a_network_without_words_is_what_it_was() -> None:
    def looking(levels: int) -> set[str]:
        unet = UNet(**SHAPE | {"channels": (32, 32, 32)}, **TEXT, text_levels=levels)
        return {name.split(".cross")[0] for name in unet.state_dict() if "cross_attention" in name}

    assert looking(1) == {"down.2"}
    assert looking(2) == {"down.1", "down.2", "up.1"}
    assert looking(9) == {"down.0", "down.1", "down.2", "up.0", "up.1"}
    assert not [name for name in UNet(**SHAPE).state_dict() if "text" in name or "cross" in name]


@pytest.mark.parametrize("wrong", [{"words": -1}, {"words": 3, "text_layers": 0}, {"words": 3, "text_width": 0}])
def test_words_that_nothing_could_read_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="words cannot be read"):
        UNet(**SHAPE, **wrong)
