"""Taking an explanation along: the command makes it again, the picture shows all that is seen."""

import io
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import httpx
from PIL import Image
from playwright.sync_api import Page, expect

from tests.integration.making import END_S
from tests.integration.page.conftest import EXAMPLE, OpenPage, job_of, screenshot, send, wait_for_map
from tests.integration.processes import wait_until

HOSTILE = 'it\'s; a,"b" $(c) `d`.wav'


def test_the_command_makes_the_same_explanation_again(
    page: Page, client: httpx.Client, tmp_path: Path
) -> None:
    """Whatever the recording is called."""
    file = tmp_path / HOSTILE
    shutil.copy(EXAMPLE, file)
    send(page, file)
    page.click("button.instrument:has-text('Celesta')")
    page.wait_for_selector(".map[aria-label*='Celesta']")
    made = answer_to(page.inner_text(".command"), tmp_path)
    shown = client.get(f"/jobs/{job_of(page)}").json()
    wanted = next(each for each in shown["result"]["explanations"] if each["instrument"] == "Celesta")
    (explanation,) = made["result"]["explanations"]
    assert explanation["instrument"] == "Celesta"
    assert explanation["probability"] == wanted["probability"]
    assert len(explanation["concepts"]) == len(wanted["concepts"])
    assert made["input"]["sha256"] == shown["input"]["sha256"]
    assert made["result"]["method"] == shown["result"]["method"]


def test_the_name_of_a_file_is_shown_as_it_is(page: Page, tmp_path: Path) -> None:
    file = tmp_path / HOSTILE
    shutil.copy(EXAMPLE, file)
    send(page, file)
    expect(page.locator("#file-name")).to_have_text(HOSTILE)


def test_the_command_names_what_is_looked_at(explained: Page) -> None:
    command = explained.locator(".command")
    expect(command).to_contain_text("-F instruments=Trumpet")
    explained.click("button.instrument:has-text('Trumpet')")  # once more takes the map away
    expect(command).not_to_contain_text("instruments=")
    explained.click("button.instrument:has-text('Celesta')")
    expect(command).to_contain_text("-F instruments=Celesta")


def test_the_command_says_what_an_instrument_was_held_against(
    open_page: OpenPage, client: httpx.Client
) -> None:
    asked = {"instruments": ["Trumpet"], "contrast": "Acoustic Grand Piano", "concepts": "2"}
    with EXAMPLE.open("rb") as file:
        made = client.post(
            "/explain",
            data=asked,
            files={"file": (EXAMPLE.name, file)},
            headers={"Prefer": "wait=60"},
            timeout=END_S,
        )
    page = open_page(f"/?job={made.json()['id']}")
    wait_for_map(page)
    command = page.inner_text(".command")
    assert "-F 'contrast=Acoustic Grand Piano'" in command
    assert "-F concepts=2" in command


def test_the_command_of_an_example_fetches_it_first(page: Page, tmp_path: Path) -> None:
    page.select_option("#example", label="Trumpet, with Celesta")
    page.click("#try")
    wait_for_map(page)
    expect(page.locator(".command")).to_contain_text("curl -O")
    made = answer_to(page.inner_text(".command"), tmp_path)
    assert made["input"]["filename"] == "trumpet.mid"
    assert [each["instrument"] for each in made["result"]["explanations"]] == ["Trumpet"]


def test_the_picture_shows_both_maps_and_the_evidence_over_time(explained: Page) -> None:
    one = pictured(explained)
    map_box = explained.locator("#map-place").bounding_box()
    assert map_box is not None
    assert one.width >= 2 * map_box["width"]
    assert one.height >= 2 * map_box["height"]
    explained.select_option("#beside", "map:Celesta")
    explained.wait_for_selector("#beside-place canvas")
    both = pictured(explained)
    beside = explained.locator("#beside-place .map").bounding_box()
    assert beside is not None
    assert (
        len(both.crop((both.width // 2, 200, both.width, both.height - 200)).getcolors(1 << 24) or []) > 1_000
    )
    assert len(both.crop((0, 200, both.width // 2, both.height - 200)).getcolors(1 << 24) or []) > 1_000
    screenshot(explained, "page-taken-along")


def test_files_are_downloaded(explained: Page) -> None:
    explained.locator("summary:has-text('files')").click()
    with explained.expect_download() as npz:
        explained.locator(".files button", has_text="map-trumpet.npz").click()
    assert npz.value.suggested_filename == "map-trumpet.npz"
    assert npz.value.path().read_bytes()[:2] == b"PK"


def test_colours_and_signs_are_kept_and_are_those_of_every_bar(page: Page) -> None:
    assert colour_of(page, "--for") == "rgb(192 18 38)"
    page.evaluate("document.getElementById('result').hidden = false")  # where the choices are
    page.select_option("#palette", "orange-purple")
    page.select_option("#signs", "against")
    assert colour_of(page, "--for") == "rgb(186 84 0)"
    page.reload()
    page.wait_for_selector("html[data-ready][data-palette=orange-purple][data-signs=against]")
    assert page.input_value("#palette") == "orange-purple"
    assert colour_of(page, "--against") == "rgb(84 39 146)"
    page.emulate_media(color_scheme="dark")
    wait_until(lambda: colour_of(page, "--against") == "rgb(190 150 255)", 20.0, "the colours of the dark")


def answer_to(command: str, folder: Path) -> Any:
    """What a shell prints that runs a command in a folder."""
    made = subprocess.run(
        ["bash", "-euc", command], cwd=folder, capture_output=True, text=True, check=True, timeout=END_S
    )
    return json.loads(made.stdout)


def pictured(page: Page) -> Image.Image:
    """The picture that a page hands out."""
    with page.expect_download() as png:
        page.get_by_role("button", name="Picture").click()
    return Image.open(io.BytesIO(png.value.path().read_bytes())).convert("RGB")


def colour_of(page: Page, name: str) -> str:
    """A colour of the style sheet."""
    return str(page.evaluate(f"getComputedStyle(document.documentElement).getPropertyValue('{name}')"))
