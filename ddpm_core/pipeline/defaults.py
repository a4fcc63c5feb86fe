"""The defaults that a checkpoint may have in place of the requests'."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from ddpm_core.errors import complaint
from ddpm_core.requests import METHOD, OWNERS, REQUESTS


def fitting(defaults: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """`defaults` less the settings of a sampler or spacing in whose place another is `given`."""
    strange = {name for name, (field, owners) in OWNERS.items() if given.get(field, owners[0]) not in owners}
    return {name: value for name, value in defaults.items() if name not in strange}


def wrong_defaults(defaults: Mapping[str, dict[str, Any]]) -> str:
    """What is wrong with a checkpoint's `defaults`, in words; empty if nothing."""
    for action, values in defaults.items():
        if action not in REQUESTS:
            return f"there is no action {action!r}; choose from: {', '.join(REQUESTS)}"
        fields = [name for name in METHOD if name in REQUESTS[action].model_fields]
        if unknown := [name for name in values if name not in fields]:
            return f"{action} takes none for {unknown[0]!r}; choose from: {', '.join(fields)}"
        try:
            REQUESTS[action].model_validate(values)
        except ValidationError as error:
            return f"{action} {complaint(error).removesuffix('.')}"
    return ""
