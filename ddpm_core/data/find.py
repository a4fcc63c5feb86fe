"""What there is to train on: pictures, what is held out, their classes and captions.

Read are a folder; a `.zip` or `.tar` of one; parquet as Hugging Face `datasets` writes it; and a `.npz` in MNIST's
layout. Nothing is unpacked to disk.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path, PurePath, PurePosixPath
from typing import TypeVar

from ddpm_core.data import arrays, parquet
from ddpm_core.data.archives import is_archive
from ddpm_core.data.entries import Entry, Found, in_archive, in_folder
from ddpm_core.data.listing import SUFFIXES, of_archive, of_folder
from ddpm_core.data.tables import HELD_OUT, LABELS, SPLIT, TRAINED, Row, column_named, is_held_out
from ddpm_core.images.files import PictureError, Source

COLUMNS = ("class", "label")  # of tables that are classes without being asked for
CAPTIONS = ("caption", "text")  # of tables that are captions, the first that is there
ADVICE = {  # on what is not used, by suffix
    ".heic": "pip install pillow-heif has .heic read",
    ".heif": "pip install pillow-heif has .heif read",
    ".parquet": "parquet files are read from a folder without pictures",
    ".zip": "an archive is read if it is all that --data names",
}

T = TypeVar("T")

AUTO, NONE, FOLDER = "auto", "none", "folder"
HELD_OUT_FRACTION = 0.05  # of data that does not say itself what is held out
ACCEPTED = "a folder of pictures, a .zip or .tar of one, or a .parquet or .npz file"


@dataclass
class DataSet:
    """Pictures to train on ("train") and to hold out ("val").

    Attributes:
        sources, rows: by split, where each picture is read from, and all that the tables say of it.
        labels: by split, the number of each picture's class, `len(classes)` where unknown.
        captions: by split, words for each picture, "" where nothing is said; None if no picture has any.
        columns: of the tables.
        unused: what is there besides, counted by suffix.
        notes: sentences on what does not fit, and on what is not used.
    """

    sources: dict[str, list[Source]]
    labels: dict[str, list[int]]
    classes: tuple[str, ...] = ()
    captions: dict[str, list[str]] | None = None
    rows: dict[str, list[Row]] = field(default_factory=dict)
    columns: tuple[str, ...] = ()
    unused: str = ""
    notes: list[str] = field(default_factory=list)


def find(data: Path, classes: str = AUTO, fraction: float = HELD_OUT_FRACTION) -> DataSet:
    """The pictures of a folder or archive, sorted by name.

    Held out is what a table gives the `split` "val" or "test"; without such a column, what lies in a folder `val` or
    `test` beside a folder `train`, parquet files named so, or the test part of a `.npz`; else a `fraction`, evenly
    spread. Captions are in a column `caption` or `text`.

    Args:
        classes: "folder" for the folder a picture lies in, "none", or a column's name. "auto" takes a column `class` or
            `label`, or of parquet the only one of classes, or the folders if there is no table and all pictures lie one
            deep (or in `train/<class>/`). A `.npz` has its own: "auto" or "none".
        fraction: 0 to 1, of the pictures.

    Raises:
        PictureError: no such data, no picture in it, none left to train on, no such classes, or a table that cannot be
            read or holds out pictures that are not there.
    """
    data = Path(data)
    name, how = data.name.lower(), classes
    if data.is_dir():
        listing = of_folder(data)
        if not listing.of(SUFFIXES) and (files := listing.of({parquet.SUFFIX})):
            found, how = _in_parquet([data / file for file in sorted(files, key=lambda f: (_split_of(f), f))], classes)
            found.unused = listing.unused(files)
        else:
            found = in_folder(data, listing)
    elif not data.exists():
        raise PictureError(f"{data} does not exist; name {ACCEPTED}.")
    elif name.endswith(".npz"):
        return _in_arrays(data, classes, fraction)
    elif is_archive(data):
        found = in_archive(of_archive(data))
    elif name.endswith(parquet.SUFFIX):
        found, how = _in_parquet([data], classes)
    else:
        kind = "is a single picture" if data.suffix.lower() in SUFFIXES else "is not a folder"
        raise PictureError(f"{data} {kind}; name {ACCEPTED}.")
    entries, unused = found.entries, _unused(found.unused)
    if not entries:
        raise PictureError(
            f"There are no pictures in {data} (looked for {', '.join(sorted(SUFFIXES))} and .parquet). {unused}".strip()
        )
    held_out = _held_out(entries, found.columns, fraction)
    if all(held_out):
        raise PictureError(f"Every picture in {data} is held out by its {SPLIT}; nothing is left to train on.")
    names = _classes(data, found, how)
    if classes == AUTO and len(set(names)) == 1:  # one folder of pictures is no class
        names = [""] * len(names)
    dataset = _data_set([e.source for e in entries], held_out, names)
    dataset.rows = _by_split([e.row for e in entries], held_out)
    dataset.columns = tuple(found.columns or ())
    captions, without = _captions(entries, dataset.columns)
    dataset.captions = _by_split(captions, held_out) if captions else None
    dataset.unused = found.unused
    dataset.notes = found.notes + without + _almost_splits(found) + ([unused] if unused else [])
    return dataset


def _unused(counted: str) -> str:
    """A sentence on what is there and not used."""
    if not counted:
        return ""
    advice = [sentence for kind, sentence in ADVICE.items() if re.search(rf"\d {re.escape(kind)}\b", counted)]
    return f"In the data and not used: {'; '.join([counted, *advice])}."


def _in_parquet(files: Sequence[Path], classes: str) -> tuple[Found, str]:
    """The same for parquet files, and the column that is the class."""
    found = parquet.Parquet(files)
    if classes == FOLDER:
        raise PictureError(
            f"{files[0]} has no folders to take classes from; its columns are: {', '.join(found.columns)}."
        )
    if classes == AUTO:
        usual = [column for column in COLUMNS if column_named(found.columns, column)]
        classes = usual[0] if usual else found.named[0] if len(found.named) == 1 else NONE
    columns = {column: found.words(column) for column in found.columns}
    splits = [_split_of(path) for path, rows in zip(files, found.rows, strict=True) for _ in range(rows)]
    entries = [
        Entry(member, PurePosixPath(split, member.name), {column: words[number] for column, words in columns.items()})
        for number, (member, split) in enumerate(zip(found.members(), splits, strict=True))
    ]
    return Found(entries, found.columns), classes


def _split_of(path: PurePath) -> str:
    """The part that a parquet file is of, as `train-00000-of-00002` and `train/0000` say, or ""."""
    words = (re.split(r"[-_.]", path.name.lower())[0], path.parent.name.lower())
    return next((word for word in words if word in TRAINED | HELD_OUT), "")


def _tops(entries: Sequence[Entry]) -> set[str]:
    return {entry.name.parts[0].lower() for entry in entries if len(entry.name.parts) > 1}


def _has_splits(entries: Sequence[Entry]) -> bool:
    """Whether the top folders are the parts of a data set, as ImageNet's are."""
    tops = _tops(entries)
    return bool(tops & TRAINED) and all(len(entry.name.parts) > 1 for entry in entries) and tops <= TRAINED | HELD_OUT


