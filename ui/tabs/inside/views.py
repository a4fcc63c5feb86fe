"""The views of the tab, in their order: one module and one line here each."""

from __future__ import annotations

from ui.tabs.inside import (
    autoencoder,
    beliefs,
    cell,
    clamp,
    compare,
    likelihood,
    noise,
    one_step,
    paths,
    points,
)
from ui.tabs.inside.view import View

VIEWS: dict[str, View] = {
    view.name: view
    for view in (
        noise.VIEW,
        one_step.VIEW,
        beliefs.VIEW,
        paths.VIEW,
        cell.VIEW,
        autoencoder.VIEW,
        clamp.VIEW,
        compare.VIEW,
        points.VIEW,
        likelihood.VIEW,
    )
}  # fmt: skip
