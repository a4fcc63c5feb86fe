"""`labels.csv`, as people write it: what it says of which picture.

What has one reading is read; what is left over is counted, for it is mostly a mistake.
"""

from __future__ import annotations

import codecs
import csv
import io
import posixpath
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TypeVar

from ddpm_core.data.listing import SUFFIXES
from ddpm_core.images.files import PictureError

LABELS, SPLIT = "labels.csv", "split"
TRAINED, HELD_OUT = {"train"}, {"val", "valid", "validation", "test"}  # names of folders that say so
TRAINED_VALUES = TRAINED | {"training", ""}
HELD_OUT_VALUES = HELD_OUT | {"dev", "eval", "evaluation", "testing", "holdout", "hold-out", "held out", "held_out"}
FILES = (
    "file",
    "file_name",
    "filename",
    "file name",
    "filepath",
    "file_path",
    "path",
    "image",
    "image_path",
    "picture",
)
SEPARATORS = ",;\t|"

Row = Mapping[str, str]
K = TypeVar("K")
V = TypeVar("V")


@dataclass
class Table:
    """A table as it was read; words are NFC, without spaces around."""

    columns: list[str]
    rows: list[dict[str, str]]


@dataclass
class Labels:
    """What a table says of pictures: a row for each that it names, and what did not fit; `columns` is None if it names
    none.
    """

    columns: list[str] | None
    rows: Mapping[PurePosixPath, Row]
    notes: list[str]


def column_named(columns: Iterable[str], name: str) -> str | None:
    """The column of that name, whatever the case."""
    columns = list(columns)
    return name if name in columns else next((c for c in columns if c.casefold() == name.casefold()), None)


def is_held_out(row: Row, columns: Iterable[str]) -> bool:
    """Whether a row holds its picture out."""
    return _split(row, column_named(columns, SPLIT)) in HELD_OUT_VALUES


def _split(row: Row, column: str | None) -> str:
    return row.get(column or "", "").casefold()


def read(content: bytes, name: str) -> Table:
    """A table of any usual separator and encoding, called `name` in errors.

    Raises:
        PictureError: a quote is opened and not closed.
    """
    text = decoded(content)
    if match := re.match(r'"?sep=(.)"?\r?\n', text):  # how Excel is told
        separator, text = match[1], text[match.end() :]
    else:
        separator = _separator(text)
    lines = _rows(text, separator, name)
    columns = lines[0] if lines else []
    return Table(columns, [dict(zip(columns, line, strict=False)) for line in lines[1:]])


