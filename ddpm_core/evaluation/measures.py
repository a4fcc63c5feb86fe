"""What each number of `python -m ddpm_core.evaluate` means, how it is shown, and what it should be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ddpm_core.evaluation import diversity, feature_distances

MEANING = {
    "pictures": "held-out pictures the autoencoder was measured on",
    "psnr": "reconstruction, dB (mean over pictures)",
    "gradient_ratio": "edge strength, reconstructed / original",
    "locality_radius": "pixels beyond its own square that one latent cell can change",
    "locality_3x3": "share of the squared change within 3x3 cells",
    "samples": "pictures made from noise",
    "swd": "patch distance of samples to training pictures x 1000, finest level first",
    "swd_floor": "the same of as many held-out pictures",
    "swd_ratio": "swd / swd_floor",
    "nearest_distance": "difference of a sample to the training picture nearest to it, of 255 (median over samples)",
    "nearest_distance_floor": "the same of held-out pictures",
    "memorised_share": "share of samples nearer to training than the nearest 1 % of held-out pictures",
    "eyes_found": "share of samples in which a cascade finds both eyes",
    "eyes_found_floor": "the same of held-out pictures",
    **feature_distances.MEANING,
    "bits_per_dim": "upper bound on what held-out pictures take to store, per colour of a pixel",
    "bits_per_dim_error": "its standard error",
    "bits_per_dim_train": "the same of as many training pictures",
    "bits_per_dim_train_error": "its standard error",
    "latent_bits_per_dim": "upper bound for held-out latents, to compare denoisers of one autoencoder",
    "latent_bits_per_dim_error": "its standard error",
    "latent_bits_per_dim_train": "the same of as many training pictures",
    "latent_bits_per_dim_train_error": "its standard error",
    "denoising_loss": "on held-out pictures by tenth of the timesteps, cleanest first, classes told",
    "class_samples": "pictures made of classes, equally many of each, with the default guidance",
    "class_accuracy": "share of them that a small classifier reads as the class asked for",
    "classifier_accuracy": "share of held-out pictures that the same classifier reads right",
    **diversity.MEANING,
    "fills": "held-out pictures inpainted, each from two seeds",
    "kept_max_diff": "largest change of a kept pixel after inpainting, of 255",
    "seam_ratio": "steps across the mask's edge, inpainted / untouched",
    "edge_distance": "mean difference of fillings to what was removed, within a latent cell of the edge, of 255",
    "fill_distance": "mean difference of fillings to what was removed, of 255",
    "fill_diversity": "mean difference between fillings of two seeds, of 255",
    "tone_off": "difference of a filling's mean colour to that of what was removed, of 255",
}

WIDTH = max(map(len, MEANING))  # of the names in a table, which may come bit by bit


class Aim(NamedTuple):
    """What a number should be: from `low` to `high`, each of several numbers."""

    low: float | None = None
    high: float | None = None

    def met(self, value: Any) -> bool:
        """Whether a number, or each of a list, is as it should be."""
        values = value if isinstance(value, list) else [value]
        return all((self.low is None or self.low <= x) and (self.high is None or x <= self.high) for x in values)

    def __str__(self) -> str:
        if self.low is None or self.high is None:
            return f"<= {self.high:g}" if self.low is None else f">= {self.low:g}"
        return f"{self.low:g}" if self.low == self.high else f"{self.low:g} to {self.high:g}"


AIMS = {  # of the shipped models: class accuracy is that of digits, all else that of faces-128
    "psnr": Aim(low=31),
    "gradient_ratio": Aim(low=0.9),
    "locality_3x3": Aim(low=0.995),
    "swd_ratio": Aim(high=1.5),
    "memorised_share": Aim(high=0.1),
    "class_accuracy": Aim(low=0.97),
    "kept_max_diff": Aim(0, 0),
    "seam_ratio": Aim(0.9, 1.15),
}


def table(measures: Mapping[str, Any]) -> Iterator[str]:
    """A line for each measure: name, value, aim, whether it is met, meaning."""
    for name, value in measures.items():
        aim = aim_of(name, measures)
        aim_text = "" if aim is None else f"{aim} each" if isinstance(value, list) else str(aim)
        verdict = "" if aim is None else "ok" if aim.met(value) else "missed"
        yield f"{name:{WIDTH}} {shown(value):>27}  {aim_text:11} {verdict:6}  {MEANING[name]}"


def aim_of(name: str, measures: Mapping[str, Any]) -> Aim | None:
    """What a measure should be; None if it has no aim or was not measured."""
    aim = AIMS.get(name)
    if aim is None or measures[name] is None:
        return None
    # Class accuracy cannot tell where the classifier misses the aim on real pictures.
    if name == "class_accuracy" and not aim.met(measures["classifier_accuracy"]):
        return None
    return aim


def shown(value: Any) -> str:
    if value is None:
        return "too few held-out pictures"
    if isinstance(value, str):
        return value
    return " ".join(f"{x:.4g}" for x in value) if isinstance(value, list) else f"{value:.4g}"
