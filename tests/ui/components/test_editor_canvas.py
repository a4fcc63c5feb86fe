"""From strokes on the editor's canvas to pixels of the upload."""

from __future__ import annotations

import io
from pathlib import Path

import gradio as gr
import numpy as np
import pytest
from gradio.data_classes import DataWithFiles, FileData
from PIL import Image

from ddpm_core.images.masks import MaskError, face_mask, open_mask
from tests.icc_profiles import profile
from ui.components import editor_canvas


def sheet(size: tuple[int, int], *spots: tuple[int, int], alpha: int = 255) -> Image.Image:
    """An editor layer with single painted pixels at (x, y)."""
    picture = Image.new("RGBA", size)
    for spot in spots:
        picture.putpixel(spot, (9, 9, 9, alpha))
    return picture


@pytest.mark.parametrize("size", [(128, 128), (3, 5), (4000, 20), (20, 4000), (6000, 4000)])
def test_canvas_is_comfortable_whatever_the_upload(size: tuple[int, int]) -> None:
    width, height = editor_canvas.canvas_size(size)
    assert max(width, height) == editor_canvas.CANVAS
    assert min(width, height) >= 1


def test_nothing_painted() -> None:
    for value in (None, {"background": None, "layers": [], "composite": None}, {"layers": [sheet((768, 768))]}):
        assert not editor_canvas.painted_on(value, (128, 128)).any()


def test_any_alpha_of_any_layer_counts() -> None:
    value = {"layers": [sheet((4, 2), (0, 0), alpha=1), None, sheet((4, 2), (3, 1), alpha=127)]}
    painted = editor_canvas.painted_on(value, (4, 2))
    assert painted.tolist() == [
        [True, False, False, False],
        [False, False, False, True],
    ]


def test_a_canvas_pixel_never_gets_lost_in_a_smaller_upload() -> None:
    for x in range(768):
        painted = editor_canvas.painted_on({"layers": [sheet((768, 7), (x, 3))]}, (100, 5))
        touched = [i for i in range(100) if i * 768 < (x + 1) * 100 and (i + 1) * 768 > x * 100]
        assert painted.any(0).nonzero()[0].tolist() == touched


def test_a_canvas_pixel_covers_its_fraction_of_a_larger_upload() -> None:
    painted = editor_canvas.painted_on({"layers": [sheet((4, 4), (1, 2))]}, (12, 8))
    assert painted.sum() == 3 * 2
    assert painted[4:6, 3:6].all()


@pytest.mark.parametrize("size", [(128, 128), (31, 77), (2000, 900)])
def test_layer_and_back(size: tuple[int, int]) -> None:
    """What the app paints on the canvas comes back as it was, or a pixel wider where the canvas is coarser."""
    width, height = size
    painted = np.zeros((height, width), bool)
    painted[height // 3 : height // 2, width // 4 : width // 2] = True
    value = editor_canvas.editor_value(Image.new("RGB", size), painted)
    assert value["background"].size == value["layers"][0].size == editor_canvas.canvas_size(size)
    again = editor_canvas.painted_on(value, size)
    assert again[painted].all()
    wider = max(size) / editor_canvas.CANVAS + 1
    assert again.sum() <= (painted.any(1).sum() + 2 * wider) * (painted.any(0).sum() + 2 * wider)


def test_mask_file(tmp_path: Path) -> None:
    mask = Image.new("L", (20, 10))
    mask.paste(255, (0, 0, 10, 10))
    mask.save(tmp_path / "mask.png")
    painted = open_mask(tmp_path / "mask.png", (40, 20))
    assert painted[:, :20].all()
    assert not painted[:, 20:].any()
    with pytest.raises(MaskError, match="20x10"):
        open_mask(tmp_path / "mask.png", (20, 20))


@pytest.mark.parametrize("size", [(128, 128), (3, 5), (300, 20), (1000, 700)])
def test_a_canvas_is_known_by_its_picture(size: tuple[int, int]) -> None:
    draw = np.random.default_rng(0)
    picture, other = (
        Image.fromarray(draw.integers(0, 256, (4, 4, 3), dtype=np.uint8)).resize(size, Image.Resampling.NEAREST)
        for _ in range(2)
    )
    value = editor_canvas.editor_value(picture)
    assert editor_canvas.shows(value, picture)
    assert editor_canvas.shows({"background": value["background"].convert("RGBA")}, picture)
    assert not editor_canvas.shows(value, other)
    painted = editor_canvas.editor_value(picture, face_mask("face", picture))
    assert editor_canvas.shows(painted | {"background": painted["composite"]}, picture)
    assert not editor_canvas.shows(value, picture.resize((picture.width, picture.height + 9)))
    assert not editor_canvas.shows(None, picture)
    assert not editor_canvas.shows({"background": None}, picture)


def test_a_canvas_is_in_srgb_and_without_a_profile() -> None:
    """What a browser draws, and gives back, is sRGB."""
    picture = Image.new("RGB", (40, 30), (200, 90, 40))
    picture.info["icc_profile"] = profile("Display P3")
    shown = editor_canvas.canvas(picture)
    assert "icc_profile" not in shown.info
    assert np.abs(np.array(shown.getpixel((5, 5))) - (216, 84, 17)).max() <= 4
    assert editor_canvas.shows({"background": shown}, picture)


def test_a_transparent_canvas_is_known_without_the_colours_nobody_sees() -> None:
    picture = Image.new("RGBA", (300, 200), (250, 120, 30, 0))
    picture.paste((20, 200, 40, 255), (150, 0, 300, 200))
    shown = np.array(editor_canvas.editor_value(picture)["background"])
    shown[shown[:, :, 3] == 0] = 0  # as a browser's canvas gives it back
    assert editor_canvas.shows({"background": Image.fromarray(shown)}, picture)


def sent(canvas: editor_canvas.Canvas, content: bytes, id: str = "a", index: str = "0") -> None:
    data = {"type": "layer", "index": index, "id": id}
    canvas.accept_blobs(DataWithFiles(data=data, files=[("layer", content)]))  # type: ignore[arg-type]


def as_png(size: tuple[int, int]) -> bytes:
    Image.new("RGBA", size).save(file := io.BytesIO(), "png")
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "index"),
    [
        (as_png((20_000, 20)), "0"),
        (b"\x89PNG", "0"),
        (b"", "null"),
        (b"x" * 9 * 2**20, "0"),
        (as_png((9, 9)), "10000000"),
    ],
)  # fmt: skip
def test_what_is_no_canvas_of_the_page_never_enters_the_memory(content: bytes, index: str) -> None:
    canvas = editor_canvas.Canvas()
    with pytest.raises(gr.Error):
        sent(canvas, content, index=index)
    assert not canvas.blob_storage


def test_canvases_that_nobody_asks_about_are_forgotten() -> None:
    canvas = editor_canvas.Canvas(type="pil", image_mode="RGBA")
    for number in range(3 * editor_canvas.MOST_WAITING):
        sent(canvas, as_png((9, 9)), id=str(number))
    assert len(canvas.blob_storage) == editor_canvas.MOST_WAITING
    assert canvas.get_block_name() == "imageeditor"  # the page shows it as Gradio's


def test_a_canvas_named_as_a_file_is_measured_before_it_is_read(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(as_png((20_000, 20)))
    with pytest.raises(gr.Error):
        editor_canvas.Canvas(type="pil").convert_and_format_image(FileData(path=str(tmp_path / "x.png")))
