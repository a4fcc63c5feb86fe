"""What there is to train on: the pictures of a folder or an archive, what is held out, and their classes.

Three shapes are read: a folder, a `.zip` of one, and a `.npz` in MNIST's layout (`x_train`, `y_train`, `x_test`,
`y_test`). Pictures in archives are read from there; nothing is unpacked to disk.
"""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image

from ddpm_core.pictures import PictureError, Source

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff"}
LABELS = "labels.csv"
TRAINED, HELD_OUT = {"train"}, {"val", "valid", "validation", "test"}  # names of folders that say so
COLUMNS = ("class", "label")  # of `labels.csv` that are classes without being asked for
MULTIPLE = 8  # pixels; sides of arrays are brought to one, so MNIST's 28 become the 32 of LeCun et al. 1998

AUTO, NONE, FOLDER = "auto", "none", "folder"


@dataclass
class DataSet:
    """Pictures to train on ("train") and to hold out ("val").

    Attributes:
        sources: by part, where each picture is read from.
        labels: by part, the number of each picture's class, `len(classes)` where it is not known.
        classes: their names; empty if the pictures have none.
    """

    sources: dict[str, list[Source]]
    labels: dict[str, list[int]]
    classes: tuple[str, ...] = ()


@dataclass
class _Entry:
    """A picture, its path inside the data set, and its row of `labels.csv`."""

    source: Source
    name: PurePosixPath
    row: dict[str, str]


def find(data: Path, classes: str = AUTO) -> DataSet:
    """The pictures of a folder or archive, sorted by name.

    Held out is what `labels.csv`, in the folder or the one above it, gives the `split` "val"; without one, what lies
    in a folder `val` or `test` beside a folder `train`, or the test part of a `.npz`; without these, every twentieth
    picture (none if there are fewer than twenty).

    Args:
        classes: what tells a picture's class: "folder" for the folder it lies in, another word for the column of
            `labels.csv` of that name, "none" for nothing. "auto" takes a column `class` or `label`, or the folders if
            there is no `labels.csv` and all pictures lie in folders, one deep (or in `train/<class>/`). A `.npz` has
            its own classes, and takes "auto" and "none" alone.

    Raises:
        PictureError: no such data, no picture in it, none left to train on, or no such classes.
    """
    data = Path(data)
    if data.is_file() and data.suffix.lower() == ".npz":
        return _in_arrays(data, classes)
    if data.is_file() and data.suffix.lower() == ".zip":
        entries, table = _in_zip(data)
    elif data.is_dir():
        entries, table = _in_folder(data)
    else:
        raise PictureError(f"{data} is not a folder; --data needs a folder of pictures, or a .zip or .npz of them.")
    if not entries:
        raise PictureError(f"There are no pictures in {data} (looked for {', '.join(sorted(SUFFIXES))}).")
    held_out = _held_out(entries, table)
    if all(held_out):
        raise PictureError(f"Every picture in {data} is held out by {LABELS}; nothing is left to train on.")
    return _data_set([e.source for e in entries], held_out, _classes(data, entries, table, classes))


def _in_folder(folder: Path) -> tuple[list[_Entry], list[str] | None]:
    """All pictures below a folder, and the columns of its `labels.csv`; None without one."""
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
    rows: dict[Path, dict[str, str]] = {}
    columns = None
    for home in (folder, folder / ".."):
        if (home / LABELS).is_file():
            columns, listed = _table((home / LABELS).read_bytes())
            rows = {(home / name).resolve(): row for name, row in listed.items()}
            break
    return [
        _Entry(p, PurePosixPath(p.relative_to(folder).as_posix()), rows.get(p.resolve(), {})) for p in paths
    ], columns


