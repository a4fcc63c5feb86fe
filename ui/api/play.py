"""What the Play tab does, for other programs: see `ui.api`."""

from __future__ import annotations

from collections.abc import Iterator

import gradio as gr

from ddpm_core.diffusion.samplers import last
from ddpm_core.requests import AnagramRequest, BetweenRequest, HybridRequest
from ui.api.fields import checkpoint, choice, classes, number
from ui.components.events import ONE_AT_A_TIME
from ui.errors import ask, polite
from ui.files import workspace
from ui.models import Shelf
from ui.results import save, there_and_back


def build(shelf: Shelf, door: gr.Button) -> None:
    """Register /between, /anagram and /hybrid behind a button that nobody sees."""

    def between(
        seed: float, to: float, count: float, steps: float, sampler: str, checkpoint: str, label: str, guidance: float
    ) -> Iterator[tuple[list[str], str]]:
        """Pictures on the way from one seed to another.

        Args:
            seed: seed of the first picture.
            to: seed of the last.
            count: pictures on the way, both ends among them, 1 to 16.
            steps: reverse steps.
            sampler: "ddim", "ddpm" or another of those that a wrong name is answered with.
            checkpoint: one of /checkpoints; empty for the one the app was started with.
            label, guidance: as /generate has them.

        Returns:
            One PNG file per picture, and an animated GIF that goes there and back.
        """
        asked = {"seed": seed, "to": to, "count": count, "steps": steps, "sampler": sampler}
        request = ask(BetweenRequest, **asked, label=label, guidance=guidance)
        model = shelf.load(checkpoint)
        made = model.pictures(last(model.between(request)).latent)
        with workspace() as folder:
            yield save(made, request, model, folder), there_and_back(made, folder, request)

    def anagram(
        seed: float, count: float, view: str, steps: float, sampler: str, checkpoint: str, label: str, other: str,
        guidance: float,
    ) -> Iterator[list[str]]:  # fmt: skip
        """Pictures that are something both as they are and seen another way.

        Args:
            seed: seed of the first picture.
            count: pictures, 1 to 8.
            view: the other way to see them, "upside-down" or another of those that a wrong name is answered with.
            steps: reverse steps.
            sampler: "ddim", "ddpm" or another of those that a wrong name is answered with.
            checkpoint: one of /checkpoints; empty for the one the app was started with.
            label: class of the picture as it is, by name or number, if the checkpoint has classes; empty for any.
            other: class of what is seen the other way; empty for any.
            guidance: how closely the classes are followed, 0 to 20.

        Returns:
            One PNG file per picture, as it is.
        """
        asked = {"seed": seed, "count": count, "view": view, "steps": steps, "sampler": sampler}
        request = ask(AnagramRequest, **asked, label=label, other=other, guidance=guidance)
        model = shelf.load(checkpoint)
        with workspace() as folder:
            yield save(model.pictures(last(model.anagram(request)).latent), request, model, folder)

    def hybrid(
        seed: float, count: float, label: str, other: str, guidance: float, blur: float, steps: float, sampler: str,
        checkpoint: str,
    ) -> Iterator[list[str]]:  # fmt: skip
        """Pictures that are one class from afar and another close by; of checkpoints with classes that diffuse pixels.

        Args:
            seed: seed of the first picture.
            count: pictures, 1 to 8.
            label: class of what is seen from afar, by name or number; empty for any.
            other: class of what is seen close by; empty for any.
            guidance: how closely the classes are followed, 0 to 20.
            blur: pixels by which a blur leaves only what is seen from afar, above 0, at most 32.
            steps: reverse steps.
            sampler: "ddim", "ddpm" or another of those that a wrong name is answered with.
            checkpoint: one of /checkpoints; empty for the one the app was started with.

        Returns:
            One PNG file per picture.
        """
        asked = {"seed": seed, "count": count, "blur": blur, "steps": steps, "sampler": sampler}
        request = ask(HybridRequest, **asked, label=label, other=other, guidance=guidance)
        model = shelf.load(checkpoint)
        with workspace() as folder:
            yield save(model.pictures(last(model.hybrid(request)).latent), request, model, folder)

    door.click(
        polite(between),
        [
            *(number(name, BetweenRequest) for name in ("seed", "to", "count", "steps")),
            choice("sampler", BetweenRequest), checkpoint(), *classes(),
        ],
        [gr.Files(label="pictures"), gr.File(label="gif")], api_name="between", **ONE_AT_A_TIME,
    )  # fmt: skip
    door.click(
        polite(anagram),
        [
            number("seed"), number("count"), choice("view", AnagramRequest), number("steps", AnagramRequest),
            choice("sampler", AnagramRequest), checkpoint(), *classes("label", "other"),
        ],
        gr.Files(label="pictures"), api_name="anagram", **ONE_AT_A_TIME,
    )  # fmt: skip
    door.click(
        polite(hybrid),
        [
            number("seed"), number("count"), *classes("label", "other"),
            number("blur", HybridRequest), number("steps", HybridRequest), choice("sampler", HybridRequest),
            checkpoint(),
        ],
        gr.Files(label="pictures"), api_name="hybrid", **ONE_AT_A_TIME,
    )  # fmt: skip
