"""What the visitor sees: Gradio components around `ddpm_core`. No tensor arithmetic here.

`page` puts it together from `tabs`, one file a tab and for `inside` one a view, whose common parts are `components`;
`training` starts and watches runs; `api` is for other programs. Beside them: `models` (the checkpoints to choose from),
`theme` (all colours), `errors` (failures as sentences), `run_inputs`, `results` and `files` (what a run starts from and
leaves),
`live_draft`, `play_modes` and `saved_settings` (what single tabs do), `examples` (what the page opens with).
"""

import os

# Gradio reads both whenever a page is made.
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # no calls home
os.environ.setdefault("GRADIO_ANALYTICS_CACHE_FREQUENCY", "1000")  # else it sums up all events after each
