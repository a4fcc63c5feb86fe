"""`python -m benchmarks.as_asked`: do samples show what their captions ask for?

Example:
    python -m benchmarks.as_asked --data avatars.zip --readers readers.safetensors --checkpoint checkpoints/avatars

Readers of the attributes in the data's table are trained on its training pictures, some minutes on one CPU core. What
they read right in held-out drawings is the most that samples of their captions could reach; *of what is shown* leaves
out words that they do not see in the drawing either. Pictures whose --apart column says 1, combinations that training
never showed, count by themselves.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from ddpm_core.checkpoints.atomic import write_atomically
from ddpm_core.cli import in_one_sentence, run
from ddpm_core.data.find import DataSet, find
from ddpm_core.data.load import load_pictures
from ddpm_core.data.tables import Row
from ddpm_core.errors import UserError
from ddpm_core.evaluation.attributes import (
    READER_SETTINGS,
    AttributeReader,
    attributes_of,
    shares_read,
    trained_reader,
)
from ddpm_core.evaluation.samples import sample_captions
from ddpm_core.machine import pick_device
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.requests import GenerateRequest

APART = "unseen_pair"
SAMPLES = 100
Cells = dict[str, dict[str, tuple[float, int]]]  # by column of the table, by attribute: the fraction, and of how many


def main(
    data: Annotated[Path, typer.Option(help="folder or archive of pictures with a table of attributes")],
    readers: Annotated[Path | None, typer.Option(help="file of trained readers, made if it is not there")] = None,
    attributes: Annotated[
        str, typer.Option(help="columns to read, joined by commas; all that are words if left out")
    ] = "",
    apart: Annotated[str, typer.Option(help="column whose 1 sets pictures apart in the table")] = APART,
    checkpoint: Annotated[Path | None, typer.Option(help="checkpoint folder whose samples are read, too")] = None,
    samples: Annotated[int, typer.Option(min=1, help="samples of it, and as many of captions set apart")] = SAMPLES,
    guidance: Annotated[float | None, typer.Option(help="to the captions; the checkpoint's if left out")] = None,
    steps: Annotated[int | None, typer.Option(help="of the sampler; the checkpoint's if left out")] = None,
    seed: Annotated[int, typer.Option(help="of the first sample")] = 0,
    iterations: Annotated[
        int, typer.Option(min=1, help="steps that readers are trained for")
    ] = READER_SETTINGS.iterations,
    json_file: Annotated[Path | None, typer.Option("--json", help="also write the table to this file")] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, mps, or auto")] = "auto",
) -> None:
    """Train readers of attributes, and print what they read right, and what samples show as asked, as a table."""
    with in_one_sentence():
        found = find(data)
        if not found.sources["val"]:
            raise UserError(f"{data} holds no pictures out, so nothing can be measured.")
        model = None
        if checkpoint is not None:
            model = LatentDiffusion.load(checkpoint, device)
            given = {"guidance": guidance, "steps": steps}
            request = model.request(GenerateRequest, **{name: one for name, one in given.items() if one is not None})
            if not model.words:
                raise UserError(f"{checkpoint} was trained without words, so nothing can be asked of it.")
            if found.captions is None:
                raise UserError(f"{data} has no captions to ask for.")
        columns = [column.strip() for column in attributes.split(",") if column.strip()]
        reader = _readers(found, columns, readers, iterations, pick_device(device))
        drawn = drawings_read(reader, found, model.size if model else reader.size)
        captions = found.captions["val"] if found.captions else [""] * len(found.rows["val"])
        asked = {number: said(found.rows["val"][number], captions[number]) for number in drawn}
        cells = counted("drawings", reader, drawn, asked, apart)
        if model is not None:
            typer.echo(table(cells), err=True)  # samples take a while
            made = samples_read(reader, found, drawn, apart, model, request, samples, seed)
            visible = {number: shown(asked[number], drawn[number]) for number in made}
            cells |= counted("samples", reader, made, asked, apart)
            cells |= counted("samples of what is shown", reader, made, visible, apart)
        typer.echo(table(cells))
        if json_file:
            text = json.dumps(cells, indent=2) + "\n"
            write_atomically(json_file, lambda partial: partial.write_text(text, encoding="utf-8"))


def _readers(
    found: DataSet, columns: Sequence[str], file: Path | None, iterations: int, device: torch.device
) -> AttributeReader:
    """Readers from their file, or trained here and kept in it."""
    if file is not None and file.exists():
        return AttributeReader.load(file, device)
    settings = READER_SETTINGS.model_copy(update={"iterations": iterations})
    reader = trained_reader(found, attributes_of(found, columns or None), device, settings)
    if file is not None:
        reader.save(file)
    return reader


def drawings_read(reader: AttributeReader, found: DataSet, size: int) -> dict[int, Row]:
    """What readers see in the held-out drawings at a sample's `size`, by number of the row."""
    sources = found.sources["val"]
    pictures = load_pictures(sources, size, labels=range(len(sources)))  # the labels are numbers of rows
    assert pictures.labels is not None
    return dict(zip(pictures.labels.tolist(), reader.read(pictures), strict=True))


