"""What the visitor sees: Gradio components around `ddpm_core`. No tensor arithmetic here.

`page` puts it together from `tabs`, which share `components`; `serving` stands between it and who opens it.
"""

import os

# Gradio reads both whenever a page is made.
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # no calls home
os.environ.setdefault("GRADIO_ANALYTICS_CACHE_FREQUENCY", "1000")  # else it sums up all events after each
