"""What lies in the data besides pictures: what is nobody's picture is left out, and what is not read is counted."""

from __future__ import annotations

import os
import tarfile
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from ddpm_core.data.find import DataSet, find
from ddpm_core.images.files import PictureError

SYSTEM = [
    "@eaDir/0.png/SYNOPHOTO_THUMB_XL.jpg",
    "#recycle/old.jpg",
    "#snapshot/0.png",
    ".@__thumb/0.png",
    "@Recycle/0.png",
    "$RECYCLE.BIN/S-1-5/0.jpg",
    "System Volume Information/0.png",
    "Previews.lrdata/0.jpg",
    "__MACOSX/._0.jpg",
    "lost+found/0.png",
]


def fill(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        if Path(name).suffix in (".png", ".jpg"):
            Image.new("RGB", (9, 9)).save(folder / name)
        else:
            (folder / name).write_bytes(b"{}")
    return folder


def given(kind: str, folder: Path) -> Path:
    """The folder as it is, or as an archive."""
    path = folder.parent / f"packed.{kind}"
    files = [(file, file.relative_to(folder).as_posix()) for file in sorted(folder.rglob("*")) if file.is_file()]
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as packed:
            for file, name in files:
                packed.write(file, name)
    elif kind == "tar":
        with tarfile.open(path, "w") as packed:
            for file, name in files:
                packed.add(file, name)
    return folder if kind == "folder" else path


def names(found: DataSet) -> list[str]:
    return sorted(Path(str(source)).name for part in found.sources.values() for source in part)


@pytest.mark.parametrize("kind", ["folder", "zip", "tar"])
@pytest.mark.parametrize("clutter", SYSTEM)
def test_what_systems_keep_beside_pictures_is_no_picture_of_anybody(tmp_path: Path, clutter: str, kind: str) -> None:
    folder = fill(tmp_path / "in", "cat/0.png", "cat/1.png", "dog/2.png", clutter, f"cat/{clutter}")
    (folder / "cat" / "Thumbs.db").write_bytes(b"")
    found = find(given(kind, folder))
    assert names(found) == ["0.png", "1.png", "2.png"]
    assert found.classes == ("cat", "dog")
    assert found.notes == []


@pytest.mark.parametrize("kind", ["folder", "zip", "tar"])
def test_what_is_not_used_is_counted_by_suffix(tmp_path: Path, kind: str) -> None:
    folder = fill(tmp_path / "in", "0.png", "IMG_1.HEX", "a/IMG_2.hex", "notes.txt", "download", "labels.csv")
    (folder / "labels.csv").write_text("file,class\n0.png,x\n")
    found = find(given(kind, folder))
    assert found.unused == "2 .hex, 1 .txt, 1 file without a suffix"
    assert found.notes == [f"In the data and not used: {found.unused}."]


def test_many_kinds_are_summed_up(tmp_path: Path) -> None:
    fill(tmp_path, "0.png", *(f"{number}.k{number}" for number in range(9)), "a.k3", "x.a name with a dot in it")
    assert find(tmp_path).unused == "2 .k3, 1 .k0, 1 .k1, 1 .k2, 1 .k4, 1 .k5, 4 of other kinds"


def test_a_package_that_reads_what_is_not_used_is_named(tmp_path: Path) -> None:
    fill(tmp_path, "0.png", "x.parquet")
    assert find(tmp_path).notes == [
        "In the data and not used: 1 .parquet; parquet files are read from a folder without pictures."
    ]


def test_a_folder_of_what_cannot_be_read_says_what_that_is(tmp_path: Path) -> None:
    fill(tmp_path, "1.xyz", "2.xyz")
    with pytest.raises(PictureError, match=r"no pictures in .*not used: 2 \.xyz"):
        find(tmp_path)


def test_links_and_what_cannot_be_opened_are_counted(tmp_path: Path) -> None:
    fill(tmp_path / "in", "0.png")
    fill(tmp_path / "elsewhere", "1.png")
    (tmp_path / "in" / "linked").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (tmp_path / "in" / "2.png").symlink_to(tmp_path / "gone.png")
    (tmp_path / "in" / "3.png").symlink_to(tmp_path / "gone.png")
    assert find(tmp_path / "in").unused == "2 links to nothing, 1 linked folder"
    assert names(find(tmp_path / "in")) == ["0.png"]


def test_folders_that_cannot_be_opened_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path, "0.png", "closed/1.png")
    opened = os.scandir

    def refused(path: str) -> object:
        if Path(path).name == "closed":
            raise PermissionError(13, "Permission denied")
        return opened(path)

    monkeypatch.setattr(os, "scandir", refused)
    assert find(tmp_path).unused == "1 folder that cannot be opened"


def test_links_in_a_tar_are_counted(tmp_path: Path) -> None:
    fill(tmp_path / "in", "0.png")
    with tarfile.open(tmp_path / "x.tar", "w") as packed:
        packed.add(tmp_path / "in" / "0.png", "0.png")
        link = tarfile.TarInfo("1.png")
        link.type, link.linkname = tarfile.LNKTYPE, "0.png"
        packed.addfile(link)
    assert find(tmp_path / "x.tar").unused == "1 link"


# Checkpoints

CHECKPOINT = ["config.json", "denoiser.safetensors", "samples.png", "training/denoiser-000002.png"]


@pytest.mark.parametrize("kind", ["folder", "zip", "tar"])
@pytest.mark.parametrize(
    "files",
    [
        CHECKPOINT,
        ["training/vae.jsonl", "training/vae-000002.png"],  # killed before its first save
        ["model_index.json", "unet/config.json", "unet/diffusion_pytorch_model.safetensors", "examples/1.png"],
    ],
    ids=["finished", "begun", "of another library"],
)
def test_checkpoints_in_the_data_are_not_learned_from(tmp_path: Path, files: list[str], kind: str) -> None:
    fill(tmp_path / "in", "cat/0.png", "dog/1.png", *(f"runs/mine/{name}" for name in files))
    found = find(given(kind, tmp_path / "in"))
    assert names(found) == ["0.png", "1.png"]
    assert found.classes == ("cat", "dog")
    assert found.unused == "1 checkpoint folder"


def test_a_run_beside_its_pictures_leaves_out_what_it_writes(tmp_path: Path) -> None:
    fill(tmp_path, "0.png", "1.png")
    before = names(find(tmp_path))
    fill(tmp_path, *CHECKPOINT)
    assert names(find(tmp_path)) == before


def test_a_folder_that_only_has_a_config_is_no_checkpoint(tmp_path: Path) -> None:
    fill(tmp_path, "a/config.json", "a/0.png", "a/training/1.png")
    assert names(find(tmp_path)) == ["0.png", "1.png"]


# Parts


@pytest.mark.parametrize("parts", [("Train", "Val"), ("TRAIN", "TEST")])
def test_parts_may_be_written_in_capitals(tmp_path: Path, parts: tuple[str, str]) -> None:
    fill(tmp_path, f"{parts[0]}/cat/0.png", f"{parts[0]}/dog/1.png", f"{parts[1]}/dog/2.png")
    found = find(tmp_path)
    assert found.classes == ("cat", "dog")
    assert [Path(str(source)).name for source in found.sources["val"]] == ["2.png"]


def test_what_keeps_folders_from_being_splits_is_reported(tmp_path: Path) -> None:
    fill(tmp_path, "train/0.png", "val/1.png", "poster.png")
    assert find(tmp_path).notes == [
        "Beside the folders train and val there are others or pictures (poster.png), so what they are called holds "
        "nothing out."
    ]
