"""A whole evaluation of the shipped model on a few clips: the report, its files, its command."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ml.checkpoint import SHIPPED_MODELS
from ml.classification import classify
from ml.errors import InvalidRequestError, StorageError
from ml.evaluation.clips import ClipSet, FileClip
from ml.evaluation.evaluate import EvaluationSettings, evaluate
from ml.evaluation.listening import hear
from ml.evaluation.provenance import command_line
from ml.evaluation.report import EvaluationReport
from ml.evaluation.sounds import MissingSoundsError, SoundsFolder
from ml.model import Model
from ml.recording import load_recording
from ml.synthesis.recipe import Recipe

DEFAULT = SHIPPED_MODELS / "default"
EXAMPLES = (Path("examples/trumpet-and-celesta.wav"), Path("examples/violin-and-organ.wav"))
N_CLIPS = 3
MOST_BYTES_OF_A_PICTURE = 60_000


@pytest.fixture(scope="module")
def report(sounds: SoundsFolder) -> EvaluationReport:
    settings = EvaluationSettings(
        model=DEFAULT,
        suites=("all", "recipes"),
        n_clips=N_CLIPS,
        seed=5,
        sounds=sounds.path,
        recipes=(Recipe(name="duets", n_clips=1, instruments_per_clip=(2,)),),
        compared=(DEFAULT,),
        command="timbrescope evaluate default",
        tried="More layers: worse.",
    )
    return evaluate(settings)


def test_clips_are_heard_as_a_recording_that_was_sent(shipped: Model) -> None:
    clips = tuple(FileClip(path.stem, path, frozenset({"Trumpet"})) for path in EXAMPLES)
    (by_model,) = hear((DEFAULT,), (ClipSet("examples", None, clips),), shipped.card.labels)
    for row, path in enumerate(EXAMPLES):
        sent = load_recording(path.read_bytes(), sample_rate_hz=shipped.sample_rate_hz)
        answer = classify(shipped, sent)
        for score in answer.instruments:
            column = shipped.card.labels.index(score.instrument)
            assert by_model[0].probabilities[row, column] == score.probability
            assert by_model[0].present[row, column] == score.present
        assert len(by_model[0].timelines[row]) == len(answer.timeline)
    assert by_model[0].truth.sum(axis=1).tolist() == [1, 1]


def test_labels_of_a_compared_model_are_put_in_order(shipped: Model) -> None:
    clip_set = ClipSet("examples", None, (FileClip("x", EXAMPLES[0]),))
    labels = shipped.card.labels
    ((straight,),) = hear((DEFAULT,), (clip_set,), labels)
    ((turned,),) = hear((DEFAULT,), (clip_set,), labels[::-1])
    np.testing.assert_array_equal(straight.probabilities, turned.probabilities[:, ::-1])


def test_a_report_is_the_same_to_the_byte_for_any_number_of_processes(tmp_path: Path) -> None:
    settings = EvaluationSettings(model=DEFAULT, n_clips=5, seed=3)
    evaluate(settings, n_jobs=1).write(tmp_path / "one")
    evaluate(settings, n_jobs=2).write(tmp_path / "two")
    for name in {path.name for folder in ("one", "two") for path in (tmp_path / folder).iterdir()}:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes(), name


def test_every_suite_has_its_section(report: EvaluationReport) -> None:
    fields = report.to_dict()
    assert list(fields["suites"]) == [  # type: ignore[call-overload]
        *("protocol", "recipes", "banks", "similar", "notes", "phrases", "recordings"),
        *("counterfactuals", "networks"),
    ]
    assert report.skipped == {}
    text = report.to_markdown()
    assert [line for line in text.splitlines() if line.startswith("## ")] == [
        "## Fresh protocol clips, FluidR3_GM",
        "## Fresh clips of recipes",
        "## Other banks, natural ranges, 1-4 instruments",
        "## Similar instruments at once",
        "## Melodies of real notes",
        "## Solo phrases",
        "## Recordings of pieces",
        "## Vibrato, attack or harmonic profile?",
        "## Networks compared",
        "## What was tried",
        "## Versions",
    ]
    assert "More layers: worse." in text


def test_the_report_begins_with_the_table_of_results(report: EvaluationReport) -> None:
    lines = report.to_markdown().splitlines()
    assert lines[2].startswith("| set | measure | result [95 % interval] | clips | at least | aim |")
    assert lines[4].startswith("| Fresh protocol clips, FluidR3_GM | macro-F1 | ")
    assert f"| {N_CLIPS} | 0.975 | 0.990 |" in lines[4]
    rows = report.to_dict()["summary"]
    assert isinstance(rows, list)
    assert len(rows) == len(report.summary) > 8


def test_what_the_figures_depend_on_is_told(report: EvaluationReport, sounds: SoundsFolder) -> None:
    fields = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert fields["model"]["id"] == "default"
    assert len(fields["model"]["sha256"]) == 64
    assert fields["compared"][0]["id"] == "default"
    assert (fields["seed"], fields["n_clips"]) == (5, N_CLIPS)
    assert {"torch", "timbrescope", "pyfluidsynth"} <= set(fields["versions"])
    banks = fields["suites"]["banks"]["banks"]
    uses = {name: (bank["use"], bank["known_by"]) for name, bank in banks.items()}
    assert uses == {"Trumpets": ("trained", "hash"), "Winds": ("unseen", "")}  # one file is FluidR3_GM itself
    assert banks["Winds"]["sha256"] == next(b for b in sounds.banks() if b.name == "Winds").sha256()
    assert fields["suites"]["protocol"]["banks"][0]["use"] == "trained"
    assert fields["suites"]["notes"]["not_labels_of_the_model"] == ["Bagpipe"]


def test_words_and_files_belong_together(report: EvaluationReport, tmp_path: Path) -> None:
    report.write(tmp_path)
    written = {path.name for path in tmp_path.iterdir()}
    shown = set(re.findall(r"!\[[^]]*\]\(([^)]+)\)", (tmp_path / "report.md").read_text()))
    assert shown == {name for name in written if name.endswith(".png")}
    assert written - shown == {"report.json", "report.md", "notes.jsonl"}
    for name in shown:
        data = (tmp_path / name).read_bytes()
        assert len(data) < MOST_BYTES_OF_A_PICTURE, name
        assert min(Image.open(io.BytesIO(data)).size) > 100
    plans = [json.loads(line) for line in (tmp_path / "notes.jsonl").read_text().splitlines()]
    assert len(plans) == 3 * N_CLIPS
    assert {len(plan["parts"]) for plan in plans} == {1, 2}


def test_what_all_leaves_out_is_told_and_what_is_asked_for_is_not_left_out(tmp_path: Path) -> None:
    report = evaluate(EvaluationSettings(model=DEFAULT, suites=("all",), n_clips=2, seed=5, sounds=tmp_path))
    assert [section.name for section in report.sections] == ["protocol", "similar", "counterfactuals"]
    assert set(report.skipped) == {"banks", "notes", "phrases", "recordings"}
    assert "Left out: notes." in report.to_markdown()
    with pytest.raises(MissingSoundsError, match="--sounds"):
        evaluate(EvaluationSettings(model=DEFAULT, suites=("all", "notes"), n_clips=2))


def test_nothing_left_to_evaluate_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ml.synthesis.soundfonts.SYSTEM_FOLDERS", ())
    monkeypatch.delenv("TIMBRESCOPE_SOUNDFONT_PATH", raising=False)
    with pytest.raises(InvalidRequestError, match=r"Nothing can be evaluated.*FluidR3_GM was not found"):
        evaluate(EvaluationSettings(model=DEFAULT, suites=("all",), n_clips=1))


def test_a_report_that_cannot_be_written_says_where(report: EvaluationReport, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=f"cannot be written to {tmp_path}/file"):
        report.write(tmp_path / "file")


def test_the_command_has_no_folders_of_this_machine() -> None:
    command = command_line(
        "/home/me/models/mine",
        suites=["banks", "notes"],
        n_clips=50,
        seed=7,
        sounds=Path("/data/my sounds"),
        banks=["TimGM6mb"],
        recipes=[Path("recipes/full.yaml")],
        datasets=["/data/recorded"],
        compare=["reference"],
        tried=Path("reports/tried.md"),
    )
    assert command == (
        "timbrescope evaluate mine --suite banks --suite notes --recipe recipes/full.yaml --dataset recorded "
        "--sounds SOUNDS --bank TimGM6mb --compare reference --clips 50 --seed 7 --notes reports/tried.md"
    )
