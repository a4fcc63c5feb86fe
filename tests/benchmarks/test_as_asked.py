"""The table of what samples show as asked: readers trained, kept and used again, drawings before samples."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks import as_asked
from tests.command_lines import assert_refused
from tests.drawings import drawings


def test_readers_are_trained_once_kept_and_measured_on_held_out_drawings(call, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    data, readers, rows = drawings(tmp_path / "data"), tmp_path / "readers.safetensors", tmp_path / "rows.json"
    command = ["--data", data, "--readers", readers, "--device", "cpu"]
    outcome = call(as_asked.main, *command, "--iterations", 2, "--json", rows)
    assert outcome.status == 0, outcome.err
    lines = outcome.out.splitlines()
    assert lines[0] == "| attribute | drawings | drawings, unseen_pair |"
    assert [line.split(" | ")[0] for line in lines[2:]] == ["| colour", "| hat", "| no hat"]
    cells = json.loads(rows.read_text())
    assert cells["drawings"]["colour"][1] + cells["drawings, unseen_pair"]["colour"][1] == 20
    written = readers.read_bytes()
    assert call(as_asked.main, *command).out == outcome.out
    assert readers.read_bytes() == written


def test_samples_for_held_out_captions_are_read_beside_the_drawings(
    call, tmp_path: Path, word_checkpoint: Path
) -> None:
    (tmp_path / "data").mkdir()
    data, rows = drawings(tmp_path / "data"), tmp_path / "rows.json"
    command = ["--data", data, "--iterations", 1, "--device", "cpu", "--checkpoint", word_checkpoint]
    outcome = call(as_asked.main, *command, "--samples", 3, "--steps", 1, "--guidance", 1.5, "--json", rows)
    assert outcome.status == 0, outcome.err
    cells = json.loads(rows.read_text())
    titles = [
        title + end for title in ("drawings", "samples", "samples of what is shown") for end in ("", ", unseen_pair")
    ]
    assert set(cells) == set(titles)
    for title in ("samples", "samples, unseen_pair"):
        assert 1 <= cells[title]["colour"][1] <= 3
        shown = cells[title.replace("samples", "samples of what is shown")]
        assert shown.get("colour", (0, 0))[1] <= cells[title]["colour"][1]


def test_what_a_caption_does_not_say_is_not_asked_for() -> None:
    row = {"style": "openPeeps", "hair": "bald", "colour": "pink", "hat": "", "unseen_pair": "0"}
    assert as_asked.said(row, "open peeps: bald") == {
        "style": "openPeeps",
        "hair": "bald",
        "hat": "",
        "unseen_pair": "0",
    }
    assert as_asked.said(row, "") == row


def test_what_its_drawing_does_not_show_a_sample_need_not_show() -> None:
    row = {"style": "openPeeps", "hair_color": "pink", "clothes": "shirt"}
    seen = {"style": "openPeeps", "hair_color": "black"}
    assert as_asked.shown(row, seen) == {"style": "openPeeps", "clothes": "shirt"}


def test_what_cannot_be_measured_is_refused(call, tmp_path: Path, tiny_checkpoint: Path) -> None:
    data = drawings(tmp_path)
    assert_refused(call(as_asked.main, "--data", data, "--attributes", "shoes"), "no column 'shoes'")
    assert_refused(call(as_asked.main, "--data", data, "--checkpoint", tiny_checkpoint), "was trained without words")
    table = (data / "labels.csv").read_text().replace(",val,", ",train,")
    (data / "labels.csv").write_text(table)
    assert_refused(call(as_asked.main, "--data", data), "holds no pictures out")
