"""Feature networks, in which sets of pictures are compared: Inception-v3 (FID, KID, Inception Score), or one trained
here.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from ddpm_core.data.load import PictureSet
from ddpm_core.display.progress_bar import batches_watched
from ddpm_core.errors import UserError
from ddpm_core.evaluation.classifier import TURN_SETTINGS, Classifier, reduced, trained_on_turns
from ddpm_core.evaluation.submodules import submodule
from ddpm_core.networks.layers import placed
from ddpm_core.training.stage_settings import StageSettings

# The networks there are, by name, in words for whoever reads numbers measured in their features.
NETWORKS = {
    "inception": "Inception-v3",
    "classifier": "a small classifier of the data's classes, trained here, not Inception",
    "turns": "a small classifier of how pictures are turned, trained here on the data, not Inception",
}

FeatureFunction = Callable[[Tensor], tuple[Tensor, Tensor]]


class FeatureError(UserError):
    """A feature network that cannot be had."""


@dataclass(frozen=True)
class FeatureNetwork:
    """A network to compare pictures in. Numbers of different networks do not compare."""

    name: str  # of `NETWORKS`; measures are called after it
    extract: FeatureFunction  # features (B, D) and probabilities (B, K) of images (B, 3, H, W) in [-1, 1] on any device
    reads: bool = True  # whether it tells what pictures show, as a score asks


@dataclass(frozen=True)
class FeatureSet:
    """`features` (N, D) and `probabilities` (N, K) of pictures, float64 on the CPU."""

    features: Tensor
    probabilities: Tensor

    def __len__(self) -> int:
        return len(self.features)


@torch.inference_mode()
def extract_features(network: FeatureNetwork, pictures: PictureSet, batch: int = 64) -> FeatureSet:
    batches = batches_watched(pictures.batches(batch), len(pictures), batch, "reading features")
    outputs = [network.extract(image) for image in batches]
    return FeatureSet(*(torch.cat(batches).double().cpu() for batches in zip(*outputs, strict=True)))


def of_classes(classifier: Classifier) -> FeatureNetwork:
    device = next(classifier.parameters()).device
    return FeatureNetwork("classifier", lambda image: classifier.extract(image.to(device)))


def of_turns(training: PictureSet, device: torch.device, settings: StageSettings = TURN_SETTINGS) -> FeatureNetwork:
    """A network for data without classes: a classifier of turns, trained here on the training pictures."""
    pixels = [((reduced(image) + 1) * 127.5).round().to(torch.uint8) for image in training.batches(64)]
    classifier = trained_on_turns(PictureSet(torch.cat(pixels), []), device, settings)
    return FeatureNetwork("turns", lambda image: classifier.extract(image.to(device)), reads=False)


def inception(file: Path, device: torch.device) -> FeatureNetwork:
    """The Inception-v3 of FID (Heusel et al. 2017), with weights from pytorch-fid's or torch-fidelity's file.

    Pictures are enlarged to 299 pixels as in TensorFlow 1; features are of the last pooling, logits without bias.
    Raises `FeatureError` if the file cannot be used, or torch-fidelity is not installed.
    """
    weights = io.BytesIO()  # torch-fidelity would unpickle whatever lies in a file; what it gets was made here
    torch.save(_tensors(file), weights)
    weights.seek(0)
    try:
        build = submodule("torch_fidelity", "feature_extractor_inceptionv3").FeatureExtractorInceptionV3
    except ModuleNotFoundError as error:
        raise FeatureError(
            f'{error.name} is not installed; pip install --no-deps "torch-fidelity>=0.3,<0.4" brings the network that '
            f"the weights in {file} are for."
        ) from None
    try:
        network = placed(build("inception-v3-compat", ["2048", "logits_unbiased"], weights), device).eval()
    except (RuntimeError, AttributeError, TypeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise FeatureError(f"{file} does not hold the weights of FID's Inception-v3: {reason}.") from None

    def extract(image: Tensor) -> tuple[Tensor, Tensor]:
        pixels = ((image.to(device).clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)  # (B, 3, H, W)
        features, logits = network(pixels)  # (B, 2048), (B, 1008)
        return features, logits.softmax(1)

    return FeatureNetwork("inception", extract)


def _tensors(file: Path) -> object:
    """Read without running anything that lies in the file."""
    try:
        if file.suffix == ".safetensors":
            return load_file(file)
        return torch.load(file, map_location="cpu", weights_only=True)
    except (FileNotFoundError, IsADirectoryError):
        raise FeatureError(f"there is no file {file}; name the one with the weights of FID's Inception-v3.") from None
    except (pickle.UnpicklingError, SafetensorError, RuntimeError, EOFError, ValueError, LookupError, OSError) as error:
        reason = " ".join(str(error).split())[:100]
        raise FeatureError(f"{file} cannot be read as a file of weights ({reason}); get it again.") from None