def _in_zip(path: Path) -> tuple[list[_Entry], list[str] | None]:
    """The same for a `.zip`; a folder around everything in it does not count."""
    try:
        archive = zipfile.ZipFile(path)
        names = sorted(PurePosixPath(name) for name in archive.namelist() if not name.startswith("__MACOSX/"))
        pictures = [name for name in names if name.suffix.lower() in SUFFIXES]
        tables = sorted((name for name in names if name.name == LABELS), key=lambda name: len(name.parts))
        columns, rows = _table(archive.read(str(tables[0]))) if tables else (None, {})
    except (OSError, zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:
        raise PictureError(f"{path} cannot be read as a zip archive: {error}.") from None
    home = tables[0].parent if tables else PurePosixPath()
    rows = {str(home / name): row for name, row in rows.items()}
    tops = {name.parts[0] for name in pictures}
    wrapped = len(tops) == 1 and not tops & TRAINED and all(len(name.parts) > 1 for name in pictures)
    return [
        _Entry(zipfile.Path(archive, str(name)), PurePosixPath(*name.parts[wrapped:]), rows.get(str(name), {}))
        for name in pictures
    ], columns


def _table(text: bytes) -> tuple[list[str], dict[str, dict[str, str]]]:
    """Columns of a `labels.csv`, and its rows by file."""
    reader = csv.DictReader(io.StringIO(text.decode("utf-8-sig", errors="replace"), newline=""))
    return list(reader.fieldnames or []), {row.get("file") or "": row for row in reader}


def _parts(entries: Sequence[_Entry]) -> bool:
    """Whether the top folders are the parts of a data set, as ImageNet's are."""
    tops = {entry.name.parts[0] for entry in entries if len(entry.name.parts) > 1}
    return bool(tops & TRAINED) and all(len(entry.name.parts) > 1 for entry in entries) and tops <= TRAINED | HELD_OUT


def _held_out(entries: Sequence[_Entry], table: list[str] | None) -> list[bool]:
    if table is not None:
        return [entry.row.get("split") == "val" for entry in entries]
    if _parts(entries) and any(entry.name.parts[0] in HELD_OUT for entry in entries):
        return [entry.name.parts[0] in HELD_OUT for entry in entries]
    return _every_twentieth(len(entries))


def _every_twentieth(count: int) -> list[bool]:
    return [number % 20 == 19 for number in range(count)]


def _classes(data: Path, entries: Sequence[_Entry], table: list[str] | None, how: str) -> list[str]:
    """The name of each picture's class, empty where it is not known."""
    if how == AUTO:
        inside = {len(entry.name.parts) for entry in entries} == {3 if _parts(entries) else 2}
        folders = FOLDER if inside and table is None else NONE
        how = next((column for column in COLUMNS if column in (table or [])), folders)
        names = _classes(data, entries, table, how)
        return names if len(set(names)) > 1 else [""] * len(entries)  # one folder of pictures is no class
    if how == NONE:
        return [""] * len(entries)
    if how == FOLDER:
        outside = 2 if _parts(entries) else 1  # parts of the path of a picture that lies in no class's folder
        return ["" if len(entry.name.parts) <= outside else entry.name.parent.name for entry in entries]
    if how not in (table or []):
        known = f"its {LABELS} has: {', '.join(table)}" if table else f"there is no {LABELS} beside the pictures"
        raise PictureError(f"{data} has no column {how!r} to take classes from; {known}.")
    return [entry.row.get(how) or "" for entry in entries]


def _in_arrays(path: Path, classes: str) -> DataSet:
    if classes not in (AUTO, NONE):
        raise PictureError(f"{path} has its own classes, so there is no {classes!r} to take them from.")
    try:
        with np.load(path, allow_pickle=False) as arrays:
            found = {name: arrays[name] for name in ("x_train", "y_train", "x_test", "y_test") if name in arrays}
    except (OSError, ValueError, zipfile.BadZipFile, EOFError) as error:
        raise PictureError(f"{path} cannot be read as arrays: {error}.") from None
    sources: list[Source] = []
    labels: list[str] = []
    held_out: list[bool] = []
    for part in ("train", "test"):
        pixels, label = found.get(f"x_{part}"), found.get(f"y_{part}")
        if pixels is None and part == "test":
            held_out = _every_twentieth(len(sources))
            break
        if pixels is None or pixels.dtype != np.uint8 or not _is_of_pictures(pixels.shape):
            raise PictureError(f"{path} is not in MNIST's layout: x_{part} has to be uint8, (N, H, W) or (N, H, W, 3).")
        if label is not None and label.shape != pixels.shape[:1]:
            raise PictureError(f"{path} is not in MNIST's layout: y_{part} has to be one number per picture.")
        sources += [Image.fromarray(picture) for picture in _padded(pixels)]
        labels += [""] * len(pixels) if label is None or classes == NONE else map(str, label.tolist())
        held_out += [part == "test"] * len(pixels)
    if not sources or all(held_out):
        raise PictureError(f"There are no pictures in {path}.")
    return _data_set(sources, held_out, labels)


def _is_of_pictures(shape: tuple[int, ...]) -> bool:
    return len(shape) in (3, 4) and shape[3:] in ((), (3,)) and all(shape[1:])


def _padded(pixels: np.ndarray) -> np.ndarray:
    """(N, H, W, ...) with its edges continued until both sides are multiples of `MULTIPLE`."""
    short = [-side % MULTIPLE for side in pixels.shape[1:3]]
    border = [(missing // 2, missing - missing // 2) for missing in short]
    return np.pad(pixels, [(0, 0), *border, *[(0, 0)] * (pixels.ndim - 3)], mode="edge")


def _data_set(sources: Sequence[Source], held_out: Sequence[bool], names: Sequence[str]) -> DataSet:
    """Split and number; the classes are those of pictures to train on."""
    classes = sorted({n for n, out in zip(names, held_out, strict=True) if n and not out}, key=_in_order)
    number = {name: i for i, name in enumerate(classes)}
    split = {"train": False, "val": True}
    return DataSet(
        {part: [s for s, out in zip(sources, held_out, strict=True) if out == which] for part, which in split.items()},
        {
            part: [number.get(n, len(classes)) for n, out in zip(names, held_out, strict=True) if out == which]
            for part, which in split.items()
        },
        tuple(classes),
    )


def _in_order(name: str) -> tuple[int, str]:
    """Numbers by value, then words."""
    return (int(name), "") if name.isdecimal() and name.isascii() else (2**63, name)
