"""A small network that reads a picture's attributes, the columns of its table: do samples show what was asked for?"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import torch
from torch.nn import functional as F

from ddpm_core.checkpoints.atomic import CheckpointError, read_tensors, write_tensors
from ddpm_core.data.find import CAPTIONS, DataSet
from ddpm_core.data.load import PictureSet, load_pictures
from ddpm_core.data.tables import FILES, SPLIT, Row
from ddpm_core.errors import UserError
from ddpm_core.evaluation.classifier import LARGEST, SETTINGS, Classifier, trained
from ddpm_core.networks.layers import placed
from ddpm_core.training.stage_settings import StageSettings

READER_SETTINGS = SETTINGS.model_copy(update={"iterations": 3000})  # some minutes on one CPU core at 64 pixels
DEEPER = 2  # of the network: a haircut is larger than a digit's stroke
FEWEST = 10  # pictures for each word, on average; a column of names has one

Attributes = Mapping[str, Sequence[str]]  # by column, the words that it has; "" for what is not there


class AttributeReader:
    """A classifier with a head for each attribute: slices of its scores (B, words of all attributes).

    Args:
        attributes: by name, the words it tells apart.
        size: side in pixels that pictures are brought to.
    """

    def __init__(self, attributes: Attributes, size: int = LARGEST, network: Classifier | None = None):
        self.attributes = {name: tuple(words) for name, words in attributes.items()}
        self.size = size
        self.sizes = [len(words) for words in self.attributes.values()]
        self.network = network or Classifier(sum(self.sizes), deeper=DEEPER)

    @torch.inference_mode()
    def read(self, pictures: PictureSet) -> list[dict[str, str]]:
        """What each picture shows, by attribute."""
        device, read = next(self.network.parameters()).device, []
        for image in pictures.batches(256):
            image = F.interpolate(image.to(device), self.size, mode="bilinear", antialias=True)  # (B, 3, size, size)
            heads = self.network(image).split(self.sizes, dim=1)  # (B, words) each
            chosen = [head.argmax(1).tolist() for head in heads]
            for numbers in zip(*chosen, strict=True):
                named = zip(self.attributes.items(), numbers, strict=True)
                read.append({name: words[number] for (name, words), number in named})
        return read

    def save(self, path: Path) -> None:
        """Write weights and words into one file."""
        tensors = {name: tensor.float() for name, tensor in self.network.state_dict().items()}
        write_tensors(path, tensors, {"attributes": json.dumps(self.attributes), "size": str(self.size)})

    @classmethod
    def load(cls, path: Path, device: torch.device) -> AttributeReader:
        """What `save` wrote. Raises `CheckpointError` for another file."""
        tensors, metadata = read_tensors(path)
        try:
            reader = cls(json.loads(metadata["attributes"]), int(metadata["size"]))
            reader.network.load_state_dict(tensors)
        except (LookupError, ValueError, TypeError, AttributeError, RuntimeError):
            raise CheckpointError(f"{path} holds no readers of attributes; name another file.") from None
        placed(reader.network, device).eval()
        return reader


def attributes_of(found: DataSet, columns: Sequence[str] | None = None) -> dict[str, tuple[str, ...]]:
    """The columns that are attributes, with the words of the training pictures in them. Raises `UserError` if there are
    none.

    Without `columns`, those with several words, not all numbers, and many pictures for each.
    """
    rows = found.rows.get("train", [])
    words = {column: sorted({row.get(column, "") for row in rows}) for column in columns or found.columns}
    if missing := [column for column in words if column not in found.columns]:
        raise UserError(
            f"the data has no column {missing[0]!r}; its columns are: {', '.join(found.columns) or 'none'}."
        )
    chosen = {
        column: tuple(each) for column, each in words.items() if columns or _is_attribute(column, each, len(rows))
    }
    if not chosen:
        raise UserError("the data has no columns of attributes, words that many pictures share.")
    return chosen


def _is_attribute(column: str, words: Sequence[str], rows: int) -> bool:
    known = column.casefold() not in {*FILES, SPLIT, *CAPTIONS}
    return known and 1 < len(words) <= rows / FEWEST and not all(word.isdecimal() for word in words if word)


def trained_reader(
    found: DataSet,
    attributes: Attributes,
    device: torch.device,
    settings: StageSettings = READER_SETTINGS,
    size: int = LARGEST,
) -> AttributeReader:
    """A reader trained on the training pictures of a data set, as squares of `size` pixels."""
    # What is given as labels are the numbers of rows, for pictures that cannot be used are left out.
    sources = found.sources["train"]
    pictures = load_pictures(sources, size, labels=range(len(sources)))
    assert pictures.labels is not None
    rows = [found.rows["train"][number] for number in pictures.labels.tolist()]
    reader = AttributeReader(attributes, size)
    index_of = [{word: number for number, word in enumerate(words)} for words in attributes.values()]
    asked = torch.tensor(
        [[at[row.get(name, "")] for name, at in zip(attributes, index_of, strict=True)] for row in rows]
    )  # (N, attributes)

    def loss(scores: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
        targets = asked[index].to(scores.device).unbind(1)
        heads = scores.split(reader.sizes, dim=1)
        return torch.stack([F.cross_entropy(*pair) for pair in zip(heads, targets, strict=True)]).mean()

    reader.network = trained(lambda: Classifier(sum(reader.sizes), deeper=DEEPER), pictures, loss, device, settings)
    return reader


def shares_read(read: Sequence[Row], asked: Iterable[Row], attributes: Attributes) -> dict[str, tuple[float, int]]:
    """By attribute, the share of pictures read as asked, and of how many.

    Asking for its absence counts apart, as "no" of it: most pictures have no hat, and showing none is no art.
    """
    right: dict[str, list[bool]] = {}
    for shown, row in zip(read, asked, strict=True):
        for name, words in attributes.items():
            word = row.get(name)
            if word in words:  # of others it has never heard; without the attribute, nothing is asked
                right.setdefault(name if word or "" not in words else f"no {name}", []).append(shown[name] == word)
    order = [title for name in attributes for title in (name, f"no {name}") if title in right]
    return {title: (sum(right[title]) / len(right[title]), len(right[title])) for title in order}
