"""How handlers are run: one at a time where they use a model, and out of sight of other programs."""

from __future__ import annotations

from typing import Any

# Buttons of different tabs share one line: the limit is per id, and the machine has one model's worth of memory.
ONE_AT_A_TIME: dict[str, Any] = {"concurrency_id": "model", "concurrency_limit": 1}
# Handlers of the page itself; what other programs may call stands in `ui.api`.
PAGE_ONLY: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
AT_ONCE: dict[str, Any] = {**PAGE_ONLY, "queue": False}
