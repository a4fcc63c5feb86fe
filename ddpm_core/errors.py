"""What tells a mistake in what was given from a mistake in the program."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

Entry = TypeVar("Entry")

FIELD = re.compile(r"\{(\w+)\}")  # in the message of a validator: a field of the same request


class UserError(ValueError):
    """Something given cannot be used; the message is one sentence for people that says what to do about it.

    Every other exception is the program's own mistake: it is logged whole, and nobody is advised by its text.
    """


def no_such(what: str, name: object, choices: Iterable[str]) -> UserError:
    """What to raise where `name` is none of the `choices`; `what` says what these are."""
    return UserError(f"there is no {what} {repr(name)[:80]}; choose from: {', '.join(choices)}.")


def lookup(
    table: Mapping[Any, Entry], what: str, name: str, aliases: Mapping[str, str] = MappingProxyType({})
) -> Entry:
    """The entry of that name or alias in a table of choices.

    Raises:
        UserError: there is none; it lists them.
    """
    if isinstance(name, str):
        name = aliases.get(name, name)
    if not isinstance(name, str) or name not in table:  # a config file may have anything for a name
        raise no_such(what, name, table)
    return table[name]


def _field(place: tuple[int | str, ...]) -> str:
    return " ".join(map(str, place)) or "request"


def complaint(error: ValidationError, name_of: Callable[[tuple[int | str, ...]], str] = _field) -> str:
    """One sentence for the first thing wrong with a request, naming the field and what it got.

    `name_of` says what a field is called where it was given, of its place in the request. A validator's message names
    other fields in braces: "must be 1 with {churn}".
    """
    first = error.errors()[0]
    if isinstance(cause := first.get("ctx", {}).get("error"), UserError):
        return str(cause)  # a sentence already
    name = name_of(first["loc"])
    if first["type"] == "missing":
        return f"{name} is missing."
    message = first["msg"].removeprefix("Value error, ").removeprefix("Input ")
    if first["type"] in ("int_from_float", "int_parsing", "float_parsing"):
        message = message.partition(", ")[0]  # why it is none, the value behind it shows
    several = isinstance(first["input"], dict | BaseModel)  # said of several fields together, which the message names
    section = first["loc"] if several else first["loc"][:-1]
    plain, message = message, FIELD.sub(lambda found: name_of((*section, found[1])), message)
    if several and plain != message:
        return f"{message}."
    if several:
        return f"{message}." if not first["loc"] else f"{name}: {message}."
    return f"{name} {message}, not {str(first['input'])[:60]!r}."
