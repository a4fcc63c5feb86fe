"""What tells a mistake in what was given from a mistake in the program."""

from __future__ import annotations


class UserError(ValueError):
    """Something given cannot be used; the message is one sentence, meant to be read, that says what to do about it.

    Every other exception is a mistake of the program's own: it is logged whole, and nobody is advised by its text.
    """
