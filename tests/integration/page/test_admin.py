"""The page for operators: a data set and a training, ordered there and followed to their end."""

import json
from typing import Any

from playwright.sync_api import expect

from tests.integration.making import KEY
from tests.integration.page.conftest import OpenPage, screenshot

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


def test_a_data_set_and_a_model_are_made_on_the_page(open_page: OpenPage) -> None:
    page = open_page()
    page.locator("summary", has_text="Data sets and models").click()
    page.wait_for_selector("#key-dialog[open]")
    page.fill("#key-field", KEY)
    page.keyboard.press("Enter")
    page.wait_for_selector("#admin-jobs li")
    page.fill("#recipe", "{")
    page.click("#dataset-form button")
    expect(page.locator("#admin-fault")).to_contain_text("JSON")
    page.fill("#recipe", json.dumps({**RECIPE, "n_clips": 0}))
    page.click("#dataset-form button")
    expect(page.locator("#admin-fault")).to_contain_text("recipe.n_clips")
    page.fill("#recipe", json.dumps(RECIPE))
    page.click("#dataset-form button")
    made = page.locator(".admin-job", has_text="Data set page-winds").first
    expect(made).to_contain_text("done", timeout=120_000)
    page.locator("summary", has_text="Data sets and models").click()
    page.locator("summary", has_text="Data sets and models").click()
    page.select_option("#training-dataset", index=0)
    page.fill("#training-model", "page-winds")
    page.fill("#config", json.dumps(CONFIG))
    page.click("#training-order")
    trained = page.locator(".admin-job", has_text="Training page-winds").first
    expect(trained.locator("figcaption")).to_contain_text("Epoch 2 of 2", timeout=120_000)
    expect(trained).to_contain_text("done", timeout=60_000)
    assert trained.locator("polyline").count() == 3
    screenshot(page, "page-admin")
