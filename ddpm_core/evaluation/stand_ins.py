"""Importing one part of a library without what only its other parts need."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable
from types import ModuleType
from unittest.mock import MagicMock


def imported(module: str, not_needed: Iterable[str]) -> ModuleType:
    """A module of a library, stand-ins in the place of modules that what is wanted of it never calls.

    For libraries whose requirements outweigh the part wanted. torchvision above all is no small thing to ask for: it
    has to be of the very build that torch is of, or else diffusers no longer works beside it.

    Args:
        not_needed: modules imported on the way and not used; those that are loaded already are left as they are.

    Raises:
        ModuleNotFoundError: the library, or something of its that is needed, is not installed.
    """
    stand_ins = {name: MagicMock() for name in not_needed if name not in sys.modules}
    sys.modules.update(stand_ins)
    try:
        return importlib.import_module(module)
    finally:
        for name in stand_ins:
            del sys.modules[name]
