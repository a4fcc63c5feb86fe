"""The view Cell: which pixels one cell of the latent paints."""

from __future__ import annotations

from ddpm_core.inspection.cell import (
    GLOBAL_RADIUS,
    GLOBAL_WITHIN_3X3,
    CellRequest,
    change_of_cell,
    framed,
    painted_by_cell,
    promised_radius,
)
from ddpm_core.inspection.sheet import labelled_sheet
from ddpm_core.inspection.subject import Subject, channels
from ddpm_core.pipeline import LatentDiffusion
from ui.tabs.inside.draw import Figure, figures, note
from ui.tabs.inside.grids import cells_over, side_by_side
from ui.tabs.inside.view import Drawing, View, png, slider

FORMULA = r"""
$$r = \sum_{\text{convolutions}} \frac{k - 1}{2}\, s$$

$k$ is a convolution's kernel and $s$ the pixels that one cell of its grid covers: nothing else in the decoder looks
sideways, so no weights can reach further. The decoder has no attention and no norm over space; that of Rombach et al.
2022, [Latent diffusion](https://arxiv.org/abs/2112.10752), has both. Its numbers here are those that
`python -m benchmarks.locality` printed for `AutoencoderKL` of the same stride and about as many parameters, with random
weights: how far it can reach is a matter of its layers, how much it does there is not.
"""


def draw(model: LatentDiffusion, subject: Subject, request: CellRequest) -> Drawing:
    """The decoded latent with its grid, with the cell moved, and their difference with the promised reach."""
    painted, (height, width) = painted_by_cell(model, subject, request), subject.latent.shape[2:]
    promised = "no promise" if painted.promised is None else f"promised: {painted.promised} px at most"
    whole = framed(painted.before, request.row, request.column, model.codec.stride, GLOBAL_RADIUS)
    shown = [
        Figure(painted.after, f"the cell moved by {request.move:g} deviation{'s' * (request.move != 1)}"),
        Figure(
            painted.change,
            f"beyond the cell's square lies the farthest pixel that changed ({promised}); "
            f"{painted.within_3x3:.1%} of the change is within 3x3 cells; shown {request.amplify:g}-fold",
            f"{painted.radius} px",
        ),
        Figure(
            whole,
            f"how far a global decoder of this size would reach (recorded, no weights here): "
            f"{GLOBAL_WITHIN_3X3:.1%} within 3x3 cells",
            f"{GLOBAL_RADIUS} px",
        ),
    ]
    latents = [Figure(one, f"channel {i}", crisp=True) for i, one in enumerate(channels(subject.latent))]
    return Drawing(
        side_by_side(
            cells_over(painted.before, height, width, (request.row, request.column), "press a cell of the latent"),
            figures(shown).removeprefix('<div class="figures">').removesuffix("</div>"),
        )
        + note("The latent itself, channel by channel: a small picture each, and all that the decoder is given.")
        + figures(latents, small=True),
        {
            "radius": painted.radius,
            "promised": painted.promised,
            "within_3x3": painted.within_3x3,
            "global_radius": GLOBAL_RADIUS,
            "global_within_3x3": GLOBAL_WITHIN_3X3,
        },
        png(
            lambda: labelled_sheet(
                [painted.before, painted.after, painted.change],
                ["decoded", "one cell moved", f"what changed: {painted.radius} px, {promised}"],
            ),
            f"cell-{request.row}-{request.column}",
        ),
    )


VIEW = View(
    "cell",
    "A cell",
    "Press a cell: moved in the latent, it repaints the pixels near it and none beyond the frame.",
    CellRequest,
    draw,
    {
        "row": slider("Row", 0, 15),
        "column": slider("Column", 0, 15),
        "move": slider("Moved by, deviations", 0.1, 4, 0.1),
        "amplify": slider("Change enlarged", 1, 64),
    },
    FORMULA,
    (change_of_cell, promised_radius, painted_by_cell),
)
