"""A small classifier, trained on a checkpoint's own data: do samples show the class asked for?

Its features serve to compare sets of pictures.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ddpm_core.data.load import PictureSet
from ddpm_core.display.progress_bar import watched
from ddpm_core.errors import UserError
from ddpm_core.networks.layers import placed
from ddpm_core.training.loop import Trainer, batch_index
from ddpm_core.training.shards import MicroBatch
from ddpm_core.training.stage_settings import StageSettings

# About a minute on one CPU core at 32 pixels; on MNIST that is 99 % right, enough to judge by.
SETTINGS = StageSettings(iterations=1200, batch_size=64, learning_rate=2e-3, warmup=100, ema_decay=0.99)
TURNS = 4
TURN_SETTINGS = SETTINGS.model_copy(update={"iterations": 300})  # pictures four times as large; by then most are told
LARGEST = 64  # pixels; what a picture shows, and which way up, shows at this size, and is learned in minutes
MOST_TURNED = 4000  # pictures to learn turns from; each is there four times


class Classifier(nn.Module):
    """A plain convolutional network: scores (B, classes) of images (B, 3, H, W) in [-1, 1], at most 64 pixels used.

    Args:
        width: channels of its first layer.
        deeper: further layers at half the side each, for larger shapes.
    """

    def __init__(self, classes: int, width: int = 32, deeper: int = 0):
        super().__init__()
        self.classes = classes
        more = [
            layer
            for _ in range(deeper)
            for layer in (nn.MaxPool2d(2), nn.Conv2d(2 * width, 2 * width, 3, padding=1), nn.ReLU())
        ]
        self.features = nn.Sequential(
            nn.Conv2d(3, width, 3, stride=2, padding=1), nn.ReLU(),
            nn.Conv2d(width, 2 * width, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(2 * width, 2 * width, 3, padding=1), nn.ReLU(), *more, nn.AdaptiveMaxPool2d(4),
        )  # fmt: skip
        self.scores = nn.Sequential(nn.Flatten(), nn.Dropout(0.3), nn.Linear(2 * width * 16, classes))

    def forward(self, image: Tensor) -> Tensor:
        return self.scores(self.features(reduced(image))).float()  # (B, classes)

    def extract(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Features (B, 2*width), the mean over places, and probabilities (B, classes) of images (B, 3, H, W)."""
        found = self.features(reduced(image))  # (B, 2*width, 4, 4)
        return found.mean((2, 3)).float(), self.scores(found).float().softmax(1)


def reduced(image: Tensor) -> Tensor:
    """Square images (B, 3, H, H), brought to at most `LARGEST` pixels a side."""
    return F.adaptive_avg_pool2d(image, min(LARGEST, image.shape[2]))


def trained_classifier(
    pictures: PictureSet, classes: int, device: torch.device, settings: StageSettings = SETTINGS, seed: int = 0
) -> Classifier:
    """A classifier trained on labels 0 to `classes`-1; pictures labelled `classes`, "not known", are passed over."""
    labelled = _known(pictures, classes)
    assert labelled.labels is not None
    labels = labelled.labels
    return trained(
        lambda: Classifier(classes),
        labelled,
        lambda scores, index: F.cross_entropy(scores, labels[index].to(device)),
        device,
        settings,
        seed,
    )


def trained(
    build: Callable[[], Classifier],
    pictures: PictureSet,
    loss: Callable[[Tensor, Tensor], Tensor],
    device: torch.device,
    settings: StageSettings,
    seed: int = 0,
) -> Classifier:
    """What `build` makes, trained by `loss(scores (B, classes), index (B,))` of the pictures numbered `index`."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        trainer = Trainer(placed(build(), device), settings, seed=seed)

        def of_batch(model: nn.Module, micro_batch: MicroBatch) -> dict[str, Tensor]:
            index = micro_batch.take(batch_index(micro_batch.number, micro_batch.batch_size, len(pictures), seed))
            image = pictures.batch(index).to(device, memory_format=torch.channels_last)
            return {"loss": loss(model(image), index)}

        for _ in watched(trainer.train(of_batch), "training a classifier", "step", settings.iterations):
            pass
    return trainer.ema.module.eval()  # type: ignore[return-value]


def trained_on_turns(
    pictures: PictureSet, device: torch.device, settings: StageSettings = TURN_SETTINGS, seed: int = 0
) -> Classifier:
    """A classifier of quarter turns, which needs no labels (Gidaris et al. 2018); of many pictures it sees
    `MOST_TURNED`.
    """
    pixels = pictures.pixels[:: -(-len(pictures) // MOST_TURNED)]
    turned = torch.cat([pixels.rot90(turns, (2, 3)) for turns in range(TURNS)])  # (4N, 3, S, S)
    labels = torch.arange(TURNS).repeat_interleave(len(pixels))
    return trained_classifier(PictureSet(turned, [], labels), TURNS, device, settings, seed)


@torch.inference_mode()
def classifier_accuracy(classifier: Classifier, pictures: PictureSet) -> float:
    """Fraction of labelled pictures that are read right. Raises `UserError` if no class is known."""
    device, labelled = next(classifier.parameters()).device, _known(pictures, classifier.classes)
    assert labelled.labels is not None
    if not len(labelled):
        raise UserError("there is no picture whose class is known.")
    predicted = torch.cat([classifier(image.to(device)).argmax(1).cpu() for image in labelled.batches(256)])
    return (predicted == labelled.labels).double().mean().item()


def _known(pictures: PictureSet, classes: int) -> PictureSet:
    assert pictures.labels is not None
    known = pictures.labels < classes
    return PictureSet(pictures.pixels[known], [], pictures.labels[known])
