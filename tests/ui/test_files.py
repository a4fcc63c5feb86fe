"""Pictures on their way to the page."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ui.files import cached, copied, workspace, written


def test_a_workspace_is_gone_after_its_answer_whatever_came_of_it() -> None:
    with workspace() as folder:
        (folder / "x.png").write_bytes(b"x")
    assert not folder.exists()
    with pytest.raises(KeyError), workspace() as other:
        raise KeyError
    assert not other.exists()


def test_pictures_are_written_without_loss(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (6, 5, 3), dtype=np.uint8)
    path = written(Image.fromarray(pixels), tmp_path, "grain")
    assert path == str(tmp_path / "grain.png")
    with Image.open(path) as picture:
        assert (np.asarray(picture) == pixels).all()


def test_equal_pictures_are_one_file_of_the_cache_and_others_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    first, again, other = (cached(Image.new("RGB", (4, 4), colour)) for colour in ("teal", "teal", "plum"))
    assert first == again != other
    assert all(Path(path).is_relative_to(tmp_path) for path in (first, other))
    with Image.open(other) as picture:
        assert picture.getpixel((0, 0)) == (221, 160, 221)


def test_a_shipped_file_is_copied_as_it_is_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "shipped.png").write_bytes(b"as it is")
    copy = Path(copied(tmp_path / "shipped.png"))
    assert copy != tmp_path / "shipped.png"
    assert (copy.name, copy.read_bytes()) == ("shipped.png", b"as it is")
