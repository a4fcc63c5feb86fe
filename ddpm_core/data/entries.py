"""The pictures of a folder or an archive, each with what the tables beside them say of it.

Of `labels.csv`, one for all, and Hugging Face's `metadata.jsonl`, for its own folder and those below, each adds what
the other leaves out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from ddpm_core.data import metadata, tables
from ddpm_core.data.listing import SUFFIXES, Listing, read_file
from ddpm_core.data.metadata import METADATA
from ddpm_core.data.tables import LABELS, TRAINED, Labels, Row, Table
from ddpm_core.images.files import PictureError, Source


@dataclass
class Entry:
    """A picture, its path inside the data set, and its row of the tables."""

    source: Source
    name: PurePosixPath
    row: Row


@dataclass
class Found:
    """Pictures with what is known of them; `columns` are those of their tables, or None, `notes` and `unused` as in
    `DataSet`.
    """

    entries: list[Entry]
    columns: list[str] | None = None
    notes: list[str] = field(default_factory=list)
    unused: str = ""


def in_folder(folder: Path, listing: Listing) -> Found:
    """All pictures of a folder with what its tables, or those of the folder above, say."""
    pictures = listing.of(SUFFIXES)
    labels = [name for name in listing.files if name.name.casefold() == LABELS and len(name.parts) == 1]
    described = _metadata_in(listing)
    root = folder.resolve()
    found: list[Labels] = []
    for tables_inside, kind in ((labels, LABELS), (described, METADATA)):
        inside = [_inside(listing, name, pictures, described, str(folder / name)) for name in tables_inside]
        if all(each.columns is None for each in inside):
            inside.append(_above(root, kind, pictures))
        found += inside
    merged = _merged(found)
    entries = [Entry(listing.files[name], name, merged.rows.get(name, {})) for name in pictures]
    return Found(entries, merged.columns, merged.notes, listing.unused([*pictures, *labels, *described]))


def in_archive(listing: Listing) -> Found:
    """The same for an archive with its tables inside; a folder around everything does not count."""
    pictures = listing.of(SUFFIXES)
    labels = sorted((n for n in listing.files if n.name.casefold() == LABELS), key=lambda name: len(name.parts))[:1]
    described = _metadata_in(listing)
    merged = _merged([_inside(listing, name, pictures, described, str(name)) for name in (*labels, *described)])
    tops = {name.parts[0] for name in pictures}
    wrapped = len(tops) == 1 and not tops & TRAINED and all(len(name.parts) > 1 for name in pictures)
    entries = [
        Entry(listing.files[name], PurePosixPath(*name.parts[wrapped:]), merged.rows.get(name, {})) for name in pictures
    ]
    return Found(entries, merged.columns, merged.notes, listing.unused([*pictures, *labels, *described]))


def _metadata_in(listing: Listing) -> list[PurePosixPath]:
    return sorted(name for name in listing.files if name.name.casefold() == METADATA)


def _inside(
    listing: Listing,
    name: PurePosixPath,
    pictures: Sequence[PurePosixPath],
    described: Sequence[PurePosixPath],
    at: str,
) -> Labels:
    """What one table says of the pictures from its folder on."""
    home = name.parent
    mine = [picture.relative_to(home) for picture in pictures if picture.is_relative_to(home)]
    title = LABELS
    if name in described:  # it leaves pictures of deeper folders that have their own to that one
        deeper = {other.parent for other in described if other.parent != home and other.is_relative_to(home)}
        mine = [picture for picture in mine if deeper.isdisjoint((home / picture).parents)]
        title = str(name)
    if not mine:
        return Labels(None, {}, [])
    labels = tables.match(_read(listing.content(name), at), mine, title)
    return Labels(labels.columns, {home / picture: row for picture, row in labels.rows.items()}, labels.notes)


def _above(root: Path, kind: str, pictures: Sequence[PurePosixPath]) -> Labels:
    """The same for the table in the folder above, which may be about other things."""
    path, name = root.parent / kind, f"{kind} in the folder above"
    if not pictures or not path.is_file():
        return Labels(None, {}, [])
    content = read_file(path)
    try:
        table = _read(content, str(path))
    except PictureError:
        if f"{root.name}/".encode() in content:
            raise
        return Labels(None, {}, [f"{name} cannot be read as a table, and is not used."])
    labels = tables.match(table, [root.name / picture for picture in pictures], name, root.name)
    return Labels(labels.columns, {p.relative_to(root.name): row for p, row in labels.rows.items()}, labels.notes)


def _read(content: bytes, at: str) -> Table:
    read = metadata.read if PurePosixPath(at.replace("\\", "/")).name.casefold() == METADATA else tables.read
    return read(content, at)


def _merged(found: Sequence[Labels]) -> Labels:
    """All tables as one: columns of those that name pictures; of two words on one thing the first."""
    used = [labels for labels in found if labels.columns is not None]
    rows: dict[PurePosixPath, Row] = {}
    for labels in used:
        for picture, row in labels.rows.items():
            rows[picture] = _filled(rows[picture], row) if picture in rows else row
    columns = list(dict.fromkeys(column for labels in used for column in labels.columns or []))
    return Labels(columns if used else None, rows, [note for labels in found for note in labels.notes])


def _filled(first: Row, second: Row) -> Mapping[str, str]:
    return {**second, **{column: word for column, word in first.items() if word or column not in second}}
