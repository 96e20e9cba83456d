"""What stands where on the page, and whether it can be told from its ground."""

import re

import pytest
from playwright.sync_api import Page

from tests.integration.page.conftest import EXAMPLE, OpenPage, send

LEAST_CONTRAST = 3.0
"""Of what shows where a control is: WCAG 2.2, success criterion 1.4.11."""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_controls_are_told_from_their_ground_and_their_inside(open_page: OpenPage, scheme: str) -> None:
    page = open_page(color_scheme=scheme)
    for selector in ("#record", "#example", "#model"):
        edge = colour(page, selector, "borderTopColor")
        assert contrast(edge, colour(page, selector, "backgroundColor")) >= LEAST_CONTRAST
        assert contrast(edge, colour(page, "body", "backgroundColor")) >= LEAST_CONTRAST


def test_a_probability_stands_beside_its_name_and_a_command_is_seen_whole(open_page: OpenPage) -> None:
    page = open_page(viewport={"width": 360, "height": 780})
    send(page, EXAMPLE)
    name, number, bar = (
        page.locator(f"button.instrument >> nth=0 >> .{part}").bounding_box()
        for part in ("name", "number", "bar")
    )
    assert name
    assert number
    assert bar
    assert name["y"] <= number["y"] + number["height"] / 2 <= name["y"] + name["height"]
    assert bar["y"] >= name["y"] + name["height"]
    assert page.eval_on_selector(".command", "command => command.scrollWidth <= command.clientWidth")


def colour(page: Page, selector: str, name: str) -> tuple[float, ...]:
    """A colour as it is drawn: red, green, blue from 0 to 255."""
    text = page.eval_on_selector(selector, "(element, name) => getComputedStyle(element)[name]", name)
    return tuple(float(part) for part in re.findall(r"[\d.]+", text)[:3])


def contrast(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    """The contrast of two colours, as WCAG 2.2 defines it."""
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: tuple[float, ...]) -> float:
    """The relative luminance of a colour, as WCAG 2.2 defines it."""
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for part in (x / 255 for x in colour)
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _linear(part: float) -> float:
    return part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
