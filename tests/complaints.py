"""What is wrong with a request, as it is told."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from ddpm_core.errors import complaint


def complaint_of(model: type[BaseModel], **values: Any) -> str:
    """The one sentence by which `model` refuses these values."""
    with pytest.raises(ValidationError) as caught:
        model.model_validate(values)
    sentence = complaint(caught.value)
    assert sentence.endswith(".")
    assert "\n" not in sentence
    return sentence
