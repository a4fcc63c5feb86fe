"""A moving picture with its download, as a GIF or an MP4."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from ui.components.progress import Updates

FORMATS = [("GIF", "gif"), ("MP4", "mp4")]


class AnimationView:
    """The moving picture, its format and its download.

    Attributes:
        group: all of it; hidden while nothing moves.
        format: "gif" or "mp4".
    """

    def __init__(self, name: str, gif: str | None):
        """Place it here, showing the file `gif`, or hidden without one; `name` is that of the tab."""
        with gr.Group(elem_classes="gif", visible=gif is not None) as self.group:
            self.gif = gr.Image(
                gif, type="filepath", interactive=False, show_label=False, buttons=[], label="GIF",
                elem_id=f"{name}-gif",
            )  # fmt: skip
            self.video = gr.Video(
                format=None, interactive=False, show_label=False, buttons=[], label="MP4", autoplay=True, loop=True,
                elem_id=f"{name}-video", visible=False,
            )  # fmt: skip
            self.download = gr.DownloadButton("Download GIF", gif, elem_id=f"{name}-download", size="md")
            self.format = gr.Radio(
                FORMATS, value="gif", label="Format", show_label=False, container=False, elem_id=f"{name}-format"
            )

    @property
    def parts(self) -> list[Any]:
        """The components that `shows` fills."""
        return [self.group, self.gif, self.video, self.download]

    def shows(self, path: str | None) -> Updates:
        """What shows a GIF or an MP4, or hides all where nothing moves."""
        if path is None:
            return {self.group: gr.update(visible=False), self.gif: None, self.video: None, self.download: None}
        kind = Path(path).suffix.removeprefix(".")
        return {
            self.group: gr.update(visible=True),
            self.gif: gr.update(value=path if kind == "gif" else None, visible=kind == "gif"),
            self.video: gr.update(value=path if kind == "mp4" else None, visible=kind == "mp4"),
            self.download: gr.update(value=path, label=f"Download {kind.upper()}"),
        }
