"""The shelf of checkpoints."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from PIL import Image

from ddpm_core.checkpoints.atomic import CheckpointError
from ddpm_core.checkpoints.hub import Repository
from ddpm_core.checkpoints.native import CARD, read_config, write_config
from ddpm_core.diffusion.concatenation import windows
from ddpm_core.errors import UserError
from ddpm_core.pipeline import LatentDiffusion
from tests.conftest import write_enlarging_checkpoint
from ui.models import Shelf


def test_a_new_checkpoint_appears_and_a_retrained_one_is_loaded_anew(own_checkpoint: Path) -> None:
    shelf = Shelf.around(own_checkpoint, "cpu")
    first = shelf.load("own")
    assert shelf.load("own") is first
    learned = sum(each.numel() for part in (first.codec, first.denoiser) for each in part.parameters())
    assert learned <= shelf.at_a_glance("own")[0] < 1.01 * learned
    shutil.copytree(own_checkpoint, own_checkpoint.with_name("another"))
    assert shelf.names() == ["another", "own"]
    assert shelf.load("another").name == "another"
    (own_checkpoint / "vae.safetensors").touch()
    assert shelf.load("own") is not first
    (own_checkpoint / "denoiser.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"denoiser\.safetensors"):
        shelf.load("own")


def test_a_model_in_memory_is_found_without_reading_what_others_are(
    own_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf = Shelf.around(own_checkpoint, "cpu")
    write_enlarging_checkpoint(own_checkpoint.with_name("larger"))
    monkeypatch.setattr("ui.models.enlarges", lambda folder: pytest.fail(f"{folder} was read"))
    assert shelf.load("own") is shelf.load(None)


def test_those_that_enlarge_stand_apart(own_checkpoint: Path) -> None:
    shelf = Shelf.around(own_checkpoint, "cpu")
    with pytest.raises(CheckpointError, match="No checkpoint here enlarges pictures; train one"):
        shelf.load_enlarging()
    larger = write_enlarging_checkpoint(own_checkpoint.with_name("larger"))
    assert (shelf.names(), shelf.enlarging()) == (["own"], ["larger"])
    assert shelf.load_enlarging() is shelf.load_enlarging("larger")
    with pytest.raises(CheckpointError, match=r"'own' does not enlarge pictures; choose from: larger\."):
        shelf.load_enlarging("own")
    with pytest.raises(CheckpointError, match=r"larger enlarges pictures, .* choose from: own\."):
        Shelf.around(larger, "cpu")


def test_what_knows_faces_enlarges_faces_alone(own_checkpoint: Path) -> None:
    shelf = Shelf.around(own_checkpoint, "cpu")
    write_enlarging_checkpoint(own_checkpoint.with_name("larger"), framing="face")
    assert (shelf.enlarging(), shelf.enlarging("own")) == (["larger"], [])
    with pytest.raises(CheckpointError, match="No checkpoint here enlarges"):
        shelf.load_enlarging(of="own")
    config = read_config(own_checkpoint)
    write_config(own_checkpoint, config.model_copy(update={"framing": "face"}))
    assert shelf.enlarging("own") == ["larger"]
    write_enlarging_checkpoint(own_checkpoint.with_name("anything"))
    assert shelf.enlarging("own") == ["anything", "larger"]


def test_it_is_known_by_how_many_windows_a_picture_is_enlarged(own_checkpoint: Path, tmp_path: Path) -> None:
    larger = write_enlarging_checkpoint(own_checkpoint.with_name("larger"))  # takes 16 pixels a side at once
    shelf, model = Shelf.around(own_checkpoint, "cpu"), LatentDiffusion.load(larger, "cpu")
    for size, known in (((9, 16), 1), ((17, 16), 2), ((64, 64), 25)):
        picture = Image.new("RGB", size)
        picture.save(tmp_path / "small.png")
        sheet = model.enlargement(picture)
        assert shelf.windows(str(tmp_path / "small.png")) == windows(*sheet.size, sheet.side) == known
    Image.new("RGB", (65, 64)).save(tmp_path / "small.png")
    with pytest.raises(UserError, match="64 a side are the most"):
        shelf.windows(str(tmp_path / "small.png"), "larger")


def test_no_name_leads_off_the_shelf(own_checkpoint: Path) -> None:
    shelf = Shelf.around(own_checkpoint, "cpu")
    shutil.copytree(own_checkpoint, own_checkpoint.parents[1] / "outside")
    for name in ("../outside", "nosuch"):
        with pytest.raises(CheckpointError, match=r"There is no checkpoint .*; choose from: own\."):
            shelf.load(name)
        assert shelf.card(name) == ""
    assert shelf.load(None) is shelf.load("own")


def test_a_checkpoint_that_is_not_there_is_answered_with_those_beside_it(own_checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"nosuch is not there; beside it there are: own\."):
        Shelf.around(own_checkpoint.with_name("nosuch"), "cpu")
    with pytest.raises(CheckpointError, match=r"nosuch is not there; train one"):
        Shelf.around(tmp_path / "empty" / "nosuch", "cpu")


def test_the_card_is_the_text_beside_the_weights(own_checkpoint: Path) -> None:
    shelf = Shelf.around(own_checkpoint, "cpu")
    assert shelf.card("own") == ""
    (own_checkpoint / CARD).write_text("# Größe\n", encoding="utf-8")
    assert shelf.card("own") == "# Größe\n"


def test_one_of_the_hub_stands_beside_the_own_ones(
    tiny_checkpoint: Path, own_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(own_checkpoint.parents[1])
    fetched = {"someone/tiny@v1": tiny_checkpoint}
    monkeypatch.setattr(Repository, "fetch", lambda repository: fetched[str(repository)])
    shelf = Shelf.around(Path("someone/tiny@v1"), "cpu")
    assert shelf.root == own_checkpoint.parent  # what is trained on the page goes there
    assert shelf.names() == ["own", "someone/tiny@v1"]
    assert shelf.load("someone/tiny@v1").name == shelf.load(None).name == "someone/tiny@v1"
    assert shelf.load("own").name == "own"
    with pytest.raises(CheckpointError, match="There is no checkpoint 'someone/other'"):  # no visitor has one fetched
        shelf.load("someone/other")
    (own_checkpoint / CARD).write_text("---\nlicense: mit\n---\n# own\n", encoding="utf-8")
    assert shelf.card("own") == "# own\n"
