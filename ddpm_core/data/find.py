"""What there is to train on: the pictures of a folder or an archive, what is held out, and their classes.

Four shapes are read: a folder; a `.zip` or `.tar` of one; parquet, one file or a folder of them, as Hugging Face
`datasets` writes it; and a `.npz` in MNIST's layout (`x_train`, `y_train`, `x_test`, `y_test`). Nothing is unpacked to
disk. To find is not to read: it takes a look at names and tables, and at the pictures themselves only in a `.npz`.
"""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from PIL import Image

from ddpm_core.data import archives, arrays, parquet
from ddpm_core.images.files import PictureError, Source

PICTURES = {".png", ".apng", ".jpg", ".jpeg", ".jfif", ".webp", ".avif", ".heic", ".heif", ".bmp", ".gif"}
PICTURES |= {".tif", ".tiff"}
SUFFIXES = PICTURES & Image.registered_extensions().keys()  # some builds of Pillow know fewer; HEIC takes pillow-heif
LABELS, SPLIT = "labels.csv", "split"
TRAINED, HELD_OUT = {"train"}, {"val", "valid", "validation", "test"}  # names of folders that say so
COLUMNS = ("class", "label")  # of tables that are classes without being asked for

AUTO, NONE, FOLDER = "auto", "none", "folder"
WANTED = "a folder of pictures, a .zip or .tar of one, or a .parquet or .npz file"


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

    What is hidden (its name, or that of a folder around it, begins with a dot) does not count, linked folders are not
    followed, and parquet files are looked at in a folder that has no pictures.

    Held out is what `labels.csv`, in the folder or the one above it, gives the `split` "val" or "test"; without such
    a column, what lies in a folder `val` or `test` beside a folder `train`, parquet files named so, or the test part
    of a `.npz`; without these, every twentieth picture (none if there are fewer than twenty).

    Args:
        classes: what tells a picture's class: "folder" for the folder it lies in, another word for the column of
            `labels.csv` of that name, "none" for nothing. "auto" takes a column `class` or `label`, or the folders if
            there is no `labels.csv` and all pictures lie in folders, one deep (or in `train/<class>/`). Parquet has
            columns of its own; of these "auto" also takes another one if no second one is of classes. A `.npz` has
            its own classes, and takes "auto" and "none" alone.

    Raises:
        PictureError: no such data, no picture in it, none left to train on, or no such classes.
    """
    data = Path(data)
    name, how = data.name.lower(), classes
    table: list[str] | None
    if data.is_dir():
        entries, table = _in_folder(data)
        if not entries and (files := sorted(_files(data, {parquet.SUFFIX}), key=lambda f: (_part(f), f))):
            entries, table, how = _in_parquet(files, classes)
    elif not data.exists():
        raise PictureError(f"{data} does not exist; --data needs {WANTED}.")
    elif name.endswith(".npz"):
        return _in_arrays(data, classes)
    elif archives.is_archive(data):
        entries, table = _in_archive(data)
    elif name.endswith(parquet.SUFFIX):
        entries, table, how = _in_parquet([data], classes)
    else:
        kind = "is a single picture" if data.suffix.lower() in SUFFIXES else "is not a folder"
        raise PictureError(f"{data} {kind}; --data needs {WANTED}.")
    if not entries:
        raise PictureError(f"There are no pictures in {data} (looked for {', '.join(sorted(SUFFIXES))} and .parquet).")
    held_out = _held_out(entries, table)
    if all(held_out):
        raise PictureError(f"Every picture in {data} is held out by its {SPLIT}; nothing is left to train on.")
    names = _classes(data, entries, table, how)
    if classes == AUTO and len(set(names)) == 1:  # one folder of pictures is no class
        names = [""] * len(names)
    return _data_set([e.source for e in entries], held_out, names)


def _shown(parts: Iterable[str]) -> bool:
    """Whether nothing on a path is hidden, as are thumbnails, trash and what macOS writes beside each file."""
    return not any(part.startswith(".") or part == "__MACOSX" for part in parts)


def _files(folder: Path, suffixes: Iterable[str]) -> list[Path]:
    """The files of these kinds below a folder that are not hidden, sorted."""
    found = []
    for home, folders, names in os.walk(folder):  # follows no links to folders, so it ends
        folders[:] = [name for name in folders if _shown([name])]
        found += [Path(home, name) for name in names if Path(name).suffix.lower() in suffixes and _shown([name])]
    return sorted(path for path in found if path.is_file())  # no pipe, no link to what is gone


def _in_folder(folder: Path) -> tuple[list[_Entry], list[str] | None]:
    """All pictures below a folder, and the columns of its `labels.csv`; None without one."""
    rows: dict[str, dict[str, str]] = {}
    columns = None
    for home in (folder, folder / ".."):
        if (home / LABELS).is_file():
            columns, listed = _table((home / LABELS).read_bytes())
            rows = {os.path.normpath(home.resolve() / name): row for name, row in listed.items()}
            break
    root, entries = folder.resolve(), []
    for path in _files(folder, SUFFIXES):
        inside = path.relative_to(folder)
        row = rows.get(os.path.normpath(root / inside), {})
        entries.append(_Entry(path, PurePosixPath(inside.as_posix()), row))
    return entries, columns


def _in_archive(path: Path) -> tuple[list[_Entry], list[str] | None]:
    """The same for an archive; a folder around everything in it does not count."""
    members = {PurePosixPath(name): member for name, member in archives.members(path).items()}
    names = sorted(name for name in members if _shown(name.parts))
    pictures = [name for name in names if name.suffix.lower() in SUFFIXES]
    tables = sorted((name for name in names if name.name == LABELS), key=lambda name: len(name.parts))
    columns, rows = _table(members[tables[0]].read()) if tables else (None, {})
    home = tables[0].parent if tables else PurePosixPath()
    rows = {str(home / name): row for name, row in rows.items()}
    tops = {name.parts[0] for name in pictures}
    wrapped = len(tops) == 1 and not tops & TRAINED and all(len(name.parts) > 1 for name in pictures)
    return [
        _Entry(members[name], PurePosixPath(*name.parts[wrapped:]), rows.get(str(name), {})) for name in pictures
    ], columns


def _in_parquet(files: Sequence[Path], classes: str) -> tuple[list[_Entry], list[str], str]:
    """The same for parquet files, and the column that is the class; each row counts as a file of its part."""
    found = parquet.Parquet(files)
    if classes == FOLDER:
        raise PictureError(
            f"{files[0]} has no folders to take classes from; its columns are: {', '.join(found.columns)}."
        )
    if classes == AUTO:
        usual = [column for column in COLUMNS if column in found.columns]
        classes = usual[0] if usual else found.named[0] if len(found.named) == 1 else NONE
    told = {column: found.words(column) for column in (classes, SPLIT) if column in found.columns}
    parts = [_part(path) for path, rows in zip(files, found.rows, strict=True) for _ in range(rows)]
    entries = [
        _Entry(member, PurePosixPath(part, member.name), {column: words[number] for column, words in told.items()})
        for number, (member, part) in enumerate(zip(found.members(), parts, strict=True))
    ]
    return entries, found.columns, classes


def _part(path: Path) -> str:
    """The part of the data that a parquet file is of: `train-00000-of-00002`, `train/0000`; empty if it says none."""
    words = (re.split(r"[-_.]", path.name.lower())[0], path.parent.name.lower())
    return next((word for word in words if word in TRAINED | HELD_OUT), "")


def _table(text: bytes) -> tuple[list[str], dict[str, dict[str, str]]]:
    """Columns of a `labels.csv`, and its rows by file."""
    reader = csv.DictReader(io.StringIO(text.decode("utf-8-sig", errors="replace"), newline=""))
    return list(reader.fieldnames or []), {row.get("file") or "": row for row in reader}


def _parts(entries: Sequence[_Entry]) -> bool:
    """Whether the top folders are the parts of a data set, as ImageNet's are."""
    tops = {entry.name.parts[0] for entry in entries if len(entry.name.parts) > 1}
    return bool(tops & TRAINED) and all(len(entry.name.parts) > 1 for entry in entries) and tops <= TRAINED | HELD_OUT


def _held_out(entries: Sequence[_Entry], table: list[str] | None) -> list[bool]:
    if SPLIT in (table or []):
        return [(entry.row.get(SPLIT) or "").strip().lower() in HELD_OUT for entry in entries]
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
    if how == NONE:
        return [""] * len(entries)
    if how == FOLDER:
        outside = 2 if _parts(entries) else 1  # parts of the path of a picture that lies in no class's folder
        return ["" if len(entry.name.parts) <= outside else entry.name.parent.name for entry in entries]
    if how not in (table or []):
        known = f"its columns are: {', '.join(table)}" if table else f"there is no {LABELS} beside the pictures"
        raise PictureError(f"{data} has no column {how!r} to take classes from; {known}.")
    return [entry.row.get(how) or "" for entry in entries]


def _in_arrays(path: Path, classes: str) -> DataSet:
    if classes not in (AUTO, NONE):
        raise PictureError(f"{path} has its own classes, so there is no {classes!r} to take them from.")
    found = arrays.read(path)
    held_out = _every_twentieth(len(found.pictures)) if found.held_out is None else found.held_out
    return _data_set(found.pictures, held_out, [""] * len(held_out) if classes == NONE else found.labels)


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
