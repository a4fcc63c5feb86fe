"""Importing what we are compared with without what only its trainer and its measures need."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable
from types import ModuleType
from typing import Any


class Absent(ModuleType):
    """In the place of a module: anything can be imported from it, and nothing of it be made."""

    def __init__(self, name: str):
        super().__init__(name)
        self.__path__ = []  # a package, too

    def __getattr__(self, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {"__new__": _refuse})


def _refuse(kind: type, *_: Any, **__: Any) -> None:
    raise NotImplementedError(f"{kind.__name__} is of a module that was not to be needed")


def imported(module: str, not_needed: Iterable[str]) -> ModuleType:
    """A module of a library, with `Absent` ones for what is wanted of it never calls.

    Args:
        not_needed: modules to leave out, but for those that are loaded already.

    Raises:
        ModuleNotFoundError: the library, or something it needs, is not installed.
    """
    absent = {name: Absent(name) for name in not_needed if name not in sys.modules}
    sys.modules.update(absent)
    try:
        return importlib.import_module(module)
    finally:
        for name in absent:
            del sys.modules[name]
