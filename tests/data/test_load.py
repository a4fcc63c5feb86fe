"""Folders of pictures as training data."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from ddpm_core.data import load as data
from ddpm_core.data.load import AHEAD, PictureSet, find_pictures, load_pictures
from ddpm_core.images.files import Member, PictureError, Source, as_rgb, open_picture, to_tensor
from ddpm_core.training.pictures import read_pictures
from ddpm_core.training.settings import TrainRequest
from ddpm_core.training.stages.run import run_stage


def fill(folder: Path, count: int, start: int = 0) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{number:03d}.png" for number in range(start, start + count)]
    for number, path in enumerate(paths):
        Image.new("RGB", (9, 9), (number, 0, 0)).save(path)
    return paths


def test_pictures_are_found_in_subfolders_whatever_their_suffix_looks_like(tmp_path: Path) -> None:
    fill(tmp_path / "a" / "b", 2)
    Image.new("RGB", (4, 4)).save(tmp_path / "UPPER.JPG", format="JPEG")
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / "folder.png").mkdir()
    found = find_pictures(tmp_path)
    assert {path.name for path in found["train"]} == {"000.png", "001.png", "UPPER.JPG"}
    assert found["train"] == sorted(found["train"])


@pytest.mark.parametrize(("count", "held_out"), [(19, []), (20, ["019.png"]), (45, ["019.png", "039.png"])])
def test_without_labels_every_twentieth_picture_is_held_out(tmp_path: Path, count: int, held_out: list[str]) -> None:
    paths = fill(tmp_path, count)
    found = find_pictures(tmp_path)
    assert [path.name for path in found["val"]] == held_out
    assert sorted(found["train"] + found["val"]) == paths


def test_labels_in_the_folder_say_what_is_held_out(tmp_path: Path) -> None:
    fill(tmp_path / "in", 3)
    (tmp_path / "labels.csv").write_text("file,split,source\nin/001.png,val,x\nin/000.png,train,x\n")
    found = find_pictures(tmp_path)
    assert [path.name for path in found["val"]] == ["001.png"]
    assert [path.name for path in found["train"]] == ["000.png", "002.png"]


def test_labels_above_the_folder_say_what_is_held_out_of_it(tmp_path: Path) -> None:
    fill(tmp_path / "one", 3)
    fill(tmp_path / "two", 3, start=3)
    (tmp_path / "labels.csv").write_text("file,split\none/001.png,val\ntwo/004.png,val\n")
    found = find_pictures(tmp_path / "one")
    assert [path.name for path in found["val"]] == ["001.png"]
    assert [path.name for path in found["train"]] == ["000.png", "002.png"]


def test_labels_above_are_found_from_inside_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path / "one", 3)
    (tmp_path / "labels.csv").write_text("file,split\none/001.png,val\n")
    monkeypatch.chdir(tmp_path / "one")
    assert [path.name for path in find_pictures(Path("."))["val"]] == ["001.png"]


def test_labels_in_the_folder_go_before_those_above(tmp_path: Path) -> None:
    fill(tmp_path / "one", 2)
    (tmp_path / "labels.csv").write_text("file,split\none/000.png,val\n")
    (tmp_path / "one" / "labels.csv").write_text("file,split\n001.png,val\n")
    assert [path.name for path in find_pictures(tmp_path / "one")["val"]] == ["001.png"]


def test_labels_saved_by_a_spreadsheet_are_understood(tmp_path: Path) -> None:
    fill(tmp_path, 2)
    (tmp_path / "labels.csv").write_text("file,split\r\n001.png,val\r\n", encoding="utf-8-sig")
    assert [path.name for path in find_pictures(tmp_path)["val"]] == ["001.png"]


@pytest.mark.parametrize("text", ["name,age\nAda,36\n", "filename,split\n001.png,val\n", "", "file,split\n,val\n"])
def test_a_labels_file_about_something_else_is_no_obstacle(tmp_path: Path, text: str) -> None:
    paths = fill(tmp_path, 20)
    (tmp_path / "labels.csv").write_text(text)
    assert sum(map(len, find_pictures(tmp_path).values())) == len(paths)


def test_a_folder_that_is_held_out_altogether_is_refused(tmp_path: Path) -> None:
    fill(tmp_path, 1)
    (tmp_path / "labels.csv").write_text("file,split\n000.png,val\n")
    with pytest.raises(PictureError, match="held out"):
        find_pictures(tmp_path)


def test_no_folder_and_no_pictures_are_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no picture")
    with pytest.raises(PictureError, match="no pictures in"):
        find_pictures(tmp_path)
    with pytest.raises(PictureError, match="is not a folder"):
        find_pictures(tmp_path / "notes.txt")
    with pytest.raises(PictureError, match="does not exist"):
        find_pictures(tmp_path / "none")


def test_pictures_are_cut_to_their_centre_square(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (8, 20, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "x.png")
    loaded = load_pictures([tmp_path / "x.png"], 8)
    assert loaded.pixels.dtype == torch.uint8
    assert np.array_equal(loaded.pixels[0].permute(1, 2, 0).numpy(), pixels[:, 6:14])


def test_pictures_of_any_shape_and_size_become_squares(tmp_path: Path) -> None:
    sizes = [(2, 2), (3, 30), (300, 2), (64, 64), (33, 47)]
    paths = [tmp_path / f"{width}x{height}.png" for width, height in sizes]
    for path, size in zip(paths, sizes, strict=True):
        Image.new("RGB", size, (10, 20, 30)).save(path)
    loaded = load_pictures(paths, 16, views=3, zoom=0.9)
    assert loaded.pixels.shape == (15, 3, 16, 16)
    assert (loaded.pixels == torch.tensor([10, 20, 30]).view(3, 1, 1)).all()


def test_unreadable_files_are_left_out_and_listed(tmp_path: Path) -> None:
    paths = fill(tmp_path, 3)
    paths[1].write_bytes(b"no picture")
    loaded = load_pictures(paths, 8)
    assert len(loaded) == 2
    assert [skipped.source for skipped in loaded.skipped] == [paths[1]]
    assert loaded.pixels[:, 0, 0, 0].tolist() == [0, 2]


def test_not_one_readable_file_is_refused(tmp_path: Path) -> None:
    paths = fill(tmp_path, 2)
    for path in paths:
        path.write_bytes(b"no picture")
    with pytest.raises(PictureError, match=r"None of 2 files .*000\.png"):
        load_pictures(paths, 8)


def test_views_are_the_whole_square_first_and_then_random_parts_of_it(picture_folder: Path) -> None:
    paths = sorted(picture_folder.iterdir())[:3]
    whole, views = load_pictures(paths, 16), load_pictures(paths, 16, views=4, zoom=0.3)
    assert len(views) == 12
    assert torch.equal(views.pixels[::4], whole.pixels)
    for i in range(3):
        assert len(views.pixels[4 * i : 4 * i + 4].flatten(1).unique(dim=0)) == 4


def test_a_view_without_zoom_is_the_whole_square(picture_folder: Path) -> None:
    paths = sorted(picture_folder.iterdir())[:2]
    assert torch.equal(load_pictures(paths, 16, views=2).pixels[::2], load_pictures(paths, 16, views=2).pixels[1::2])


def test_views_are_the_same_for_the_same_seed(picture_folder: Path) -> None:
    paths = sorted(picture_folder.iterdir())[:3]
    one, again, other = (load_pictures(paths, 16, views=3, zoom=0.3, seed=seed).pixels for seed in (1, 1, 2))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


def one_by_one(paths: list[Path], size: int, views: int, zoom: float, seed: int) -> Tensor:
    """What `load_pictures` is to make of readable files, in as few words as possible."""
    draw, squares = np.random.default_rng(seed), []
    for path in paths:
        picture = as_rgb(open_picture(path))
        side = min(picture.size)
        for view in range(views):
            window = side * (1 - zoom * draw.random()) if view else side
            x = (picture.width - side) / 2 + (side - window) * draw.random()
            y = (picture.height - side) / 2 + (side - window) * draw.random()
            box = (x, y, x + window, y + window)
            squares.append(np.asarray(picture.resize((size, size), Image.Resampling.LANCZOS, box=box)))
    return torch.from_numpy(np.stack(squares)).permute(0, 3, 1, 2)


@pytest.mark.parametrize("threads", [1, 2, 7])
def test_views_do_not_depend_on_how_many_threads_read_them(picture_folder: Path, threads: int) -> None:
    paths = sorted(picture_folder.iterdir())
    loaded = load_pictures(paths, 16, views=3, zoom=0.3, seed=5, threads=threads)
    assert torch.equal(loaded.pixels, one_by_one(paths, 16, 3, 0.3, 5))


def test_views_of_a_picture_do_not_depend_on_whether_another_can_be_read(picture_folder: Path, tmp_path: Path) -> None:
    paths = sorted(picture_folder.iterdir())[:4]
    whole = load_pictures(paths, 16, views=2, zoom=0.3).pixels
    (tmp_path / "broken.png").write_bytes(b"no picture")
    loaded = load_pictures([paths[0], tmp_path / "broken.png", *paths[2:]], 16, views=2, zoom=0.3)
    assert torch.equal(loaded.pixels, whole[[0, 1, 4, 5, 6, 7]])


def test_files_are_read_ahead_but_not_all_at_once(tmp_path: Path) -> None:
    content = fill(tmp_path, 1)[0].read_bytes()
    begun, seen, distance = 0, 0, []

    def read() -> bytes:
        nonlocal begun
        begun += 1
        return content

    def watch(sources: Iterable[Source]) -> Iterator[Source]:
        nonlocal seen
        for source in sources:
            distance.append(begun - seen)
            seen += 1
            yield source

    members = [Member(f"{number}.png", number, read) for number in range(50)]
    assert len(load_pictures(members, 8, watch=watch, threads=2)) == 50
    assert (begun, seen) == (50, 50)
    assert 2 < max(distance) <= 2 * AHEAD


def test_what_does_not_fit_into_memory_is_reported_before_a_file_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [tmp_path / f"{number}.png" for number in range(1000)]  # not even there
    monkeypatch.setattr(data, "available_memory", lambda: 10**9)
    with pytest.raises(PictureError, match=r"1000 files as 2 squares of 512 .* 1\.6 GB.* 1\.0 GB.*--size.*--views"):
        load_pictures(paths, 512, views=2)
    with pytest.raises(PictureError, match="None of 1000"):
        load_pictures(paths, 256, views=2)  # a quarter of it would fit
    monkeypatch.setattr(data, "available_memory", lambda: None)  # a system that does not say
    with pytest.raises(PictureError, match="None of 2"):
        load_pictures(paths[:2], 256)


def test_training_opens_no_picture(picture_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = shutil.copytree(picture_folder, tmp_path / "in")
    quick = {"iterations": 3, "batch_size": 2, "channels": (16, 16)}
    sizes = {"data": folder, "out": tmp_path / "run", "size": 16, "device": "cpu", "precision": "fp32"}
    request = TrainRequest.model_validate(sizes | {"vae": quick, "denoiser": quick | {"blocks": 1, "mixer": "none"}})
    pictures = read_pictures(request)
    shutil.rmtree(folder)
    opened: list[Path] = []
    open_ = Image.open

    def seen(file: Path, *rest: Any) -> Image.Image:
        opened.append(Path(file))
        return open_(file, *rest)

    monkeypatch.setattr(Image, "open", seen)
    for stage in request.stages:
        assert len(list(run_stage(stage, request, pictures))) == 3
    assert all(path.is_relative_to(request.out) for path in opened)  # its own grids, for the record


def test_a_batch_holds_the_pictures_requested_mirrored_where_asked() -> None:
    pictures = PictureSet(torch.randint(0, 256, (5, 3, 4, 4), dtype=torch.uint8), [])
    batch = pictures.batch(torch.tensor([3, 0, 3]), torch.tensor([False, True, True]))
    assert batch.shape == (3, 3, 4, 4)
    assert batch.abs().max() <= 1
    whole = pictures.batch(torch.arange(5))
    assert torch.equal(batch, torch.stack([whole[3], whole[0].flip(2), whole[3].flip(2)]))
    array = pictures.pixels[2].permute(1, 2, 0).numpy()
    assert torch.equal(whole[2:3], to_tensor(Image.fromarray(array)))


@pytest.mark.parametrize("size", [1, 2, 5, 9])
def test_batches_go_through_all_pictures_in_order(size: int) -> None:
    pictures = PictureSet(torch.randint(0, 256, (5, 3, 4, 4), dtype=torch.uint8), [])
    batches = list(pictures.batches(size))
    assert all(len(batch) <= size for batch in batches)
    assert torch.equal(torch.cat(batches), pictures.batch(torch.arange(5)))