def _almost_splits(found: Found) -> list[str]:
    """A sentence if they were the parts of a data set, but for what lies beside them."""
    tops = _tops(found.entries)
    if (
        _has_splits(found.entries)
        or not tops & TRAINED
        or not tops & HELD_OUT
        or column_named(found.columns or [], SPLIT)
    ):
        return []
    beside = sorted(tops - TRAINED - HELD_OUT) + [str(e.name) for e in found.entries if len(e.name.parts) == 1]
    return [
        f"Beside the folders {' and '.join(sorted(tops & (TRAINED | HELD_OUT)))} there are others or pictures "
        f"({', '.join(beside[:3])}), so what they are called holds nothing out."
    ]


def _held_out(entries: Sequence[Entry], columns: list[str] | None, fraction: float) -> list[bool]:
    if column_named(columns or [], SPLIT):
        return [is_held_out(entry.row, columns or []) for entry in entries]
    if _has_splits(entries) and _tops(entries) & HELD_OUT:
        return [entry.name.parts[0].lower() in HELD_OUT for entry in entries]
    return _evenly(len(entries), fraction)


def _evenly(count: int, fraction: float) -> list[bool]:
    """Which of `count` pictures make up a fraction: each that brings it a whole one more."""
    exact = Fraction(str(fraction))  # as it is written: in binary, 0.05 is no twentieth
    return [int(exact * (number + 1)) > int(exact * number) for number in range(count)]


