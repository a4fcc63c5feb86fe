"""The studio as a Hugging Face Space: everybody may come, nobody may train.

The Space's variable STUDIO_CHECKPOINT names another checkpoint than the first, `user/name` on the Hub also.
"""

import os
import sys

from ui.studio import command

# Visitors come through the Hub's proxy, whose address is not known before and from whose network alone the app is seen.
sys.argv += ["--host", "0.0.0.0", "--no-allow-training", "--trust-proxy", "*", "--mcp"]
sys.argv += ["--checkpoint", os.environ.get("STUDIO_CHECKPOINT") or "FIRST"]
command()
