"""The section about explanations: its clips, its words, its pictures, and that processes change nothing."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ml.errors import InvalidRequestError, UnknownMethodError
from ml.evaluation.evaluate import EvaluationSettings, evaluate
from ml.evaluation.explanations import running
from ml.evaluation.explanations.contenders import Contender
from ml.evaluation.explanations.example import choose_example, named
from ml.evaluation.explanations.material import (
    N_LISTENED,
    ExplainedSet,
    explained_sets,
    listened_clips,
)
from ml.evaluation.explanations.measures import figures_of
from ml.evaluation.explanations.method_table import MethodRow
from ml.evaluation.explanations.section import SECONDS_NAME
from ml.evaluation.explanations.words_of_methods import comparison_words
from ml.evaluation.provenance import command_line
from ml.evaluation.report import EvaluationReport
from ml.evaluation.sounds import SoundsFolder
from ml.evaluation.suites.suite import Request
from tests.unit.ml.evaluation.explanations.conftest import LABELS, N_CLIPS, SEED
from tests.unit.ml.evaluation.explanations.made import scored_clips

METHODS = ("alpha2-beta1", "gamma")


def settings_of(small: Path, other: Path, sounds: SoundsFolder) -> EvaluationSettings:
    return EvaluationSettings(
        model=small,
        suites=(),
        n_clips=N_CLIPS,
        seed=SEED,
        sounds=sounds.path,
        compared=(other,),
        command="timbrescope evaluate small --explanations",
        explanations=True,
        methods=METHODS,
    )


@pytest.fixture(scope="module")
def report(small: Path, other: Path, sounds: SoundsFolder) -> EvaluationReport:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(running, "N_EXAMINED", 1)
        patch.setattr(running, "N_COMPARED", 2)
        return evaluate(settings_of(small, other, sounds))


def test_clips_are_of_two_to_four_of_what_a_bank_has(sets: tuple[ExplainedSet, ...]) -> None:
    assert [(one.group, one.use.name) for one in sets] == [
        ("protocol", "FluidR3_GM"),
        ("unseen banks", "Winds"),  # the bank with one instrument is left out
    ]
    for one in sets:
        assert len(one.clips) == N_CLIPS
        assert {len(clip.plan.stems) for clip in one.clips} <= {2, 3, 4}
    assert {name for clip in sets[1].clips for name in clip.playing} <= {"Trumpet", "Soprano Sax", "Piccolo"}
    assert sets[0].recipe.seed != sets[1].recipe.seed


def test_several_banks_share_the_clips(request_: Request) -> None:
    bank = request_.all_banks()[-1]
    twice = replace(request_, banks=(replace(bank, name="More winds"),))
    sets = explained_sets(twice)[1:]
    assert [one.use.name for one in sets] == ["More winds", "Winds"]
    assert [len(one.clips) for one in sets] == [2, 2]  # of three, rounded up
    assert sets[0].clips[0].plan.stems != sets[1].clips[0].plan.stems


def test_evidence_is_listened_to_in_duets(request_: Request) -> None:
    clips = listened_clips(request_)
    assert len(clips) == min(N_LISTENED, N_CLIPS)
    assert {len(clip.plan.stems) for clip in clips} == {2}


def test_a_clip_is_looked_at_the_closer_the_earlier_it_comes(sets: tuple[ExplainedSet, ...]) -> None:
    ordered = running._in_turns(sets)
    assert [one.group for one, _, _ in ordered] == ["protocol"] * N_CLIPS + ["unseen banks"] * N_CLIPS
    assert [clip for _, clip, _ in ordered[:N_CLIPS]] == list(sets[0].clips)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(running, "N_EXAMINED", 1)
        patch.setattr(running, "N_COMPARED", 2)
        depths = [depth for _, _, depth in running._in_turns(sets)]
    assert depths == ["examined", "compared", "scored"] * 2


def test_the_report_opens_with_what_is_aimed_at(report: EvaluationReport) -> None:
    rows = {(row.set_name, row.measure): row for row in report.summary}
    skill = rows["Explanations, protocol", "skill over loudness"]
    assert skill.target is not None
    assert (skill.target.at_least, skill.target.aim, skill.n_clips) == (0.62, 0.75, N_CLIPS)
    unseen = rows["Explanations, Winds, never heard", "skill over loudness"]
    assert unseen.target is not None
    assert (unseen.target.at_least, unseen.target.aim) == (0.52, 0.70)
    exact = rows["Explanations", "concept maps + remainder = map, to 1e-5"]
    assert exact.interval.value == 1.0
    assert "Explanations, two instruments" in report.to_markdown().split("In brackets")[0]
    heard = rows["Explanations, two instruments", "evidence kept keeps the label"]
    assert heard.target is not None
    assert (heard.target.at_least, heard.target.aim) == (None, 0.8)


def test_the_section_has_every_table(report: EvaluationReport) -> None:
    text = report.to_markdown()
    assert [line for line in text.splitlines() if line.startswith("### ")] == [
        "### The method `alpha2-beta1`",
        "### Methods compared",
        "### Where maps are true and where not",
        "### Faithful without stems",
        "### Evidence one can hear",
    ]
    for contender in (*METHODS, "random", "loudness", "gradient-x-input", "integrated-gradients", "grad-cam"):
        assert re.search(rf"^\| (\*\*)?{contender}(\*\*)? \|", text, re.MULTILINE), contender
    assert "| **alpha2-beta1** | logit | 2 / 2 |" in text
    assert "| integrated-gradients |  | 1 / 1 |" in text
    assert "| true mask, soft |" in text
    assert "#### small, the model of this report" in text
    assert "#### other" in text
    assert "nan" not in text


def test_the_table_of_methods_compares_the_same_clips(report: EvaluationReport) -> None:
    record = json.loads(json.dumps(report.to_dict()))["suites"]["explanations"]
    for of_model in record["methods"].values():
        for contender, by_group in of_model.items():
            clips = [figures["n_clips"] for figures in by_group.values()]
            assert clips == ([1, 1] if contender == "integrated-gradients" else [2, 2]), contender
    text = report.to_markdown()
    assert "All on the same clips, the first 2 protocol clips and the first 2 clips of unseen banks" in text
    assert "not ranked: `integrated-gradients` (1 and 1)" in text
    assert text.count("| **alpha2-beta1** | logit | 2 / 2 |") == 2  # on either model


def test_a_method_tried_on_fewer_clips_is_not_called_the_best() -> None:
    few, many = (figures_of(scored_clips(n, seed), 0) for n, seed in ((3, 1), (9, 2)))
    lucky = replace(few, skill=replace(few.skill, value=1.0))
    rows = [
        MethodRow(Contender(name, "method"), {"protocol": figures})
        for name, figures in (("gamma", lucky), ("epsilon", many))
    ]
    words = comparison_words(rows, ["protocol"], SECONDS_NAME)
    assert "the best are in skill `epsilon`" in words
    assert "not ranked: `gamma` (3)" in words
    assert "On protocol clips the best are in skill `gamma`" in comparison_words(
        [MethodRow(row.contender, {"protocol": lucky}) for row in rows[:1]], ["protocol"], SECONDS_NAME
    )


def test_the_record_is_json_and_complete(report: EvaluationReport) -> None:
    record = json.loads(json.dumps(report.to_dict(), allow_nan=False))["suites"]["explanations"]
    assert record["method"] == "alpha2-beta1"
    assert set(record["figures"]) == {"protocol", "unseen banks"}
    assert record["figures"]["protocol"]["n_clips"] == N_CLIPS
    assert set(record["methods"]) == {"small", "other"}
    assert set(record["methods"]["small"]) > {"gamma", "gamma, against the others", "true mask, binary"}
    assert set(record["methods"]["other"]) < set(record["methods"]["small"])
    assert record["sets"]["Winds"]["use"] == "unseen"
    assert np.shape(record["relevance_on_stems"]["protocol"]) == (len(LABELS), len(LABELS))
    assert record["evidence"]["n_instruments"] == 2 * N_CLIPS
    assert record["curves"]["protocol"]["n_clips"] == 2


def test_words_and_files_belong_together(report: EvaluationReport, tmp_path: Path) -> None:
    report.write(tmp_path)
    shown = set(re.findall(r"!\[[^]]*\]\(([^)]+)\)", (tmp_path / "report.md").read_text()))
    assert shown == {path.name for path in tmp_path.glob("*.png")}
    assert {
        "explanations-methods.png",
        "explanations-methods-other.png",
        "explanations-stems-protocol.png",
        "explanations-stems-unseen-banks.png",
        "explanations-curves.png",
        "explanations-example.png",
    } == shown
    for name in shown:
        assert min(Image.open(io.BytesIO((tmp_path / name).read_bytes())).size) > 100
    assert f"[{SECONDS_NAME}]({SECONDS_NAME})" in (tmp_path / "report.md").read_text()
    assert "| alpha2-beta1 | " in (tmp_path / SECONDS_NAME).read_text()


def test_processes_change_nothing_but_times(
    small: Path, other: Path, sounds: SoundsFolder, report: EvaluationReport, tmp_path: Path
) -> None:
    settings = settings_of(small, other, sounds)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(running, "N_EXAMINED", 1)
        patch.setattr(running, "N_COMPARED", 2)
        done: list[tuple[int, int]] = []
        evaluate(settings, n_jobs=2, on_progress=lambda *counts: done.append(counts)).write(tmp_path / "two")
    report.write(tmp_path / "one")
    assert done == [(number, 3 * N_CLIPS) for number in range(1, 3 * N_CLIPS + 1)]
    names = {path.name for path in (tmp_path / "one").iterdir()}
    assert names == {path.name for path in (tmp_path / "two").iterdir()}
    for name in names - {SECONDS_NAME}:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes(), name


def test_without_a_bank_that_says_so(small: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(running, "N_EXAMINED", 0)
        patch.setattr(running, "N_COMPARED", 0)
        report = evaluate(EvaluationSettings(model=small, suites=(), n_clips=2, seed=SEED, explanations=True))
    text = report.to_markdown()
    assert "No bank was named that the model never heard" in text
    assert "unseen banks" not in text
    assert "explanations-curves.png" not in text
    assert "Methods compared" not in text
    assert "explanations-methods.png" not in text


def test_the_example_has_the_median_skill(sets: tuple[ExplainedSet, ...]) -> None:
    clips = scored_clips(N_CLIPS, 4)
    example = choose_example(sets[0], clips)
    skills = sorted(
        scored.scores.skill
        for clip in clips
        for scored in clip.maps
        if scored.found and scored.scores.skill is not None
    )
    assert example is not None
    assert example.scores.skill == skills[(len(skills) - 1) // 2]
    assert example.n_maps == len(skills)
    assert example.clip_id == sets[0].clips[example.place].clip_id
    assert choose_example(sets[0], []) is None
    assert named(("A", "B", "C")) == "A, B and C"


def test_methods_that_do_not_exist_or_are_of_no_use_are_refused(small: Path) -> None:
    with pytest.raises(UnknownMethodError, match="guesswork"):
        evaluate(EvaluationSettings(model=small, explanations=True, methods=("guesswork",)))
    with pytest.raises(InvalidRequestError, match="--explanations"):
        evaluate(EvaluationSettings(model=small, methods=("gamma",)))


def test_the_command_is_told() -> None:
    command = command_line(
        "default",
        suites=[],
        n_clips=20,
        seed=7,
        sounds=None,
        banks=["TimGM6mb"],
        recipes=[],
        datasets=[],
        compare=["reference"],
        tried=None,
        explanations=True,
        methods=["gamma"],
    )
    assert command == (
        "timbrescope evaluate default --explanations --method gamma --bank TimGM6mb --compare reference "
        "--clips 20 --seed 7"
    )