def samples_read(
    reader: AttributeReader,
    found: DataSet,
    readings: Mapping[int, Row],
    apart: str,
    model: LatentDiffusion,
    request: GenerateRequest,
    count: int,
    seed: int = 0,
) -> dict[int, Row]:
    """What they see in samples for held-out captions, evenly spread, by number of the row."""
    assert found.captions is not None
    captions, rows = found.captions["val"], found.rows["val"]
    asked = [number for number in readings if captions[number]]
    groups = ([number for number in asked if (rows[number].get(apart) == "1") == wanted] for wanted in (False, True))
    chosen = [number for group in groups for number in group[:: -(-len(group) // count) or 1]]
    if not chosen:
        raise UserError("no held-out picture has a caption to ask for.")
    pictures = sample_captions(model, [captions[number] for number in chosen], seed, request)
    return dict(zip(chosen, reader.read(pictures), strict=True))


def said(row: Row, caption: str) -> Row:
    """A row without words that its caption leaves out: what is not asked for cannot be missed. Numbers are no words."""
    text = _letters(caption)
    return {name: word for name, word in row.items() if not text or word.isdecimal() or _letters(word) in text}


def _letters(text: str) -> str:
    """Small letters and digits alone: "openPeeps" is what a caption calls "open peeps"."""
    return "".join(filter(str.isalnum, text.casefold()))


def counted(
    what: str, reader: AttributeReader, readings: Mapping[int, Row], asked: Mapping[int, Row], apart: str
) -> Cells:
    """The fractions of pictures in which readers see what their rows ask for, those set apart by themselves."""
    cells = {}
    for title, wanted in ((what, False), (f"{what}, {apart}", True)):
        chosen = [number for number in readings if (asked[number].get(apart) == "1") == wanted]
        if chosen:
            rows = [asked[number] for number in chosen]
            cells[title] = shares_read([readings[number] for number in chosen], rows, reader.attributes)
    return cells


def shown(asked: Row, drawing: Row) -> Row:
    """A row without the words that readers do not see in its drawing, such as the colour of hair under a cap."""
    return {name: word for name, word in asked.items() if drawing.get(name, word) == word}


def table(cells: Cells) -> str:
    """Fractions as a table in Markdown, an attribute a row, with of how many each is."""
    names = list(dict.fromkeys(name for column in cells.values() for name in column))
    lines = [["attribute", *cells], ["---"] * (1 + len(cells))]
    lines += [[name, *(_cell(column.get(name)) for column in cells.values())] for name in names]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(fraction: tuple[float, int] | None) -> Any:
    return "" if fraction is None else f"{100 * fraction[0]:.1f} % of {fraction[1]:,}"


if __name__ == "__main__":
    run(main)
