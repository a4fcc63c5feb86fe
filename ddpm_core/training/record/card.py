"""The model card of a checkpoint, written from what its training recorded."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ddpm_core.checkpoints.atomic import write_atomically
from ddpm_core.checkpoints.native import (
    CARD,
    CLASSIFIER_WEIGHTS,
    CODEC_WEIGHTS,
    DENOISER_WEIGHTS,
    GUIDE_WEIGHTS,
    CheckpointConfig,
    build,
    read_config,
)
from ddpm_core.cli import merge
from ddpm_core.diffusion.diffuser import Diffuser
from ddpm_core.display.units import in_hours
from ddpm_core.networks.noisy_classifier import NoisyClassifier
from ddpm_core.networks.tables import BACKBONES, CODECS, default
from ddpm_core.training.initialization import GUIDING
from ddpm_core.training.losses import DECILES
from ddpm_core.training.record.fingerprint import is_own, sealed
from ddpm_core.training.record.journal import grids_of, rows_of, runs_of
from ddpm_core.training.record.reproduce import beyond, command
from ddpm_core.training.settings import STAGES, StageName

SAMPLES = "samples.png"
MEASURES: dict[str, tuple[StageName, str, str]] = {  # of which stage, what it means, how it is written
    "held_out_psnr": ("vae", "reconstruction, mean over pictures", "{:.2f} dB"),
    "held_out_gradient_ratio": ("vae", "edge strength, reconstructed / original", "{:.3f}"),
    "held_out_loss": ("denoiser", "denoising loss", "{:.4f}"),
    "held_out_accuracy": ("classifier", "noisy latents whose class the classifier reads, all timesteps", "{:.3f}"),
}
ELSEWHERE = {*STAGES, "data", "init", "about", "framing"}  # what the table of settings leaves to other places

Record = dict[StageName, list[dict[str, Any]]]  # of each stage, rows of its log, or its runs


def write_card(out: Path) -> Path:
    """Write a checkpoint's card, and its sample grid as `samples.png`; returns the card's file.

    Where a person has changed it, this one is `training/card.md`. Raises `CheckpointError` without a usable
    `config.json`.
    """
    notes = out / "training"
    grids = list(grids_of(notes, "denoiser").values())
    own = not (out / CARD).exists() or is_own((out / CARD).read_text(encoding="utf-8", errors="replace"))
    if own and grids:
        write_atomically(out / SAMPLES, lambda partial: shutil.copyfile(grids[-1], partial))
    text = card(out, SAMPLES if own else grids[-1].name if grids else "")
    path = out / CARD if own else notes / "card.md"
    write_atomically(path, lambda partial: partial.write_text(sealed(text), encoding="utf-8"))
    return path


def card(out: Path, samples: str) -> str:
    """The text of a checkpoint's card; `samples` is its sample grid, seen from the card."""
    config, notes = read_config(out), out / "training"
    rows = {stage: rows_of(notes / f"{stage}.jsonl") for stage in STAGES}
    runs = {stage: runs_of(notes, stage) for stage in STAGES}
    name = out.resolve().name
    what = "Pictures" if not config.classes else f"Pictures of {len(config.classes)} classes"
    what += f", asked for in {len(config.words)} words," if config.words else ""
    how = "by diffusion of pixels" if config.codec == "pixel" else "by latent diffusion"
    start, measured_by = "noise", "ddpm_core.evaluate"
    if config.conditioning:
        start = f"such at 1/{config.conditioning.factor} of that (`python -m ddpm_core.enlarge`)"
        measured_by = "benchmarks.enlarge"
    paragraphs = [f"# {name}", f"{what} at {config.size}x{config.size} pixels, made from {start} {how}."]
    if from_ := _teacher(config):
        steps, sampler = (config.defaults.get("generate", {}).get(name) for name in ("steps", "sampler"))
        paragraphs.append(
            f"Distilled from `{from_}` to few steps: by default it takes {steps}, by the sampler `{sampler}`."
        )
    if config.denoiser:
        paragraphs += _samples(notes, samples, config, runs["denoiser"])
    else:
        paragraphs.append("Its denoiser is not trained yet: it restores pictures, and makes none.")
    paragraphs += ["## Measured", *_measured(rows, runs, bool(from_))]
    paragraphs.append(
        "The whole set of measures is printed by\n"
        f"`python -m {measured_by} --checkpoint checkpoints/{name} --data {_data(config)}`."
    )
    paragraphs += ["## Made of", _parts(config, out)]
    paragraphs.append("The files hold the moving average of the weights, matrices in half precision.")
    paragraphs += ["## Trained with", *_trained(rows, runs, config), *_commands(config, name)]
    if config.training:
        paragraphs += ["Its settings, which `python -m ddpm_core.train --help` explains:", _settings(config)]
    paragraphs += ["## Data", _pictures(config, runs)]
    paragraphs += [
        "## Limits",
        f"It knows what its training pictures show, framed as they are, at {config.size} pixels. This card was written "
        "by the trainer from the record of its runs; how good the pictures are to the eye, nobody has said yet.",
    ]
    return "\n\n".join(paragraphs) + "\n"


