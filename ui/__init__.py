"""What the visitor sees: Gradio components around `ddpm_core`. No tensor arithmetic here."""

import os

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # read when gradio is imported, so before any room does
os.environ.setdefault("GRADIO_ANALYTICS_CACHE_FREQUENCY", "1000")  # else it sums up all events after each
