"""The offline commands as a user runs them: real processes, real files."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

EXAMPLE = "examples/trumpet-and-celesta.wav"
TINY = """\
name: very-tiny
n_clips: 12
clip_duration_s: 1.0
validation_share: 0.25
instruments: [Piccolo, Acoustic Bass]
instruments_per_clip: [1, 2]
"""


def timbrescope(*arguments: str | Path, timeout_s: float = 240.0) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "timbrescope", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, check=False)


def test_classify_prints_json_with_the_contracts_keys(tmp_path: Path) -> None:
    out = tmp_path / "found"
    answer = timbrescope("classify", EXAMPLE, "--out", out, "--json")
    assert answer.returncode == 0, answer.stderr
    result = json.loads(answer.stdout)
    assert {entry["instrument"] for entry in result["instruments"] if entry["present"]} == {
        "Trumpet",
        "Celesta",
    }
    assert result["timeline"][0]["end_s"] == 5.0
    assert json.loads((out / "result.json").read_text()) == result
    written = {"result.json", "audio.wav", *(Path(link).name for link in result["exports"].values())}
    assert {path.name for path in out.iterdir()} == written
    with Path(result["exports"]["csv"]).open(newline="") as table:
        present = {row["instrument"] for row in csv.DictReader(table) if row["present"] == "true"}
    assert present == {"Trumpet", "Celesta"}
    (tags, _) = json.loads(Path(result["exports"]["jams"]).read_bytes())["annotations"]
    assert {entry["value"] for entry in tags["data"]} == present


def test_classify_prints_a_table_also_for_midi() -> None:
    answer = timbrescope("classify", "examples/violin-and-organ.mid")
    assert answer.returncode == 0, answer.stderr
    assert "Hammond Organ" in answer.stdout


def test_explain_writes_every_artefact_it_names(tmp_path: Path) -> None:
    out = tmp_path / "maps"
    answer = timbrescope(
        "explain", EXAMPLE, "--out", out, "--concepts", "1", "--instrument", "Celesta", "--json"
    )
    assert answer.returncode == 0, answer.stderr
    result = json.loads(answer.stdout)
    (celesta,) = result["explanations"]
    assert json.loads((out / "result.json").read_text()) == result
    with np.load(celesta["map"]["npz"]) as arrays:
        whole = arrays["relevance"]
    parts = []
    for concept in celesta["concepts"]:
        with np.load(concept["map"]["npz"]) as arrays:
            parts.append(arrays["relevance"])
        assert Path(concept["map"]["png"]).read_bytes().startswith(b"\x89PNG")
    assert np.abs(np.sum(parts, axis=0) - whole).max() < 1e-5 * np.abs(whole).max()
    named = {"audio.wav", "result.json", "spectrogram.png", "spectrogram.npz", "map-celesta.png"}
    named |= {Path(link).name for link in result["exports"].values()}
    assert len(result["exports"]) == 4
    assert named <= {path.name for path in out.iterdir()}


def test_a_check_says_how_true_the_maps_are(tmp_path: Path) -> None:
    stems = {"Trumpet": 440.0, "Celesta": 1_760.0}
    for name, pitch_hz in stems.items():
        tone = 0.2 * np.sin(2 * np.pi * pitch_hz * np.arange(44_100) / 44_100)
        soundfile.write(tmp_path / f"{name}.wav", tone, 44_100)
    out = tmp_path / "check"
    given = [f"{tmp_path / name}.wav={name}" for name in stems]
    answer = timbrescope("check", *given, "--out", out, "--method", "epsilon", "--concepts", "1", "--json")
    assert answer.returncode == 0, answer.stderr
    result = json.loads(answer.stdout)
    assert (result["method"], len(result["explanations"])) == ("epsilon", 2)
    for each in result["explanations"]:
        assert set(each["quality"]["truth"]["stems"]) == set(stems)
        assert len(each["concepts"]) == 2
        assert Path(each["quality"]["truth"]["mask"]["png"]).is_file()
    told = timbrescope("check", *given, "--out", out)
    assert told.returncode == 0, told.stderr
    assert "Truth of the maps, by" in told.stdout
    assert "correlation with what the stems do" in told.stdout


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (["classify", "nowhere.wav"], "nowhere.wav cannot be read: No such file"),
        (["classify", "README.md"], "error:"),
        (["classify", EXAMPLE, "--model", "grand"], "There is no model 'grand'; there are default"),
        (["classify", EXAMPLE, "--threshold", "7"], "threshold 7.0 is outside 0..1"),
        (["classify", EXAMPLE, "--device", "tpu"], "Unknown device 'tpu'"),
        (["explain", EXAMPLE, "--out", "x", "--instrument", "Kazoo"], "There are: Acoustic Grand Piano,"),
        (["classify", EXAMPLE, "--out", "README.md"], "README.md is not a folder"),
        (["explain", EXAMPLE, "--out", "README.md"], "README.md is not a folder"),
        (
            ["explain", EXAMPLE, "--out", "x", "--method", "guess"],
            "Unknown method 'guess'; there are epsilon,",
        ),
        (["explain", EXAMPLE, "--out", "x", "--layer", "head"], "no layer 'head' to split into concepts"),
        (["explain", EXAMPLE, "--out", "x", "--contrast", "Kazoo"], "does not know 'Kazoo'"),
        (["check", EXAMPLE, "--out", "x"], f"FILE=INSTRUMENT, not as '{EXAMPLE}'"),
        (["check", "nowhere.wav=Violin", "--out", "x"], "nowhere.wav cannot be read: No such file"),
        (["check", f"{EXAMPLE}=Kazoo", "--out", "x"], "does not know 'Kazoo'"),
        (["check", "examples/trumpet-and-celesta.mid=Violin", "--out", "x"], "is MIDI: stems are recordings"),
        (["dataset", "nowhere.yaml", "--out", "x"], "nowhere.yaml cannot be read"),
        (["train", "examples", "--out", "x"], "no finished data set"),
        (["train", "examples", "--network", "nope"], "network: Input should be 'default', 'reference' or"),
        (["train", "examples", "--network", "reference", "--id", "Über"], "'Über' cannot be a model's id"),
        (["dataset", "recipes/tiny.yaml", "--out", "README.md/x"], "README.md/x cannot be made"),
        (["import-folder", "openapi", "--out", "x"], "openapi holds 0 folders"),
        (["evaluate", "--seed", "20261121"], "Seed 20261121 is that of the model's training data"),
    ],
)
def test_what_is_wrong_is_one_line(arguments: list[str], fault: str) -> None:
    answer = timbrescope(*arguments)
    assert answer.returncode == 1
    assert fault in answer.stderr
    assert len(answer.stderr.strip().splitlines()) == 1
    assert "Traceback" not in answer.stderr
    assert not Path("x").exists()


def test_a_data_set_a_model_and_its_evaluation(tmp_path: Path) -> None:
    recipe = tmp_path / "tiny.yaml"
    recipe.write_text(TINY)
    made = timbrescope("dataset", recipe, "--out", tmp_path / "data", "--jobs", "2")
    assert made.returncode == 0, made.stderr
    assert "Piccolo" in made.stdout
    assert "2 instruments" in made.stdout
    model = tmp_path / "piccolo-or-bass"
    trained = timbrescope("train", tmp_path / "data", "--out", model, "--epochs", "2", "--batch-size", "4")
    assert trained.returncode == 0, trained.stderr
    assert "macro-F1" in trained.stdout
    judged = timbrescope("evaluate", model, "--recipe", recipe, "--clips", "5", "--json")
    assert judged.returncode == 0, judged.stderr
    report = json.loads(judged.stdout)
    assert report["model"]["id"] == "piccolo-or-bass"
    (row,) = report["summary"]
    assert 0.0 <= row["interval"]["low"] <= row["interval"]["value"] <= row["interval"]["high"] <= 1.0
    heard = timbrescope("classify", EXAMPLE, "--model", model, "--json")
    assert {entry["instrument"] for entry in json.loads(heard.stdout)["instruments"]} == {
        "Piccolo",
        "Acoustic Bass",
    }


def test_a_model_of_ones_own_recordings(tmp_path: Path) -> None:
    times_s = np.arange(2 * 44_100) / 44_100
    for label, pitch_hz in (("Flute", 700.0), ("Tuba", 80.0)):
        (tmp_path / "sounds" / label).mkdir(parents=True)
        for number in range(4):
            tone = 0.3 * np.sin(2 * np.pi * (pitch_hz + 5.0 * number) * times_s)
            soundfile.write(tmp_path / "sounds" / label / f"{number}.flac", tone, 44_100)
    data, model = tmp_path / "data", tmp_path / "flute-or-tuba"
    (tmp_path / "sounds" / "Tuba" / "notes.txt").write_text("no sound")
    (tmp_path / "sounds" / "Tuba" / "damaged.wav").write_bytes(b"RIFF")
    refused = timbrescope("import-folder", tmp_path / "sounds", "--out", data)
    assert refused.returncode == 1
    assert "Tuba/damaged.wav" in refused.stderr
    assert not data.exists()
    options = ("--skip-unreadable", "--validation-share", "0.5", "--seed", "3")
    imported = timbrescope("import-folder", tmp_path / "sounds", "--out", data, *options)
    assert imported.returncode == 0, imported.stderr
    assert "Flute" in imported.stdout
    assert "Left out (it is no recording): Tuba/notes.txt." in imported.stdout
    trained = timbrescope("train", data, "--out", model, "--epochs", "1", "--batch-size", "2")
    assert trained.returncode == 0, trained.stderr
    heard = timbrescope("classify", tmp_path / "sounds" / "Tuba" / "0.flac", "--model", model, "--json")
    assert {entry["instrument"] for entry in json.loads(heard.stdout)["instruments"]} == {"Flute", "Tuba"}
    judged = timbrescope("evaluate", model, "--dataset", data, "--json")
    assert judged.returncode == 0, judged.stderr
    assert json.loads(judged.stdout)["summary"][0]["n_clips"] == 4


def test_ctrl_c_keeps_what_is_finished_and_the_command_continues(tmp_path: Path) -> None:
    recipe = tmp_path / "longer.yaml"
    recipe.write_text(TINY.replace("n_clips: 12", "n_clips: 400"))
    out = tmp_path / "data"
    command = [sys.executable, "-m", "timbrescope", "dataset", str(recipe), "--out", str(out), "--jobs", "2"]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
        # a shell that starts the tests in the background makes all of them deaf to it
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509  no threads here
    )
    deadline = time.monotonic() + 120.0
    while not list(out.glob("train-*.json")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the whole group
    printed, _ = process.communicate(timeout=120.0)
    assert process.returncode == 130
    assert "the same command continues" in printed
    finished = {path.name: path.stat().st_mtime_ns for path in out.glob("train-*.json")}
    assert finished
    assert not (out / "manifest.json").exists()
    assert not list(out.glob(".*.partial"))
    continued = subprocess.run(command, capture_output=True, text=True, timeout=240.0, check=False)
    assert continued.returncode == 0, continued.stderr
    assert (out / "manifest.json").is_file()
    assert finished == {name: (out / name).stat().st_mtime_ns for name in finished}
