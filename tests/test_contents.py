"""The package's table of contents."""

from __future__ import annotations

import subprocess
import sys

import pytest

import ddpm_core


@pytest.mark.parametrize("name", ddpm_core.__all__)
def test_every_name_of_the_contents_is_the_one_of_its_module(name: str) -> None:
    found = getattr(ddpm_core, name)
    (module,) = [module for module, names in ddpm_core.MODULES.items() if name in names]
    assert found is getattr(sys.modules[f"ddpm_core.{module}"], name)
    assert name in dir(ddpm_core)


def test_the_contents_have_no_other_names_and_modules_are_still_found() -> None:
    assert sorted(name for names in ddpm_core.MODULES.values() for name in names) == sorted(ddpm_core.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Diffusor'"):
        _ = ddpm_core.Diffusor
    with pytest.raises(ImportError):
        from ddpm_core import Diffusor  # type: ignore[attr-defined]  # noqa: F401
    from ddpm_core import sample

    assert sample.__name__ == "ddpm_core.sample"


def test_the_contents_alone_load_nothing() -> None:
    code = "import sys, ddpm_core; print(sorted({'torch', 'numpy', 'pydantic', 'ddpm_core.pipeline'} & {*sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "[]"
