"""Older and other names of choices: understood wherever one is named, and never offered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema, core_schema


@dataclass(frozen=True)
class Aliases:
    """Put into a field's `Annotated`: a value that is one of these names becomes what it stands for in the table."""

    names: Mapping[str, str]

    def __call__(self, value: Any) -> Any:
        return self.names.get(value, value) if isinstance(value, str) else value

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(self, handler(source))


def aliases_of(field: FieldInfo) -> Aliases | None:
    """Those of a field, if any."""
    return next((one for one in field.metadata if isinstance(one, Aliases)), None)
