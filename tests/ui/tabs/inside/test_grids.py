"""The grid over a picture: every cell can be pressed, is as dark as it is strong, and a snake goes through all."""

from __future__ import annotations

import json

import pytest
from PIL import Image

from tests.ui.tabs.inside.test_draw import parsed
from ui.tabs.inside.draw import Figure, figures
from ui.tabs.inside.grids import bars, cells_over, points_over, side_by_side, snake_over, titled_row

PICTURE = Image.new("RGB", (4, 4), "teal")


def test_every_cell_sets_its_place_and_the_strongest_is_darkest() -> None:
    drawn = parsed(cells_over(PICTURE, 2, 3, (1, 2), "a <b>", "9 %", [[0, 1, 4], [0, 0, 2]]))
    cells = drawn.findall("svg/rect[@class='cell']")
    assert [json.loads(cell.attrib["data-set"]) for cell in cells] == [
        {"row": row, "column": column} for row in range(2) for column in range(3)
    ]
    assert [float(cell.attrib["fill-opacity"]) for cell in cells] == [
        0,
        0.5,
        1,
        0,
        0,
        pytest.approx(0.5**0.5, abs=1e-3),
    ]
    (chosen,) = drawn.findall("svg/rect[@class='chosen']")
    assert (chosen.attrib["x"], chosen.attrib["y"]) == ("2", "1")
    grid = drawn.find("svg")
    assert grid is not None
    assert grid.attrib["aria-label"].startswith("a <b> 9 %. Arrow keys")
    assert [grid.attrib[name] for name in ("tabindex", "data-row", "data-column")] == ["0", "1", "2"]


def test_a_grid_without_strength_hides_nothing_of_the_picture() -> None:
    drawn = parsed(cells_over(PICTURE, 2, 2, (0, 0), "cells"))
    assert {cell.attrib["fill-opacity"] for cell in drawn.findall("svg/rect[@class='cell']")} == {"0.000"}
    assert drawn.find("svg/image").attrib["class"] == "under"  # type: ignore[union-attr]


def test_a_snake_goes_through_the_middle_of_its_cells() -> None:
    drawn = parsed(side_by_side(snake_over(PICTURE, [0, 1, 3, 2], 2, 2, "rows", 1), small=True))
    track, snake = drawn.findall("figure/svg/polyline")
    assert track.attrib["points"] == snake.attrib["points"] == "0.5,0.5 1.5,0.5 1.5,1.5 0.5,1.5"
    assert drawn.attrib["class"] == "figures small"


def test_where_a_run_ended_is_drawn_over_the_shape_and_sets_its_steps() -> None:
    drawn = parsed(points_over([[0, 1]], [[0.5, -1], [2, 0]], 2.6, "5 steps", 5))
    button = drawn.find("button")
    assert button is not None
    assert json.loads(button.attrib["data-set"]) == {"steps": 5}
    shape, ends = (path.attrib["d"] for path in button.findall("svg/path"))
    assert (shape, ends) == ("M0 -1h0", "M0.5 1h0M2 0h0")  # down the page


def test_bars_begin_at_zero_wherever_that_is() -> None:
    first, second = parsed(bars([("a", -1.0, "-1"), ("b", 3.0, "3")])).findall("li/i")
    assert first.attrib["style"] == "margin-left:0.00%;width:25.00%"
    assert second.attrib["style"] == "margin-left:25.00%;width:75.00%"


def test_a_row_has_its_columns_and_its_title_is_no_markup() -> None:
    row = f"<div>{titled_row('<i>', figures([Figure(PICTURE, 'a'), Figure(PICTURE, 'b')]), 2)}</div>"
    drawn = parsed(row)
    assert drawn.findtext("h4") == "<i>"
    assert drawn.find("div").attrib["style"] == "--columns:2"  # type: ignore[union-attr]
    assert len(drawn.findall("div/figure")) == 2
    assert "<h4>" not in titled_row("", "", 1)
