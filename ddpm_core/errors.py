"""What tells a mistake in what was given from a mistake in the program."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, TypeVar

Entry = TypeVar("Entry")


class UserError(ValueError):
    """Something given cannot be used; the message is one sentence, meant to be read, that says what to do about it.

    Every other exception is a mistake of the program's own: it is logged whole, and nobody is advised by its text.
    """


def no_such(what: str, name: object, choices: Iterable[str]) -> UserError:
    """What to raise where `name` is none of the `choices`; `what` says what these are, "noise schedule" say."""
    return UserError(f"there is no {what} {repr(name)[:80]}; choose from: {', '.join(choices)}.")


def lookup(
    table: Mapping[Any, Entry], what: str, name: str, aliases: Mapping[str, str] = MappingProxyType({})
) -> Entry:
    """The entry of that name, or of that alias of one, in a table of choices.

    Raises:
        UserError: there is none; it lists them.
    """
    if isinstance(name, str):
        name = aliases.get(name, name)
    if not isinstance(name, str) or name not in table:  # a config file may have anything for a name
        raise no_such(what, name, table)
    return table[name]
