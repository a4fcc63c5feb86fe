"""What a tab shows when another checkpoint is chosen.

Pictures made earlier, with which it opens, are faces, and stand there with checkpoints that know faces. A visitor's own
stay, and a line says which checkpoint made them.
"""

from __future__ import annotations

import html
from collections.abc import Callable
from enum import Enum, auto

import gradio as gr

from ui.components.progress import Updates
from ui.models import Shelf, knows_faces


class Shown(Enum):
    """What a tab has to show."""

    NOTHING = auto()
    MADE_EARLIER = auto()
    OWN = auto()  # a visitor's; it stays, whatever is chosen

    @classmethod
    def of(cls, what: object, made_earlier: bool) -> Shown:
        """Where `what` is None, there is nothing."""
        if what is None:
            return cls.NOTHING
        return cls.MADE_EARLIER if made_earlier else cls.OWN


def exchange(
    shelf: Shelf, checkpoint: str, shown: Shown, show: Callable[[], Updates], clear: Callable[[], Updates]
) -> Updates:
    """What the choice of a checkpoint puts in the place of what is shown.

    Raises:
        CheckpointError: it cannot be used.
    """
    faces = knows_faces(shelf.load(checkpoint))
    if faces and shown is Shown.NOTHING:
        return show()
    if not faces and shown is Shown.MADE_EARLIER:
        return clear()
    return {}


class MadeWith:
    """The line that says which checkpoint made what is shown, where that is not the chosen one.

    Attributes:
        name: state, that checkpoint; None of what a tab opened with.
        line: on the page; there only where it says something.
    """

    def __init__(self, elem_id: str):
        """Place it here."""
        self.name = gr.State(None)
        self.line = gr.HTML(visible=False, elem_id=elem_id, padding=False)

    @property
    def parts(self) -> list[gr.components.Component]:
        """The components that `now` fills."""
        return [self.name, self.line]

    def now(self, name: str | None) -> Updates:
        """What is shown has just been made with this checkpoint, or is no visitor's."""
        return {self.name: name, self.line: gr.update(visible=False)}

    def chosen(self, checkpoint: str, name: str | None) -> Updates:
        """Another is chosen, and what `name` made still shown."""
        if name is None:
            return {}
        words = f'<p class="hint">Made with {html.escape(name)}.</p>'
        return {self.line: gr.update(value=words, visible=name != checkpoint)}
