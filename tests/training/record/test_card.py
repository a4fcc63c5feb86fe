"""The model card that a run writes, from its own record."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from PIL import Image

from ddpm_core.checkpoints import native as checkpoint
from ddpm_core.checkpoints.native import CARD, read_config
from ddpm_core.commands import train
from ddpm_core.pipeline import LatentDiffusion
from ddpm_core.training.record.card import SAMPLES, card, write_card
from ddpm_core.training.record.journal import rows_of
from tests.distributed_run import request_for, run

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, drawn: None) -> Path:
    """A checkpoint folder both stages of which ran to their end; tests only read it."""
    out = tmp_path_factory.mktemp("runs") / "mine"
    run(request_for(out, about="Noise, by nobody (CC0)", data="some/where/photos"))
    return out


def text_of(out: Path) -> str:
    return (out / CARD).read_text(encoding="utf-8")


def cells(text: str, start: str) -> list[str]:
    """The cells of the table row that starts with `start`."""
    (line,) = (line for line in text.splitlines() if line.startswith(f"| {start} |"))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_a_run_ends_with_plots_events_and_a_card(trained: Path) -> None:
    notes = trained / "training"
    for name in ("loss-vae.png", "loss-denoiser.png", "loss-by-timestep.png"):
        with Image.open(notes / name) as picture:
            assert picture.format == "PNG"
    for stage in ("vae", "denoiser"):
        assert list((notes / "tensorboard" / stage).glob("events.out.tfevents.*"))
    assert text_of(trained).startswith("# mine\n")


def test_the_card_has_the_measures_of_the_record_with_their_steps(trained: Path) -> None:
    text, last = text_of(trained), {s: rows_of(trained / "training" / f"{s}.jsonl")[-1] for s in ("vae", "denoiser")}
    psnr, loss = last["vae"]["held_out_psnr"], last["denoiser"]["held_out_loss"]
    assert cells(text, "reconstruction, mean over pictures") == [
        "reconstruction, mean over pictures", f"{psnr:.2f} dB", "4"
    ]  # fmt: skip
    assert cells(text, "denoising loss")[1:] == [f"{loss:.4f}", "4"]
    assert cells(text, "end")[1:] == [f"{last['denoiser'][f'held_out_decile_{n}']:.3f}" for n in range(10)]
    assert "On 2 held-out pictures" in text


def test_the_card_says_what_it_is_made_of_and_trained_with(trained: Path) -> None:
    text, model = text_of(trained), LatentDiffusion.load(trained, "cpu")
    for name, part in (("VAE", model.codec), ("UNet", model.denoiser)):
        assert cells(text, name)[2] == f"{sum(p.numel() for p in part.parameters()):,}"
    assert "4x4, 2x2 cells with 32, 32 channels, serpentine mixers, v-prediction" in text
    assert cells(text, "autoencoder") == ["autoencoder", "photos", "10", "2", "0"]
    assert "\n\nNoise, by nobody (CC0).\n\n## Limits\n" in text
    assert re.search(r"- denoiser: 4 iterations of 8 pictures, (\d+ min )?\d+ s on cpu in float32\.", text)
    assert cells(text, "`accumulate`")[1:] == ["2", "2"]
    assert cells(text, "`full_width`")[1:] == ["8", "-"]
    assert "python -m ddpm_core.evaluate --checkpoint checkpoints/mine --data photos" in text
    assert str(trained.parent) not in text


def test_the_last_grid_is_the_cards_picture(trained: Path) -> None:
    assert "![Samples](samples.png)" in text_of(trained)
    assert "after 4 iterations" in text_of(trained)
    assert (trained / SAMPLES).read_bytes() == (trained / "training" / "denoiser-000004.png").read_bytes()


def test_a_run_that_is_stopped_and_resumed_says_so(tmp_path: Path) -> None:
    out = tmp_path / "run"
    run(request_for(out), stage="vae", until=3)
    assert "- autoencoder: 3 of 4 iterations of" in text_of(out)
    assert "not trained yet" in text_of(out)
    assert "![" not in text_of(out)
    longer = request_for(out).vae.model_copy(update={"iterations": 5, "edge_weight": 0.5})
    run(request_for(out, vae=longer, resume=True), stage="vae")
    assert re.search(
        r"- autoencoder: 5 iterations of .*; resumed after 3 with `iterations` 5, `edge_weight` 0\.5\.", text_of(out)
    )


@pytest.mark.integration
def test_a_run_without_held_out_pictures_has_no_measures_but_its_loss_by_timestep(
    tmp_path: Path, picture_folder: Path, call
) -> None:
    few = tmp_path / "few"
    few.mkdir()
    for path in sorted(picture_folder.iterdir())[:5]:
        (few / path.name).write_bytes(path.read_bytes())
    (few / "broken.png").write_text("no picture")
    out, flags = tmp_path / "run", ["--preset", "tiny", "--device", "cpu", "--precision", "fp32", "--batch-size", 2]
    assert call(train.main, "--data", few, "--out", out, *flags, "--iterations", 1).status == 0
    assert "No pictures were held out, so nothing was measured." in text_of(out)
    assert cells(text_of(out), "denoiser") == ["denoiser", "few", "5", "0", "1"]
    (row,) = rows_of(out / "training" / "denoiser.jsonl")
    assert [f"train_decile_{number}" in row for number in range(10)] == [True] * 10
    assert not any(name.startswith("held_out") for name in row)
    assert (out / "training" / "loss-by-timestep.png").is_file()


def test_a_card_of_pixels_with_classes_and_without_a_record(class_checkpoint: Path) -> None:
    text = card(class_checkpoint, SAMPLES)
    assert "Pictures of 3 classes at 32x32 pixels, made from noise by diffusion of pixels." in text
    assert cells(text, "pixel codec")[1:3] == [
        "stride 4, 48 latent channels; pixels rearranged, nothing is learned",
        "0",
    ]
    assert "3 classes and “no class”" in cells(text, "UNet")[1]
    assert "\n\nClasses: 1, ant, bee.\n\nTheir source and licence were not stated (`--about`).\n\n## Limits\n" in text
    assert "nothing was measured" in text


# Whose card it is


def test_a_card_that_a_person_edited_is_left_alone(tmp_path: Path) -> None:
    out = tmp_path / "run"
    run(request_for(out), stage="vae")
    edited = text_of(out).replace("## Limits", "## Its limits")
    (out / CARD).write_text(edited, encoding="utf-8")
    (out / SAMPLES).write_bytes(b"a person's picture")
    run(request_for(out), stage="denoiser")
    assert text_of(out) == edited
    assert (out / SAMPLES).read_bytes() == b"a person's picture"
    other = (out / "training" / "card.md").read_text(encoding="utf-8")
    assert "- denoiser: 4 iterations" in other
    assert "![Samples](denoiser-000004.png)" in other


def test_a_card_of_its_own_is_written_anew(trained: Path, tmp_path: Path) -> None:
    out = tmp_path / "mine"
    (out / "training").mkdir(parents=True)
    (out / checkpoint.CONFIG).write_bytes((trained / checkpoint.CONFIG).read_bytes())
    assert write_card(out) == out / CARD
    (out / "training" / "vae.jsonl").write_bytes((trained / "training" / "vae.jsonl").read_bytes())
    assert write_card(out) == out / CARD
    assert "dB" in text_of(out)


# The command


def test_the_card_has_one_command_for_both_stages_if_they_shared_their_settings(trained: Path, tmp_path: Path) -> None:
    (line,) = (line for line in text_of(trained).splitlines() if line.startswith("python -m ddpm_core.train"))
    assert "--stage" not in line
    apart = tmp_path / "apart"
    config = read_config(trained)
    config.training["denoiser"]["data"] = "others"
    checkpoint.write_config(apart, config)
    write_card(apart)
    lines = [line for line in text_of(apart).splitlines() if line.startswith("python -m ddpm_core.train")]
    assert [re.findall(r"--data (\w+)|--stage (\w+)", line) for line in lines] == [
        [("photos", ""), ("", "vae")],
        [("others", ""), ("", "denoiser")],
    ]


def test_settings_as_json_hold_no_path_of_this_machine(trained: Path) -> None:
    assert str(trained.parent) not in json.dumps(json.loads((trained / "training" / "vae-runs.json").read_text()))
