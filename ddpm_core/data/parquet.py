"""Pictures in parquet files as Hugging Face `datasets`, which this needs, writes them; read one group of rows at a
time.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ddpm_core.images.files import Member, PictureError

SUFFIX = ".parquet"
WORDS = ("string", "large_string", "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")


class Parquet:
    """The rows of parquet files, one file after the other.

    Attributes:
        rows: how many each file has.
        columns: those that may tell a picture's class; `named`, those that are nothing but classes.

    Raises:
        PictureError: `datasets` is not installed, a file is damaged or has other columns, or none is of pictures.
    """

    def __init__(self, files: Sequence[Path]):
        try:
            import datasets
            import pyarrow.parquet
        except ImportError:
            raise PictureError(f"To read {files[0]}, install the library that does: pip install datasets.") from None
        self._open = pyarrow.parquet.ParquetFile
        self._at: tuple[int, int] | None = None  # file and group of rows that `_pictures` are from
        self._pictures: Any = None
        self.files, self.rows, headers = list(files), [], []
        for path in files:
            try:
                with self._open(path) as file:
                    self.rows.append(file.metadata.num_rows)
                    headers.append(datasets.Features.from_arrow_schema(file.schema_arrow))
            except Exception as error:  # the system's, pyarrow's, and those of columns newer than the library
                reason = (str(error).splitlines() or ["it is damaged"])[0].rstrip(".")
                raise PictureError(f"{path} cannot be read as parquet: {reason}.") from None
            if headers[-1] != headers[0]:
                raise PictureError(f"{path} has other columns than {files[0]}; give one of the two alone.")
        kinds = headers[0]
        self._names = {name: kind.names for name, kind in kinds.items() if isinstance(kind, datasets.ClassLabel)}
        self.named = list(self._names)
        self.columns = [n for n, kind in kinds.items() if n in self._names or getattr(kind, "dtype", None) in WORDS]
        pictures = [name for name, kind in kinds.items() if isinstance(kind, datasets.Image)]
        pictures += [name for name, kind in kinds.items() if isinstance(kind, dict) and "bytes" in kind]
        if not pictures:
            raise PictureError(f"{files[0]} has no column of pictures; its columns are: {', '.join(kinds)}.")
        self.picture = pictures[0]

    def members(self) -> list[Member]:
        """The picture of each row."""
        found: list[Member] = []
        for number, path in enumerate(self.files):
            with self._open(path) as file:
                groups = [file.metadata.row_group(group).num_rows for group in range(file.metadata.num_row_groups)]
            places = ((group, row) for group, rows in enumerate(groups) for row in range(rows))
            for count, place in enumerate(places):
                name = f"{path.name} row {count}"
                found.append(Member(name, len(found), partial(self._content, number, *place)))
        return found

    def words(self, column: str) -> list[str]:
        """What one of `columns` says in each row, classes by name."""
        values: list[Any] = []
        for path in self.files:
            with self._open(path) as file:
                values += file.read(columns=[column]).column(0).to_pylist()
        if (names := self._names.get(column)) is not None:
            return ["" if value is None or value < 0 else names[value] for value in values]
        return ["" if value is None else str(value) for value in values]

    def _content(self, number: int, group: int, row: int) -> bytes:
        if self._at != (number, group):
            with self._open(self.files[number]) as file:
                self._pictures = file.read_row_group(group, columns=[self.picture]).column(0)
            self._at = number, group
        return self._pictures[row].as_py()["bytes"]
