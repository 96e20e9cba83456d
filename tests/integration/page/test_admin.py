"""The page for operators: a data set and a training, ordered there and followed to their end."""

import json
from typing import Any

from playwright.sync_api import Page, Route, expect

from tests.integration.making import KEY
from tests.integration.page.conftest import OpenPage, screenshot
from tests.integration.processes import wait_until

RECIPE: dict[str, Any] = {
    "name": "page-winds",
    "n_clips": 40,
    "clip_duration_s": 2.0,
    "seed": 11,
    "validation_share": 0.25,
    "instruments": [{"name": "Flute", "program": 73, "pitch_range": [60, 90]}, "Trumpet"],
    "instruments_per_clip": [1],
}
CONFIG = {"network": "default", "n_epochs": 2, "batch_size": 10}
LISTED = "**/jobs?limit=50*"


def test_a_data_set_and_a_model_are_made_on_the_page(open_page: OpenPage) -> None:
    page = open_page()
    page.select_option("#model", "reference")
    open_panel(page)
    page.wait_for_selector("#admin-jobs li")
    page.fill("#recipe", "{")
    page.click("#dataset-form button")
    expect(page.locator("#admin-fault")).to_contain_text("JSON")
    page.fill("#recipe", json.dumps({**RECIPE, "n_clips": 0}))
    page.click("#dataset-form button")
    expect(page.locator("#admin-fault")).to_contain_text("recipe.n_clips")
    page.fill("#recipe", json.dumps(RECIPE))
    page.click("#dataset-form button")
    expect(page.locator("#admin-fault")).to_be_empty()
    made = page.locator(".admin-job", has_text="Data set page-winds").first
    expect(made).to_contain_text("done", timeout=120_000)
    expect(page.locator("#said")).to_have_text("Data set page-winds: done")
    page.locator("#training-dataset option", has_text="page-winds").first.wait_for(state="attached")
    page.select_option("#training-dataset", index=0)
    page.fill("#training-model", "page-winds")
    page.fill("#config", json.dumps(CONFIG))
    page.click("#training-order")
    trained = page.locator(".admin-job", has_text="Training page-winds").first
    expect(trained.locator("figcaption")).to_contain_text("Epoch 2 of 2", timeout=120_000)
    expect(trained.locator("strong + span")).to_have_text("done", timeout=120_000)
    assert trained.locator("polyline").count() == 3
    # The new model can be asked at once, and nobody's choice is lost.
    page.locator("#model option[value=page-winds]").wait_for(state="attached")
    assert page.input_value("#model") == "reference"
    screenshot(page, "page-admin")


def test_only_what_is_looked_at_has_a_stream(open_page: OpenPage) -> None:
    """A browser keeps six connections to a service; were all of them streams, the page would wait."""
    page = open_page()
    begun: list[str] = []
    ended: list[str] = []
    page.on("requestfailed", lambda request: ended.append(request.url))
    page.route(
        LISTED, lambda route: route.fulfill(json={"jobs": [training(i) for i in range(8)], "next": None})
    )
    page.route("**/events", lambda route: begun.append(route.request.url))  # never answered
    open_panel(page)
    rows = page.locator(".admin-job")
    expect(rows).to_have_count(8)
    assert begun == []
    rows.nth(0).locator("summary").click()
    wait_until(lambda: pumped(page, len(begun)) == 1, 20.0, "the stream")
    rows.nth(5).locator("summary").click()
    wait_until(lambda: pumped(page, len(begun)) == 2, 20.0, "the other stream")
    wait_until(lambda: pumped(page, len(ended)) == 1, 20.0, "the end of the first stream")
    assert ended == begun[:1]
    page.locator("#admin > summary").click()
    wait_until(lambda: pumped(page, len(ended)) == 2, 20.0, "the end of all streams")


def test_a_lost_connection_is_told_and_tried_again(open_page: OpenPage) -> None:
    page = open_page()
    answers = [{"jobs": [training(0)], "next": None}]

    def answer(route: Route) -> None:
        if answers:
            route.fulfill(json=answers.pop())
        else:
            route.abort()

    page.route(LISTED, answer)
    open_panel(page)
    expect(page.locator(".admin-job")).to_have_count(1)
    expect(page.locator("#admin-fault")).to_contain_text("cannot be reached")
    expect(page.locator(".admin-job")).to_have_count(1)
    answers.append({"jobs": [training(0), training(1)], "next": None})
    expect(page.locator(".admin-job")).to_have_count(2)


def test_what_is_missing_is_said(open_page: OpenPage) -> None:
    page = open_page()
    page.route(LISTED, lambda route: route.fulfill(json={"jobs": [], "next": None}))
    forbidden = {"type": "/problems/forbidden", "title": "Forbidden", "status": 403, "detail": "No."}
    page.route("**/datasets", lambda route: route.fulfill(status=403, json=forbidden))
    open_panel(page)
    expect(page.locator("#admin-jobs")).to_have_text("None yet.")
    expect(page.locator("#training-dataset")).to_have_text("Make a data set first")
    expect(page.locator("#training-order")).to_be_disabled()
    page.click("#dataset-form button")
    expect(page.locator("#admin-fault")).to_contain_text("admin key")


def open_panel(page: Page) -> None:
    """Opens what operators see, with their key."""
    page.locator("#admin > summary").click()
    page.wait_for_selector("#key-dialog[open]")
    page.fill("#key-field", KEY)
    page.keyboard.press("Enter")


def training(number: int) -> dict[str, Any]:
    """A training at work, as the list of jobs has it."""
    path = f"/jobs/0193a0c0-0000-7000-8000-{number:012d}"
    return {
        "id": path.rpartition("/")[2],
        "kind": "training",
        "status": "running",
        "created_at": "2026-03-01T12:00:00Z",
        "started_at": "2026-03-01T12:00:01Z",
        "progress": {"stage": "training", "done": 1, "total": 8, "queue_position": None},
        "order": {"model_id": f"model-{number}"},
        "error": None,
        "links": {"self": path, "events": f"{path}/events"},
    }


def pumped(page: Page, count: int) -> int:
    """A count, after the browser had its say."""
    page.wait_for_timeout(50)
    return count
