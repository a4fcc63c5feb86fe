"""Readers of attributes: what they learn from a table's columns, and how samples are counted by them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image

from ddpm_core.checkpoints.atomic import CheckpointError
from ddpm_core.data.find import DataSet, find
from ddpm_core.data.load import PictureSet, load_pictures
from ddpm_core.errors import UserError
from ddpm_core.evaluation import attributes
from ddpm_core.evaluation.attributes import AttributeReader, attributes_of, shares_read, trained_reader
from tests.drawings import COLOURS, SIDE, drawings

SHORT = attributes.READER_SETTINGS.model_copy(update={"iterations": 60, "batch_size": 16, "warmup": 5})
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> DataSet:
    return find(drawings(tmp_path_factory.mktemp("data")))


def test_columns_of_words_that_many_share_are_attributes(found: DataSet) -> None:
    known = attributes_of(found)
    assert known == {"colour": tuple(sorted(COLOURS)), "hat": ("", "hat")}  # neither names, numbers nor captions
    assert attributes_of(found, ["hat"]) == {"hat": ("", "hat")}
    with pytest.raises(UserError, match="no column 'shoes'; its columns are: file, split, name"):
        attributes_of(found, ["shoes"])


def test_data_without_attributes_is_refused(tmp_path: Path) -> None:
    Image.new("RGB", (9, 9)).save(tmp_path / "0.png")
    with pytest.raises(UserError, match="no columns of attributes"):
        attributes_of(find(tmp_path))


def test_one_network_reads_all_attributes_of_pictures_it_never_saw(found: DataSet, tmp_path: Path) -> None:
    known = attributes_of(found)
    reader = trained_reader(found, known, CPU, SHORT, SIDE)
    held_out = load_pictures(found.sources["val"], SIDE)
    read = reader.read(held_out)
    for share, _ in shares_read(read, found.rows["val"], known).values():
        assert share > 0.9
    reader.save(tmp_path / "readers.safetensors")
    again = AttributeReader.load(tmp_path / "readers.safetensors", CPU)
    assert again.read(held_out) == read
    swapped = PictureSet(held_out.pixels.flip(1), [])  # red is blue
    colours = [one["colour"] for one in again.read(swapped)]
    assert colours != [one["colour"] for one in read]


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    from ddpm_core.checkpoints.atomic import write_tensors

    write_tensors(tmp_path / "x.safetensors", {"a": torch.zeros(1)})
    with pytest.raises(CheckpointError, match="holds no readers of attributes"):
        AttributeReader.load(tmp_path / "x.safetensors", CPU)


def test_what_is_absent_is_counted_by_itself_and_words_never_learned_are_not() -> None:
    known = {"hair": ("bun", "bob"), "extra": ("", "hat")}
    asked = [{"hair": "bun", "extra": ""}, {"hair": "bob", "extra": "hat"}, {"hair": "wig", "extra": ""}]
    read = [{"hair": "bun", "extra": ""}, {"hair": "bun", "extra": "hat"}, {"hair": "bun", "extra": "hat"}]
    assert shares_read(read, asked, known) == {"hair": (0.5, 2), "extra": (1.0, 1), "no extra": (0.5, 2)}
    assert shares_read(read, [{"hair": "bun"}, {}, {}], known) == {"hair": (1.0, 1)}  # of the others nothing is asked
