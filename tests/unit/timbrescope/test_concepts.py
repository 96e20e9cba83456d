"""The command that builds an atlas: the file it writes, the table it prints, what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ml.checkpoint import SHIPPED_MODELS, read_card
from ml.concepts.atlas import read_atlas
from ml.errors import UnknownLayerError, UnknownModelError
from timbrescope.cli import app

FEW = ("--clips", "1", "--layer", "features.conv1", "--jobs", "1")  # sixteen channels


def test_the_atlas_is_written_where_it_is_asked_for(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["concepts", "default", "--out", str(tmp_path), *FEW])
    assert done.exit_code == 0, done.output
    atlas = read_atlas(tmp_path, read_card(SHIPPED_MODELS / "default"))
    (layer,) = atlas.layers
    assert [concept.channel for concept in layer.concepts] == list(range(16))
    assert "features.conv1: " in done.stdout
    assert all(f" {concept.share:.1%} " in done.stdout for concept in layer.concepts)
    assert not (SHIPPED_MODELS / "default" / "concepts.json").exists() or (
        read_atlas(SHIPPED_MODELS / "default", read_card(SHIPPED_MODELS / "default")) != atlas
    )


def test_json_is_the_atlas(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["concepts", "default", "--out", str(tmp_path), "--json", *FEW])
    assert json.loads(done.stdout) == json.loads((tmp_path / "concepts.json").read_text())


def test_what_cannot_be_built_leaves_no_atlas(tmp_path: Path) -> None:
    layer = ["--layer", "features.conv9", "--jobs", "1"]
    with pytest.raises(UnknownLayerError, match="conv9"):
        CliRunner().invoke(app, ["concepts", "--out", str(tmp_path), *layer], catch_exceptions=False)
    with pytest.raises(UnknownModelError, match="winds"):
        CliRunner().invoke(app, ["concepts", "winds"], catch_exceptions=False)
    assert list(tmp_path.iterdir()) == []
