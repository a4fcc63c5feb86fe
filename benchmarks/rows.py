"""A benchmark's rows: kept in a file, so that an interrupted one goes on, and shown as a table."""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from ddpm_core.checkpoints.atomic import write_atomically
from ddpm_core.errors import UserError

Row = dict[str, Any]
Key = TypeVar("Key", bound=Hashable)


def read_rows(file: Path | None, key: Callable[[Row], Key]) -> dict[Key, Row]:
    """The rows in a file, by `key`; none if there is no such file yet.

    Raises:
        UserError: it holds something else.
    """
    if file is None or not file.exists():
        return {}
    try:
        return {key(row): row for row in json.loads(file.read_text(encoding="utf-8"))}
    except (ValueError, TypeError, LookupError):
        raise UserError(f"{file} holds no rows of this benchmark; name another file, or move it away.") from None


def write_rows(file: Path, rows: Iterable[Row]) -> None:
    """Write all rows atomically."""
    text = json.dumps(list(rows), indent=2) + "\n"
    write_atomically(file, lambda partial: partial.write_text(text, encoding="utf-8"))


def table(rows: Sequence[Mapping[str, Any]], headings: Mapping[str, str]) -> str:
    """Rows as a table in Markdown, without columns that no row has."""
    columns = [name for name in headings if any(name in row for row in rows)]
    lines = [[headings[name] for name in columns], ["---"] * len(columns)]
    lines += [[cell(row.get(name)) for name in columns] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def cell(value: float | str | None) -> str:
    """A cell of the table: numbers to three digits, nothing where there is none."""
    return f"{value:.3g}" if isinstance(value, float) else "" if value is None else str(value)