def _classes(data: Path, found: Found, how: str) -> list[str]:
    """The name of each picture's class, empty where unknown."""
    entries, columns = found.entries, found.columns
    if how == AUTO:
        inside = {len(entry.name.parts) for entry in entries} == {3 if _has_splits(entries) else 2}
        folders = FOLDER if inside and columns is None else NONE
        how = next((column for column in COLUMNS if column_named(columns or [], column)), folders)
    if how == NONE:
        return [""] * len(entries)
    if how == FOLDER:
        outside = 2 if _has_splits(entries) else 1  # parts of the path of a picture that lies in no class's folder
        return ["" if len(entry.name.parts) <= outside else entry.name.parent.name for entry in entries]
    column = column_named(columns or [], how)
    if column is None:
        missing = " ".join(found.notes).rstrip(".") or f"there is no {LABELS} beside the pictures"
        known = f"its columns are: {', '.join(columns)}" if columns else missing
        raise PictureError(f"{data} has no column {how!r} to take classes from; {known}.")
    return [entry.row.get(column) or "" for entry in entries]


def _captions(entries: Sequence[Entry], columns: Sequence[str]) -> tuple[list[str], list[str]]:
    """Each picture's caption on one line, and a sentence if only some have one."""
    column = next((found for name in CAPTIONS if (found := column_named(columns, name))), None)
    words = [" ".join(unicodedata.normalize("NFC", entry.row.get(column or "", "")).split()) for entry in entries]
    if not any(words):
        return [], []
    missing = words.count("")
    return words, [f"{missing:,} of {len(words):,} pictures have no {column}."] if missing else []


def _in_arrays(path: Path, classes: str, fraction: float) -> DataSet:
    if classes not in (AUTO, NONE):
        raise PictureError(f"{path} has its own classes, so there is no {classes!r} to take them from.")
    found = arrays.read(path)
    held_out = _evenly(len(found.pictures), fraction) if found.held_out is None else found.held_out
    dataset = _data_set(found.pictures, held_out, [""] * len(held_out) if classes == NONE else found.labels)
    if found.unused:
        dataset.unused = f"the arrays {', '.join(found.unused)}"
        dataset.notes = [_unused(dataset.unused)]
    return dataset


def _data_set(sources: Sequence[Source], held_out: Sequence[bool], names: Sequence[str]) -> DataSet:
    """Split and number; the classes are those of pictures to train on."""
    names = [unicodedata.normalize("NFC", name) for name in names]  # as keyboards write it; macOS's folders do not
    classes = sorted({n for n, out in zip(names, held_out, strict=True) if n and not out}, key=_in_order)
    number = {name: i for i, name in enumerate(classes)}
    numbers = [number.get(name, len(classes)) for name in names]
    return DataSet(_by_split(sources, held_out), _by_split(numbers, held_out), tuple(classes))


def _by_split(values: Sequence[T], held_out: Sequence[bool]) -> dict[str, list[T]]:
    splits = {"train": False, "val": True}
    return {
        split: [v for v, out in zip(values, held_out, strict=True) if out == which] for split, which in splits.items()
    }


def _in_order(name: str) -> tuple[int, str]:
    """Numbers by value, then words."""
    return (int(name), "") if name.isdecimal() and name.isascii() else (2**63, name)
