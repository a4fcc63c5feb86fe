"""Pictures made earlier, with which a tab opens: they are faces, and stand there with checkpoints that know faces."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto

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