def _samples(notes: Path, samples: str, config: CheckpointConfig, runs: Sequence[dict[str, Any]]) -> list[str]:
    steps = list(grids_of(notes, "denoiser"))
    if not steps:
        return []
    rows = "a row of eight for each of up to eight classes" if config.classes else "seeds 0 to 15"
    if config.conditioning:
        rows = "each row is what is given, its result and the original, all as the autoencoder restores them"
    elif prompts := runs[-1].get("prompts") if runs else None:
        rows = f"a row of eight for each of these captions: {'; '.join(f'“{prompt}”' for prompt in prompts)}"
    return [f"![Samples]({samples})", f"*Unselected: {rows}, after {steps[-1]:,} iterations of the denoiser.*"]


def _teacher(config: CheckpointConfig) -> str:
    """What its denoiser was distilled from; empty if it was not."""
    run = config.training.get("denoiser", {})
    return str(run.get("init", "")) if run.get("denoiser", {}).get("learns") == "consistency" else ""


def _measured(rows: Record, runs: Record, distilled: bool) -> list[str]:
    found = []
    for name, (stage, meaning, how) in MEASURES.items():
        if distilled and name == "held_out_loss":
            meaning = "distance between the ends of a path from two of its states (consistency)"
        measured = [row for row in rows[stage] if row.get(name) is not None]
        if measured:
            found.append([meaning, how.format(measured[-1][name]), f"{measured[-1]['step']:,}"])
    if not found:
        return ["No pictures were held out, so nothing was measured."]
    held_out = {run["held_out"] for each in runs.values() for run in each[-1:] if "held_out" in run}
    number = held_out.pop() if len(held_out) == 1 else None
    many = "held-out picture, which was" if number == 1 else "held-out pictures, which were"
    lines = [f"On {'' if number is None else f'{number:,} '}{many} never learned from, as the run recorded it:"]
    if runs["vae"] and (some := runs["vae"][-1].get("measured")):
        lines = [f"{lines[0][:-1]}; the autoencoder on {some} of them, always the same:"]
    lines.append(_table(["measure", "value", "after iteration"], found))
    tenths = [f"held_out_decile_{number}" for number in range(DECILES)]
    measured_rows = [row for row in rows["denoiser"] if all(row.get(tenth) is not None for tenth in tenths)]
    if measured_rows:
        lowest = {tenth: min(row[tenth] for row in measured_rows) for tenth in tenths}
        ends = {"end": measured_rows[-1], "lowest": lowest}
        lines.append("Denoising loss on them by tenth of the timesteps, cleanest first, at the end and at its lowest:")
        numbers = [[name, *(f"{row[tenth]:.3f}" for tenth in tenths)] for name, row in ends.items()]
        lines.append(_table(["", *map(str, range(1, DECILES + 1))], numbers))
    return lines


def _parts(config: CheckpointConfig, out: Path) -> str:
    lines = []
    with torch.device("meta"):  # parameters are counted, not made
        codec = build(CODECS[config.codec], config.codec_settings, out) if config.codec_settings else None
        unet = build(BACKBONES[config.backbone], config.denoiser, out) if config.denoiser else None
    if codec is not None:
        kind = f"stride {codec.stride}, {codec.latent_channels} latent channels"
        learned = "squeeze-and-excitation in the encoder, strictly local decoder"
        what = f"{kind}, {learned}" if config.codec == "vae" else f"{kind}; pixels rearranged, nothing is learned"
        lines.append(["VAE" if config.codec == "vae" else "pixel codec", what, _count(codec), f"`{CODEC_WEIGHTS}`"])
    if unet is not None and codec is not None:
        kind, finest = type(unet).__name__, config.size // codec.stride // config.denoiser.get("patch", 1)
        channels = config.denoiser.get("channels", default(type(unet), "channels"))
        grid = ", ".join(f"{finest // 2**level}x{finest // 2**level}" for level in range(len(channels)))
        mixer = config.denoiser.get("mixer", default(type(unet), "mixer"))
        mixers = "no mixer" if mixer == "none" else f"{mixer} mixers"
        classes = f", {unet.classes} classes and “no class”" if unet.classes else ""
        what = f"{grid} cells with {_value(list(channels))} channels, {mixers}, {unet.prediction}-prediction{classes}"
        if unet.text is not None:
            what += f", {unet.text.words} words read by a transformer of {_count(unet.text)} parameters"
        lines.append([kind, what, _count(unet), f"`{DENOISER_WEIGHTS}`"])
        diffuser = build(Diffuser, config.diffuser, out)
        lines.append(["diffuser", f"{diffuser.schedule}, {diffuser.num_timesteps} states", "-", "`config.json`"])
    if config.guide:
        with torch.device("meta"):
            guide = build(BACKBONES[config.backbone], config.guide, out)
        when = " to ".join(map(str, config.guidance_interval)) if config.guidance_interval else "all"
        low = "" if config.guidance_low is None else f" ({config.guidance_low:g} in low frequencies)"
        what = f"weaker, steered away from with scale {config.guidance:g}{low} at timesteps {when}"
        lines.append(["guide", what, _count(guide), f"`{GUIDE_WEIGHTS}`"])
    if config.classifier:
        with torch.device("meta"):
            classifier = build(NoisyClassifier, config.classifier, out)
        what = f"{_value(list(classifier.channels))} channels, to guide by (`--classifier-guidance`)"
        lines.append(["classifier of noisy latents", what, _count(classifier), f"`{CLASSIFIER_WEIGHTS}`"])
    return _table(["part", "", "parameters", "file"], lines)


