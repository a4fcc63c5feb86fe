"""Weights of a denoiser that meets other classes, words or conditions: what is known by name stays, all else is new."""

from __future__ import annotations

import torch
from torch import nn

from ddpm_core.networks.text import SPECIAL
from ddpm_core.networks.unet import UNet
from ddpm_core.training.weight_fitting import EMBEDDING, LABEL, TIME_BIAS, fit_classes, fit_condition, fit_words

SHAPE = {"latent_channels": 3, "channels": (32,), "blocks": 1, "mixer": "none"}
TEXT = {"text_width": 16, "text_layers": 1, "text_levels": 1}


def network(seed: int, **more: int) -> UNet:
    torch.manual_seed(seed)
    unet = UNet(**SHAPE, **more)
    with torch.no_grad():
        for parameter in unet.parameters():
            nn.init.normal_(parameter)
    return unet


def test_classes_keep_their_row_by_name_and_new_ones_begin_as_none() -> None:
    before, now = network(1, classes=2), network(2, classes=2)
    weights = before.state_dict()
    ant, _, none = weights[LABEL].clone()
    notes = fit_classes(weights, ("ant", "bee"), ("cow", "ant"), now)
    assert torch.equal(weights[LABEL], torch.stack([none, ant, none]))
    assert [name in notes[number] for number, name in enumerate(("cow", "bee"))] == [True, True]
    now.load_state_dict(weights)


def test_without_classes_what_it_made_of_none_goes_into_the_bias() -> None:
    before, now = network(1, classes=2), network(2)
    weights = before.state_dict()
    expected = weights[TIME_BIAS] + weights[LABEL][-1]
    (note,) = fit_classes(weights, ("ant", "bee"), (), now)
    assert torch.equal(weights[TIME_BIAS], expected)
    assert "no classes any more" in note
    now.load_state_dict(weights)


def test_words_keep_their_row_by_name_and_new_ones_are_the_networks_own() -> None:
    before, now = network(1, words=2, **TEXT), network(2, words=2, **TEXT)
    weights, own = before.state_dict(), now.state_dict()
    known = weights[EMBEDDING].clone()
    fit_words(weights, ("red", "hat"), ("hat", "blue"), now)
    first = len(SPECIAL)
    assert torch.equal(weights[EMBEDDING][:first], known[:first])
    assert torch.equal(weights[EMBEDDING][first], known[first + 1])
    assert torch.equal(weights[EMBEDDING][first + 1], own[EMBEDDING][first + 1])
    now.load_state_dict(weights)


def test_a_condition_that_is_new_weighs_nothing() -> None:
    before, now = network(1), network(2, conditioning_channels=4)
    weights = before.state_dict()
    kernel = weights["input.weight"].clone()  # (32, 3, 3, 3)
    (note,) = fit_condition(weights, 1, 2, now)
    assert torch.equal(weights["input.weight"], torch.cat([kernel, torch.zeros(32, 4, 3, 3)], dim=1))
    assert "counts for nothing" in note
    now.load_state_dict(weights)
