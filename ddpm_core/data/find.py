"""What there is to train on: the pictures of a folder or an archive, what is held out, and their classes.

Four shapes are read: a folder; a `.zip` or `.tar` of one; parquet, a file or a folder of them, as Hugging Face
`datasets` writes it; and a `.npz` in MNIST's layout (`x_train`, `y_train`, `x_test`, `y_test`). Nothing is unpacked to
disk. Names and tables are read, pictures themselves only in a `.npz`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path, PurePath, PurePosixPath

from ddpm_core.data import arrays, parquet, tables
from ddpm_core.data.archives import is_archive
from ddpm_core.data.listing import SUFFIXES, Listing, of_archive, of_folder, read_file
from ddpm_core.data.tables import HELD_OUT, LABELS, SPLIT, TRAINED, Row, column_named, is_held_out
from ddpm_core.images.files import PictureError, Source

COLUMNS = ("class", "label")  # of tables that are classes without being asked for
ADVICE = {  # on what is not used, by suffix
    ".heic": "pip install pillow-heif has .heic read",
    ".heif": "pip install pillow-heif has .heif read",
    ".parquet": "parquet files are read from a folder without pictures",
    ".zip": "an archive is read if it is all that --data names",
}

AUTO, NONE, FOLDER = "auto", "none", "folder"
HELD_OUT_FRACTION = 0.05  # of data that does not say itself what is held out
ACCEPTED = "a folder of pictures, a .zip or .tar of one, or a .parquet or .npz file"


@dataclass
class DataSet:
    """Pictures to train on ("train") and to hold out ("val").

    Attributes:
        sources: by part, where each picture is read from.
        labels: by part, the number of each picture's class, `len(classes)` where unknown.
        classes: their names; empty if the pictures have none.
        unused: what is there besides, counted by suffix: "30 .heic, 1 .txt".
        notes: sentences on what a table says and pictures do not, and on what is not used.
    """

    sources: dict[str, list[Source]]
    labels: dict[str, list[int]]
    classes: tuple[str, ...] = ()
    unused: str = ""
    notes: list[str] = field(default_factory=list)


@dataclass
class _Entry:
    """A picture, its path inside the data set, and its row of `labels.csv`."""

    source: Source
    name: PurePosixPath
    row: Row


@dataclass
class _Found:
    """Pictures with what is known of them.

    Attributes:
        columns: of their table, or None.
        notes: see `DataSet`; those of a table that is not used tell why its columns are not there.
    """

    entries: list[_Entry]
    columns: list[str] | None = None
    notes: list[str] = field(default_factory=list)
    unused: str = ""


def find(data: Path, classes: str = AUTO, fraction: float = HELD_OUT_FRACTION) -> DataSet:
    """The pictures of a folder or archive, sorted by name.

    Hidden files and folders (names that begin with a dot), what systems keep there and what training wrote do not count
    (see `listing`), nor do linked folders; parquet files count in a folder without pictures.

    Held out is what `labels.csv`, in the folder or the one above it, gives the `split` "val" or "test"; without such a
    column, what lies in a folder `val` or `test` beside a folder `train`, parquet files named so, or the test part of a
    `.npz`; without these, a `fraction` of the pictures, evenly spread: at 0.05 every twentieth, none of fewer than
    twenty.
    A table that names none of the pictures counts as none, and one of the notes says so.

    Args:
        classes: what tells a picture's class: "folder" for the folder it lies in, another word for the column of
            `labels.csv` of that name, "none" for nothing. "auto" takes a column `class` or `label`, or the folders if
            there is no `labels.csv` and all pictures lie in folders, one deep (or in `train/<class>/`). Parquet has its
            own columns; "auto" takes any that is the only one of classes. A `.npz` has its own classes: "auto" or
            "none".
        fraction: 0 to 1, of the pictures, held out where the data does not say which.

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
            found = _in_folder(data, listing)
    elif not data.exists():
        raise PictureError(f"{data} does not exist; --data needs {ACCEPTED}.")
    elif name.endswith(".npz"):
        return _in_arrays(data, classes, fraction)
    elif is_archive(data):
        found = _in_archive(of_archive(data))
    elif name.endswith(parquet.SUFFIX):
        found, how = _in_parquet([data], classes)
    else:
        kind = "is a single picture" if data.suffix.lower() in SUFFIXES else "is not a folder"
        raise PictureError(f"{data} {kind}; --data needs {ACCEPTED}.")
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
    dataset.unused = found.unused
    dataset.notes = found.notes + _almost_splits(found) + ([unused] if unused else [])
    return dataset


def _unused(counted: str) -> str:
    """A sentence on what is there and not used; empty if nothing is."""
    if not counted:
        return ""
    advice = [sentence for kind, sentence in ADVICE.items() if re.search(rf"\d {re.escape(kind)}\b", counted)]
    return f"In the data and not used: {'; '.join([counted, *advice])}."


