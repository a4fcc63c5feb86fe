"""Importing one module of a package without what only its other modules need."""

from __future__ import annotations

import importlib
import sys
from importlib.util import find_spec, module_from_spec
from types import ModuleType


def submodule(package: str, name: str) -> ModuleType:
    """A module of a package, without running the package's own `__init__`; nothing of it stays in `sys.modules`.

    For packages whose requirements outweigh the module. Raises `ModuleNotFoundError` if something it needs is not
    installed.
    """
    if package in sys.modules:
        return importlib.import_module(f"{package}.{name}")
    # Of torchvision, above all, no build but torch's own may be loaded, or diffusers no longer works beside it.
    spec = find_spec(package)
    if spec is None:
        raise ModuleNotFoundError(f"No module named {package!r}", name=package)
    sys.modules[package] = module_from_spec(spec)  # knows where its modules lie, and has run nothing
    try:
        return importlib.import_module(f"{package}.{name}")
    finally:
        for loaded in [each for each in sys.modules if each == package or each.startswith(f"{package}.")]:
            del sys.modules[loaded]
