"""Places: what lies below an allowed root is allowed, and nothing leads out of it."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from ml.errors import InvalidRequestError
from worker.places import place_below
from worker.settings import SharedSettings

ROOTS = ("/data/sets", "s3://bucket/sets")


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("/data/sets/winds", "/data/sets/winds"),
        ("file:///data/sets/winds/", "/data/sets/winds"),
        ("/data/sets/2026/winds_1.v2", "/data/sets/2026/winds_1.v2"),
        ("s3://bucket/sets/winds", "s3://bucket/sets/winds"),
    ],
)
def test_allowed(url: str, place: str) -> None:
    assert place_below(ROOTS, url, field="url") == place


@pytest.mark.parametrize(
    "url",
    [
        "",
        "winds",
        "/data/sets",
        "/data/sets/",
        "/data/sets/..",
        "/data/sets/../../etc",
        "/data/sets/a/../../b",
        "/data/sets/./a",
        "/data/sets//a",
        "/data/setsx/a",
        "/etc/passwd",
        "/data/sets/.hidden",
        "/data/sets/a b",
        "/data/sets/a%2e%2e",
        "/data/sets/a\x00b",
        "/data/sets/a\n",
        "/data/sets/*",
        "s3://bucket/other/winds",
        "s3://bucket/sets/../other",
        "s3://user:secret@bucket/sets/winds",
        "memory://sets/winds",
        "http://127.0.0.1/sets/winds",
        "file://host/data/sets/winds",
        "/data/sets/" + "a/" * 600,
    ],
)
def test_refused(url: str) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        place_below(ROOTS, url, field="url")
    assert "'field': 'url'" in str(refused.value.extra["errors"])
    assert len(str(refused.value)) < 500


def test_links_must_not_lead_out(tmp_path: Path) -> None:
    root, outside = tmp_path / "sets", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    (root / "link").symlink_to(outside)
    (root / "inside").symlink_to(root / "real")
    with pytest.raises(InvalidRequestError, match="a link leads out"):
        place_below((str(root),), f"{root}/link/winds", field="url")
    with pytest.raises(InvalidRequestError, match="a link leads out"):
        place_below((str(root),), f"{root}/link", field="url")
    assert place_below((str(root),), f"{root}/inside/winds", field="url") == f"{root}/inside/winds"


def test_a_root_may_itself_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "root").symlink_to(tmp_path / "real")
    assert place_below((f"{tmp_path}/root",), f"{tmp_path}/root/winds", field="url")


def test_roots_are_settings(tmp_path: Path) -> None:
    settings = SharedSettings(state_dir=tmp_path)
    assert settings.dataset_places == (f"{tmp_path}/datasets",)
    settings = SharedSettings(dataset_roots=("file:///data/sets/", "s3://bucket/sets/"))
    assert settings.dataset_places == ROOTS


@pytest.mark.parametrize("root", ["sets", "", "s3://key:secret@bucket/sets", "s3://bucket/sets?x=1"])
def test_roots_that_make_no_sense_are_refused(root: str) -> None:
    with pytest.raises(ValidationError) as refused:
        SharedSettings(dataset_roots=(root,))
    assert "secret" not in refused.value.errors()[0]["msg"]
