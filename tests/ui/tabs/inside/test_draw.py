"""Figures and charts as HTML: whole, in the page's colours, and with words for those who hear it."""

from __future__ import annotations

import base64
import io
import math
import re
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from tests.ui.conftest import grain
from ui.tabs.inside.draw import COLOURS, Figure, Line, chart, charts, data_uri, figures, note
from ui.theme import SERIES


def parsed(text: str) -> ElementTree.Element:
    """What a browser would read; attributes and elements that are not closed are an error here."""
    return ElementTree.fromstring(re.sub(r"(<img[^>]*)>", r"\1/>", text))


def test_a_picture_is_handed_over_bit_for_bit() -> None:
    pixels = grain(9, 7)
    content = base64.b64decode(data_uri(Image.fromarray(pixels)).removeprefix("data:image/png;base64,"))
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(content))), pixels)


def test_figures_have_captions_that_are_no_markup_and_set_controls() -> None:
    picture = Image.new("RGB", (2, 2))
    drawn = parsed(figures([Figure(picture, "a <b>", "9 dB"), Figure(picture, "c", crisp=True, sets={"t": 7})]))
    first, second = drawn.findall("figure")
    assert "".join(first.itertext()) == "9 dB a <b>"
    assert first.find("img").attrib["alt"] == "a <b> 9 dB"  # type: ignore[union-attr]
    button = second.find("button")
    assert button is not None
    assert button.attrib["data-set"] == '{"t": 7}'
    assert button.find("img").attrib["class"] == "crisp"  # type: ignore[union-attr]


def test_a_chart_draws_its_points_where_they_are() -> None:
    lines = [Line([(0, 0), (1, math.inf), (2, 4)], "one", "4"), Line([(0, 4), (2, 0)], "two & more", faint=True)]
    drawn = parsed(charts(chart("What is seen", lines, "x", "y", at=2)))
    svg = drawn.find("figure/svg")
    assert svg is not None
    assert (svg.attrib["role"], svg.attrib["aria-label"]) == ("img", "What is seen")
    one, two = (
        [tuple(map(float, point.split(","))) for point in line.attrib["points"].split()]
        for line in svg.findall("polyline")
    )
    assert len(one) == 2  # what is infinite has no place
    (left, low), (right, high) = one
    assert left < right
    assert low > high  # down the page
    assert two == [(left, high), (right, low)]
    assert svg.findall("path")[-1].attrib["d"].startswith(f"M{right}")  # the marker
    assert ["".join(item.itertext()) for item in drawn.iter("li")] == ["one 4", "two & more"]


def test_a_line_s_own_place_is_marked_where_its_number_is() -> None:
    line = [(0, 0), (40, 4), (60, 8), (100, 0)]
    drawn = parsed(chart("nearest", [Line(line, "one", "8", here=(60, 8)), Line(line, "two")], "x", "y", at=50))
    first, second = ([float(one.attrib[name]) for name in ("cx", "cy")] for one in drawn.findall("svg/circle"))
    point = drawn.find("svg/polyline").attrib["points"].split()[2]  # type: ignore[union-attr]
    assert first == [float(value) for value in point.split(",")]
    assert second[0] < first[0]
    led = [path.attrib["d"] for path in drawn.findall("svg/path[@class='nearest']")]
    assert led == [f"M{second[0]} {first[1]}H{first[0]}"]  # from the marker to it, and none to what is at the marker
    assert second[1] > first[1]  # half-way from 4 to 8: lower on the page


def test_lines_that_are_flat_or_beyond_the_range_are_drawn_too() -> None:
    flat = parsed(chart("flat", [Line([(0, 1), (0, 1)], "one")], "x", "y"))
    assert "nan" not in ElementTree.tostring(flat, encoding="unicode")
    cut = parsed(chart("cut", [Line([(0, -5), (1, 50)], "one")], "x", "y", y_range=(0, 1)))
    heights = [float(point.split(",")[1]) for point in cut.find("svg/polyline").attrib["points"].split()]  # type: ignore[union-attr]
    assert all(0 <= height <= 220 for height in heights)
    assert parsed(note("a < b")).text == "a < b"


def ticks(text: str) -> list[str]:
    return [str(one.text) for one in parsed(text).findall("svg/text[@class='tick']")]


def test_axes_say_round_numbers_and_powers_where_a_step_is_a_factor() -> None:
    drawn = chart("plain", [Line([(1, 0.0701), (20, 1.14)], "one")], "x", "y")
    assert ticks(drawn) == ["0", "0.2", "0.4", "0.6", "0.8", "1", "1.2", "5", "10", "15", "20"]
    drawn = chart("factors", [Line([(8, 1.1e6), (256, 5e11)], "one")], "x", "y", at=16, logarithmic=True)
    assert ticks(drawn) == ["10⁶", "10⁸", "10¹⁰", "10¹²", "10", "20", "50", "100", "200"]
    (place,) = parsed(drawn).findall("svg/circle")
    line = parsed(drawn).find("svg/polyline")
    assert line is not None
    (left, low), (right, high) = (map(float, point.split(",")) for point in line.attrib["points"].split())
    assert float(place.attrib["cx"]) == pytest.approx(left + (right - left) / 5, abs=0.1)  # 16 of 8 to 256
    assert float(place.attrib["cy"]) == pytest.approx(low + (high - low) / 5, abs=0.1)  # the marker's place on the line


def test_every_line_has_a_colour() -> None:
    assert [f"series-{i}" for i in range(COLOURS)] == list(SERIES)
