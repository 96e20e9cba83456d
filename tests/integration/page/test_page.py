"""The page in a real browser: a recording comes in, its instruments, maps and sounds come out."""

import hashlib
import re
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.integration import sounds
from tests.integration.page.conftest import EXAMPLE, OpenPage, job_of, picture, screenshot, send, wait_for_map
from tests.integration.processes import wait_until


def test_a_recording_is_sent_and_its_maps_are_laid_over_it(page: Page, client: httpx.Client) -> None:
    send(page, EXAMPLE)
    names = page.locator("button.instrument .name").all_inner_texts()
    assert set(names) == {"Trumpet", "Celesta"}
    job = client.get(f"/jobs/{job_of(page)}").json()
    shown = page.locator("button.instrument .number").all_inner_texts()
    assert len(shown) == len(job["result"]["explanations"])
    first = picture(page)
    page.click(f"button.instrument:has-text('{names[1]}')")
    page.wait_for_selector(f".map[aria-label*='{names[1]}']")
    assert picture(page) != first
    page.click(f"button.instrument:has-text('{names[1]}')")  # once more takes the map away
    expect(page.locator("#details")).to_be_hidden()
    bare = picture(page)
    page.click(f"button.instrument:has-text('{names[0]}')")
    page.wait_for_selector(f".map[aria-label*='{names[0]}']")
    assert picture(page) == first != bare
    page.fill("#opacity", "0")
    assert picture(page) == bare
    page.fill("#opacity", "0.85")
    page.select_option("#palette", "orange-purple")
    assert picture(page) not in (bare, first)


def test_the_pointer_is_told_what_it_is_at(explained: Page) -> None:
    box = explained.locator("#map-place .map").bounding_box()
    assert box is not None
    explained.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    words = explained.inner_text("#readout")
    reading = r"\d\.\d\d s · [\d.]+ k?Hz \([A-G]♯?\d\) · -?\d+ dB · relevance [+−][\d.e-]+"
    assert re.fullmatch(rf"{reading}: speaks (for|against) it", words), words


def test_zooming_and_panning(explained: Page) -> None:
    whole = picture(explained)
    explained.click("#zoom-in")
    near = picture(explained)
    assert near != whole
    box = explained.locator("#map-place .map").bounding_box()
    assert box is not None
    middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    explained.mouse.move(*middle)
    explained.mouse.down()
    explained.mouse.move(middle[0] - 150, middle[1], steps=5)
    explained.mouse.up()
    assert picture(explained) not in (near, whole)
    explained.click("#zoom-all")
    assert picture(explained) == whole


def test_the_recording_and_the_evidence_are_heard_in_one_place(explained: Page) -> None:
    explained.click("#play")
    wait_until(lambda: time_of(explained, "original") > 0.3, 20.0, "sound")
    box = explained.locator("#map-place .map").bounding_box()
    assert box is not None
    explained.mouse.click(box["x"] + 62 + (box["width"] - 68) * 0.5, box["y"] + 50)
    wait_until(lambda: 2.4 < time_of(explained, "original") < 4.5, 20.0, "the place that was clicked")
    explained.click("button[data-source=kept]")
    wait_until(lambda: time_of(explained, "kept") > 2.4, 20.0, "the evidence at the same place")
    began = time_of(explained, "kept")
    wait_until(lambda: time_of(explained, "kept") > began or is_over(explained, "kept"), 20.0, "its sound")
    assert explained.eval_on_selector("audio[data-source=original]", "audio => audio.paused")
    explained.click("button[data-source=removed]")
    words = explained.locator("#sources button").all_inner_texts()
    assert [word.split(" ")[0] for word in words] == ["Recording", "Evidence", "Without"]
    assert all("%" in word for word in words)


def test_a_midi_file_shows_where_the_instrument_truly_is(page: Page) -> None:
    page.select_option("#example", label="Trumpet, with Celesta")
    page.click("#try")
    wait_for_map(page)
    expect(page.locator("#proof")).to_contain_text("times more than its loudness explains")
    page.select_option("#beside", "truth")
    page.wait_for_selector("#beside-place canvas")
    assert "truly is" in page.inner_text("#beside-place h3")
    assert picture(page, "#beside-place canvas") != picture(page)
    screenshot(page, "page-truth")


def test_every_example_is_there_and_one_for_each_instrument(page: Page, client: httpx.Client) -> None:
    known = {each["instrument"] for each in client.get("/instruments").json()["instruments"]}
    examples = client.get("/static/examples/examples.json").json()["examples"]
    assert {example["instruments"][0] for example in examples} == known
    assert page.locator("#example option").count() == len(examples)
    for example in examples:
        content = client.get(f"/static/examples/{example['file']}").content
        assert content[:4] == b"MThd"
        assert example["sha256"] == hashlib.sha256(content).hexdigest()