def _in_folder(folder: Path, listing: Listing) -> _Found:
    """All pictures of a folder, and what its `labels.csv`, or that of the folder above, says of them."""
    pictures = listing.of(SUFFIXES)
    own = [name for name in listing.files if name.name.casefold() == LABELS and len(name.parts) == 1]
    root = folder.resolve()
    places = [(folder / name, LABELS, "") for name in own]
    places += [(root.parent / LABELS, f"{LABELS} in the folder above", root.name)]
    notes: list[str] = []
    for path, name, above in places:
        if not pictures or not path.is_file():
            continue
        content = read_file(path)
        try:
            table = tables.read(content, str(path))
        except PictureError:
            if above and f"{above}/".encode() not in content:
                notes.append(f"{name} cannot be read as a table, and is not used.")
                continue
            raise
        labels = tables.match(table, [above / name for name in pictures] if above else pictures, name, above)
        notes += labels.notes
        if labels.columns is not None:
            entries = [_Entry(listing.files[n], n, labels.rows.get(above / n if above else n, {})) for n in pictures]
            return _Found(entries, labels.columns, notes, listing.unused([*pictures, *own]))
    entries = [_Entry(listing.files[name], name, {}) for name in pictures]
    return _Found(entries, None, notes, listing.unused([*pictures, *own]))


def _in_archive(listing: Listing) -> _Found:
    """The same for an archive with its table inside; a folder around everything does not count."""
    pictures = listing.of(SUFFIXES)
    found = sorted((n for n in listing.files if n.name.casefold() == LABELS), key=lambda name: len(name.parts))[:1]
    labels = tables.Labels(None, {}, [])
    for name in found if pictures else []:
        home = name.parent
        inside = [picture.relative_to(home) for picture in pictures if picture.is_relative_to(home)]
        labels = tables.match(tables.read(listing.content(name), str(name)), inside, LABELS)
        labels.rows = {home / picture: row for picture, row in labels.rows.items()}
    tops = {name.parts[0] for name in pictures}
    wrapped = len(tops) == 1 and not tops & TRAINED and all(len(name.parts) > 1 for name in pictures)
    entries = [
        _Entry(listing.files[name], PurePosixPath(*name.parts[wrapped:]), labels.rows.get(name, {}))
        for name in pictures
    ]
    return _Found(entries, labels.columns, labels.notes, listing.unused([*pictures, *found]))


def _in_parquet(files: Sequence[Path], classes: str) -> tuple[_Found, str]:
    """The same for parquet files, and the column that is the class; each row counts as a file of its part."""
    found = parquet.Parquet(files)
    if classes == FOLDER:
        raise PictureError(
            f"{files[0]} has no folders to take classes from; its columns are: {', '.join(found.columns)}."
        )
    if classes == AUTO:
        usual = [column for column in COLUMNS if column_named(found.columns, column)]
        classes = usual[0] if usual else found.named[0] if len(found.named) == 1 else NONE
    used = {column_named(found.columns, column) for column in (classes, SPLIT)} - {None}
    columns = {column: found.words(column) for column in found.columns if column in used}
    splits = [_split_of(path) for path, rows in zip(files, found.rows, strict=True) for _ in range(rows)]
    entries = [
        _Entry(member, PurePosixPath(split, member.name), {column: words[number] for column, words in columns.items()})
        for number, (member, split) in enumerate(zip(found.members(), splits, strict=True))
    ]
    return _Found(entries, found.columns), classes


def _split_of(path: PurePath) -> str:
    """The part of the data that a parquet file is of, as `train-00000-of-00002` and `train/0000` say; else empty."""
    words = (re.split(r"[-_.]", path.name.lower())[0], path.parent.name.lower())
    return next((word for word in words if word in TRAINED | HELD_OUT), "")


def _tops(entries: Sequence[_Entry]) -> set[str]:
    """The top folders, in small letters."""
    return {entry.name.parts[0].lower() for entry in entries if len(entry.name.parts) > 1}


def _has_splits(entries: Sequence[_Entry]) -> bool:
    """Whether the top folders are the parts of a data set, as ImageNet's are."""
    tops = _tops(entries)
    return bool(tops & TRAINED) and all(len(entry.name.parts) > 1 for entry in entries) and tops <= TRAINED | HELD_OUT


def _almost_splits(found: _Found) -> list[str]:
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


def _held_out(entries: Sequence[_Entry], columns: list[str] | None, fraction: float) -> list[bool]:
    if column_named(columns or [], SPLIT):
        return [is_held_out(entry.row, columns or []) for entry in entries]
    if _has_splits(entries) and _tops(entries) & HELD_OUT:
        return [entry.name.parts[0].lower() in HELD_OUT for entry in entries]
    return _evenly(len(entries), fraction)


def _evenly(count: int, fraction: float) -> list[bool]:
    """Which of `count` pictures make up a fraction of them: each that brings the number due to a whole one more."""
    exact = Fraction(str(fraction))  # as it is written: in binary, 0.05 is no twentieth
    return [int(exact * (number + 1)) > int(exact * number) for number in range(count)]


def _classes(data: Path, found: _Found, how: str) -> list[str]:
    """The name of each picture's class, empty where it is not known."""
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