def decoded(content: bytes) -> str:
    """The text of a file in UTF-8, UTF-16, Windows' code page or Latin-1."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16", errors="replace")
    if b"\0" in content[:64]:
        return content.decode("utf-16-le" if content[1:2] == b"\0" else "utf-16-be", errors="replace")
    for encoding in ("utf-8-sig", "cp1252"):
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    return content.decode("latin-1")


def _separator(text: str) -> str:
    """That of the first line: under which it has a column of files, or else the most columns."""
    first = next((line for line in text.splitlines() if line.strip()), "")

    def likely(separator: str) -> tuple[bool, int]:
        columns = [word.strip().casefold() for word in next(csv.reader([first], delimiter=separator), [])]
        return any(column in FILES for column in columns), len(columns)

    return max(SEPARATORS, key=likely)


def _rows(text: str, separator: str, name: str) -> list[list[str]]:
    for strict in (True, False):
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True, strict=strict)
        rows, begun = [], 1
        try:
            for row in reader:
                rows.append([unicodedata.normalize("NFC", word).strip() for word in row])
                begun = reader.line_num + 1
            return [row for row in rows if any(row)]
        except csv.Error as error:
            # A quote that is not closed runs on, to the end or to the next quote; words after one are only untidy.
            if reader.line_num > begun or not strict or "end of data" in str(error) or "limit" in str(error):
                raise PictureError(f"{name} opens a quote in line {begun} that is not closed there; mend it.") from None
    return []


def match(table: Table, pictures: Sequence[PurePosixPath], name: str, above: str = "") -> Labels:
    """What a table says of pictures, whose paths are those from where it lies.

    Args:
        name: what a sentence calls the table.
        above: the folder of all pictures, for a table outside of it, which may name others.

    Raises:
        PictureError: it has no header, or holds pictures out and names none that are here.
    """
    above = _key(above)
    if set(_paired(table.columns, pictures, (_as_it_is, str.casefold))):
        raise PictureError(f"The first line of {name} names a picture; it has to name the columns: file,{SPLIT},class.")
    known = [column for column in table.columns if column.casefold() in FILES]
    candidates = known + [column for column in table.columns[:1] if column not in known]
    found: dict[str, dict[str, PurePosixPath]] = {}
    for column in candidates:
        named = list(dict.fromkeys(_key(row.get(column, "")) for row in table.rows if row.get(column)))
        found[column] = _paired(named, pictures) or ({} if above else _paired_by_ends(named, pictures))
    column = max(candidates, key=lambda candidate: len(found[candidate]), default="")
    if not found.get(column):
        sentence = _foreign(table, known, pictures, name)
        if not above and any(is_held_out(row, table.columns) for row in table.rows if row.get(column)):
            raise PictureError(f"{sentence}; correct what it names, or take it away.")
        return Labels(None, {}, [f"{sentence}; it is not used."])
    return _labels(table, column, found[column], pictures, name, above)


def _foreign(table: Table, known: Sequence[str], pictures: Sequence[PurePosixPath], name: str) -> str:
    """What to say of a table that names no picture."""
    if not table.columns:
        return f"{name} is empty"
    files = [row[column] for column in known[:1] for row in table.rows if row.get(column)]
    naming = f"it names {_some(files)}" if files else "none of its columns names files"
    return f"{name} names none of the {len(pictures)} pictures: {naming} (its columns are: {', '.join(table.columns)})"


def _labels(
    table: Table,
    column: str,
    found: Mapping[str, PurePosixPath],
    pictures: Sequence[PurePosixPath],
    name: str,
    above: str,
) -> Labels:
    rows: dict[PurePosixPath, Row] = {}
    missing, contradicted, others = [], set(), Counter[str]()
    split = column_named(table.columns, SPLIT)
    for row in table.rows:
        picture = found.get(_key(row.get(column, "")))
        if picture is None:
            missing += [row] if row.get(column) and _key(row[column]).startswith(above and f"{above}/") else []
            continue
        before = rows.get(picture, row)
        contradicted |= {picture} if before != row else set()
        rows[picture] = before if is_held_out(before, table.columns) else row
        others[_split(row, split)] += 1
    notes = []
    if missing:
        held_out = sum(is_held_out(row, table.columns) for row in missing)
        which = f", {held_out} of them held out" if held_out else ""
        notes.append(
            f"{len(missing)} of {len(table.rows)} rows of {name} name no picture that is here "
            f"({_some([row[column] for row in missing])}){which}."
        )
    if (unnamed := len(pictures) - len(rows)) > 0:
        rest = ", and they are trained on" if split else ""
        notes.append(
            f"{name} names {len(rows)} of {len(pictures)} pictures; of the other {unnamed} it says nothing{rest}."
        )
    if contradicted:
        some = _some([str(picture) for picture in sorted(contradicted)])
        notes.append(f"{name} has rows for one picture that differ ({some}); the last counts, held out stays held out.")
    if strange := [word for word in others if word not in TRAINED_VALUES | HELD_OUT_VALUES]:
        count = sum(others[word] for word in strange)
        notes.append(f"{name} has a {SPLIT} {_some(strange)} of {count} pictures, which is taken for “train”.")
    return Labels(table.columns, rows, notes)


def _some(names: Sequence[str]) -> str:
    names = [ascii(name)[1:-1] if not name.isprintable() else name for name in names[:3]] + ["..."] * (len(names) > 3)
    return ", ".join(name if len(name) < 80 else f"{name[:80]}..." for name in names)


def _key(name: str) -> str:
    """A path as it is compared: NFC, forward slashes, normalised."""
    name = unicodedata.normalize("NFC", name).strip().replace("\\", "/")
    return posixpath.normpath(name) if name else ""


def _as_it_is(key: str) -> str:
    return key


def _bare(key: str) -> str:
    """Without the suffix of a picture, which tables often leave out or have wrong."""
    stem, suffix = posixpath.splitext(key)
    return (stem if suffix.casefold() in SUFFIXES else key).casefold()


FORMS = (_as_it_is, str.casefold, _bare)  # in which names are compared, one after the other


def _paired(
    named: Sequence[str], pictures: Sequence[PurePosixPath], forms: Sequence = FORMS
) -> dict[str, PurePosixPath]:
    """The picture that each key is the path of, spelled the same or, where only one fits, nearly so."""
    keys = {picture: _key(str(picture)) for picture in pictures}
    found: dict[str, PurePosixPath] = {}
    for form in forms:
        matched = set(found.values())
        at = _only((form(key), picture) for picture, key in keys.items() if picture not in matched)
        wanting = _only((form(key), key) for key in map(_key, named) if key not in found)
        found |= {key: at[shape] for shape, key in wanting.items() if shape in at}
    return found


def _paired_by_ends(named: Sequence[str], pictures: Sequence[PurePosixPath]) -> dict[str, PurePosixPath]:
    """The same where the two begin in different folders, say on another machine, or one has none."""
    for form in FORMS[1:]:
        ends = _only((end, picture) for picture in pictures for end in _ends(form(_key(str(picture)))))
        by_cut: dict[str, list[tuple[PurePosixPath, str]]] = defaultdict(list)
        for key in named:
            end = next((end for end in _ends(form(key)) if end in ends), None)
            if end is not None:
                by_cut[form(key)[: -len(end)]].append((ends[end], key))
        if by_cut:  # the same is cut off all names, so that none finds a picture by chance
            most = max(by_cut.values(), key=len)
            return {key: picture for picture, key in _only(most).items()}
    return {}


def _ends(key: str) -> list[str]:
    """A path and what is left when it loses its first folders, longest first."""
    parts = key.split("/")
    return ["/".join(parts[first:]) for first in range(len(parts))]


def _only(pairs: Iterable[tuple[K, V]]) -> dict[K, V]:
    """What belongs to each key that has one thing alone."""
    found: dict[K, set[V]] = defaultdict(set)
    for key, value in pairs:
        found[key].add(value)
    return {key: values.pop() for key, values in found.items() if len(values) == 1}