def test_concepts_are_pointed_at_and_listened_to(explained: Page) -> None:
    whole = picture(explained)
    card = explained.locator(".card").first
    card.hover()
    wait_until(lambda: picture(explained) != whole, 20.0, "the concept's map")
    explained.mouse.move(5, 5)
    wait_until(lambda: picture(explained) == whole, 20.0, "the whole map again")
    card.get_by_role("button", name="What it listens to").click()
    reference = card.locator(".reference").first
    reference.get_by_role("button").click()
    reference.locator("audio:not([hidden])").wait_for()
    wait_until(
        lambda: bool(reference.locator("audio").evaluate("audio => audio.currentTime > 0 || audio.ended")),
        20.0,
        "the reference's sound",
    )
    assert reference.locator("img").evaluate("img => img.complete && img.naturalWidth > 0")


def test_another_instrument_why_not_and_another_model_stand_beside(explained: Page) -> None:
    explained.select_option("#beside", "map:Celesta")
    expect(explained.locator("#beside-place h3")).to_contain_text("Celesta")
    other = picture(explained, "#beside-place canvas")
    explained.get_by_role("button", name="Why not Violin?").click()
    explained.wait_for_selector("#beside-place h3:has-text('Why not Violin rather than Trumpet?')")
    explained.wait_for_selector("#beside-place canvas")
    assert picture(explained, "#beside-place canvas") != other
    explained.select_option("#beside", "model:reference")
    explained.wait_for_selector("#beside-place h3:has-text('by reference')")
    explained.wait_for_selector("#beside-place canvas")
    screenshot(explained, "page-compare")
    explained.select_option("#beside", "")
    expect(explained.locator("#beside-place")).to_be_hidden()


def test_a_link_restores_a_job(explained: Page, open_page: OpenPage) -> None:
    restored = open_page(f"/?job={job_of(explained)}")
    wait_for_map(restored)
    assert restored.inner_text("#file-name") == EXAMPLE.name
    assert restored.locator("button.instrument .name").all_inner_texts() == (
        explained.locator("button.instrument .name").all_inner_texts()
    )
    restored.get_by_role("button", name="Why not Violin?").click()  # with the recording that the service has
    restored.wait_for_selector("#beside-place canvas")


def test_links_to_nothing_say_so(open_page: OpenPage) -> None:
    page = open_page("/?job=0193a0c0-0000-7000-8000-000000000000")
    expect(page.locator("#fault")).to_contain_text("Unknown job")


def test_a_job_is_cancelled(page: Page, client: httpx.Client, tmp_path: Path) -> None:
    long = tmp_path / "long.wav"
    long.write_bytes(sounds.audio_file(sounds.tone(59.0)))
    with page.expect_response("**/explain") as answered:
        page.set_input_files("#file", long)
    job = answered.value.json()
    page.click("#cancel")
    expect(page.locator("#fault")).to_contain_text("Cancelled")
    wait_until(
        lambda: client.get(f"/jobs/{job['id']}").json()["status"] == "cancelled", 20.0, "the cancelled job"
    )
    expect(page.locator("#progress")).to_be_hidden()


def test_a_bad_file_is_refused_in_words(page: Page, tmp_path: Path) -> None:
    text = tmp_path / "song.wav"
    text.write_text("This is a text, whatever its name says.\n" * 10)
    page.set_input_files("#file", text)
    expect(page.locator("#fault")).to_contain_text("Not a supported kind of recording")
    broken = tmp_path / "broken.wav"
    broken.write_bytes(sounds.nan_file())
    page.set_input_files("#file", broken)
    expect(page.locator("#fault")).to_contain_text("All samples must be finite numbers")


def test_of_a_long_recording_a_part_is_asked_for(page: Page, tmp_path: Path) -> None:
    long = tmp_path / "long.wav"
    long.write_bytes(sounds.audio_file(sounds.tone(70.0)))
    page.set_input_files("#file", long)
    expect(page.locator("#range-text")).to_contain_text("70 s")
    page.fill("#range-start", "40")
    page.fill("#range-duration", "4")
    page.click("#range button[type=submit]")
    page.wait_for_selector("#result:not([hidden])")
    expect(page.locator("#time")).to_have_text("40.00 s of 44.01 s")


def test_dropping_a_file(page: Page) -> None:
    data = EXAMPLE.read_bytes()
    page.evaluate(
        """([bytes, name]) => {
            const carried = new DataTransfer();
            carried.items.add(new File([new Uint8Array(bytes)], name));
            const how = {dataTransfer: carried, bubbles: true, cancelable: true};
            document.body.dispatchEvent(new DragEvent("drop", how));
        }""",
        [list(data), EXAMPLE.name],
    )
    wait_for_map(page)
    assert page.inner_text("#file-name") == EXAMPLE.name


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_works_in_light_and_dark(open_page: OpenPage, scheme: str) -> None:
    page = open_page(color_scheme=scheme)
    send(page, EXAMPLE)
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == ("rgb(255, 255, 255)" if scheme == "light" else "rgb(18, 20, 24)")
    screenshot(page, f"page-{scheme}")


def time_of(page: Page, source: str) -> float:
    """Where a sound is, in seconds from its beginning; 0 while there is none."""
    return float(page.evaluate(f"document.querySelector('audio[data-source={source}]')?.currentTime ?? 0"))


def is_over(page: Page, source: str) -> bool:
    """Whether a sound has come to its end."""
    return bool(page.evaluate(f"document.querySelector('audio[data-source={source}]').ended"))