def _count(model: nn.Module) -> str:
    count = sum(parameter.numel() for parameter in model.parameters())
    return f"{count / 1e6:.1f} M" if count >= 1e6 else f"{count:,}"


def _trained(rows: Record, runs: Record, config: CheckpointConfig) -> list[str]:
    lines = []
    for stage, name in STAGES.items():
        settings = config.training.get(stage, {}).get(stage)
        if not settings or not rows[stage]:
            continue
        last, planned = rows[stage][-1], settings["iterations"]
        taken = f"{last['step']:,}" if last["step"] == planned else f"{last['step']:,} of {planned:,}"
        size = settings["batch_size"] * settings.get("accumulate", 1)
        line = f"- {name}: {taken} iterations of {size} pictures"
        if runs[stage]:
            line += f", {in_hours(sum(run['seconds'] for run in runs[stage]))}{_where(runs[stage][-1])}"
        for before, run in pairwise(runs[stage]):
            line += f"; resumed after {run['from']:,}{_changes(before.get('settings', {}), run.get('settings', {}))}"
        if last["skipped"]:
            line += f"; {last['skipped']:,} steps were not finite and were skipped"
        lines.append(f"{line}.")
    return ["\n".join(lines)] if lines else []


def _changes(before: dict[str, Any], after: dict[str, Any]) -> str:
    """What a run was resumed with, if not with the settings it had."""
    new = beyond(after, before)
    new |= {key: value for stage in STAGES for key, value in new.pop(stage, {}).items()}
    changed = [f"`{key}` {_value(value)}" for key, value in new.items()]
    return f" with {', '.join(changed)}" if changed else ""


def _where(run: dict[str, Any]) -> str:
    if "device" not in run:
        return ""
    processes = f", {run['processes']} processes" if run.get("processes", 1) > 1 else ""
    return f" on {run['device']} in {run['precision']}{processes}"


def _commands(config: CheckpointConfig, name: str) -> list[str]:
    recorded = {stage: config.training[stage] for stage in STAGES if stage in config.training}
    guiding = {stage: recorded.pop(stage) for stage in GUIDING if stage in recorded}  # which are runs of their own
    if not recorded and not guiding:
        return []
    shared = [{key: value for key, value in settings.items() if key not in STAGES} for settings in recorded.values()]
    together = all(each == shared[0] for each in shared) and len(recorded) == (2 if config.codec == "vae" else 1)
    if together:
        lines = [command(merge(*recorded.values()), name)]
    else:
        lines = [command(settings, name, stage) for stage, settings in recorded.items()]
    lines += [command(settings, name, stage) for stage, settings in guiding.items()]
    return ["\n".join(["```sh", *lines, "```"])]


def _settings(config: CheckpointConfig) -> str:
    recorded = {stage: config.training[stage] for stage in STAGES if stage in config.training}
    columns = {
        stage: {key: value for key, value in (settings | settings.get(stage, {})).items() if key not in ELSEWHERE}
        for stage, settings in recorded.items()
    }
    names = list(dict.fromkeys(key for column in columns.values() for key in column))
    lines = [[f"`{key}`", *(_value(column.get(key, "-")) for column in columns.values())] for key in names]
    return _table(["setting", *(STAGES[stage] for stage in columns)], lines)


def _value(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return value if isinstance(value, str) else json.dumps(value)


def _pictures(config: CheckpointConfig, runs: Record) -> str:
    lines, unused = [], dict[str, str]()
    for stage, name in STAGES.items():
        run = runs[stage][-1] if runs[stage] else {}
        if "pictures" in run:
            names = [name, str(config.training.get(stage, {}).get("data", "-"))]
            lines.append([*names, *(f"{run.get(key, 0):,}" for key in ("pictures", "held_out", "unreadable"))])
            if run.get("unused"):
                unused[run["unused"]] = f"In the data and not used: {run['unused']}."
    classes = f"\n\nClasses: {', '.join(config.classes)}." if config.classes else ""
    if config.words:
        classes += f"\n\nWords: {', '.join(config.words)}."
    stated = config.about.rstrip(".") if config.about else "Their source and licence were not stated (`--about`)"
    table = _table(["of the", "data", "trained on", "held out", "left out as unusable"], lines)
    paragraphs = [(table if lines else f"`{_data(config)}`") + classes, *unused.values(), f"{stated}."]
    return "\n\n".join(paragraphs)


def _data(config: CheckpointConfig) -> str:
    names = [settings["data"] for settings in config.training.values() if "data" in settings]
    return names[-1] if names else "DATA"


def _table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A table in Markdown; what would end a cell is escaped."""
    rows = [head, ["---"] * len(head), *lines]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows)
