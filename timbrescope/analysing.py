"""Commands that listen to a recording without any server: classify, explain.

They print a table, or with `--json` the same JSON that the service answers, and write the same artefacts. The
science is imported when a command runs, never when the command line is loaded.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from ml.errors import InvalidRequestError
from timbrescope import tables
from timbrescope.console import print_json, screen
from timbrescope.loading import make_folder, open_model, read_recording
from timbrescope.options import DeviceOption, FileArgument, JsonOption, ModelOption, ThresholdOption


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    for command in (classify, explain):
        app.command()(command)


def classify(
    file: FileArgument,
    model: ModelOption = "default",
    threshold: ThresholdOption = None,
    as_json: JsonOption = False,
    device: DeviceOption = "auto",
) -> None:
    """Say which instruments play in FILE."""
    from ml.artifacts import classification_result
    from ml.classification import classify as classify_recording

    loaded = open_model(model, device)
    classification = classify_recording(loaded, read_recording(file, loaded), threshold=threshold)
    if as_json:
        print_json(classification_result(classification))
    else:
        screen().print(tables.classification(classification, file.name))


def explain(
    file: FileArgument,
    out: Annotated[Path, typer.Option(help="Folder for the pictures, arrays and sound; made when missing.")],
    model: ModelOption = "default",
    threshold: ThresholdOption = None,
    instrument: Annotated[
        list[str] | None, typer.Option(help="What to explain (repeatable); default: every instrument found.")
    ] = None,
    concepts: Annotated[int, typer.Option(help="How many concepts to show per instrument.")] = 5,
    start_s: Annotated[float | None, typer.Option(help="Where the part to explain begins.")] = None,
    duration_s: Annotated[float | None, typer.Option(help="How long the part to explain is.")] = None,
    engine: Annotated[
        str | None, typer.Option(help="direct or zennit; default: direct where it covers the network.")
    ] = None,
    as_json: JsonOption = False,
    device: DeviceOption = "auto",
) -> None:
    """Say which instruments play in FILE, and write the maps that show why to a folder."""
    from ml.artifacts import explanation_artifacts, explanation_result
    from ml.explanation import explain as explain_recording

    loaded = open_model(model, device)
    recording = read_recording(file, loaded)
    if out.exists() and not out.is_dir():
        raise InvalidRequestError(f"{out} is not a folder.")
    explanation = explain_recording(
        loaded,
        recording,
        instruments=instrument or None,
        n_concepts=concepts,
        threshold=threshold,
        start_s=start_s,
        duration_s=duration_s,
        engine=engine,
    )
    result = explanation_result(explanation, lambda name: str(out / name))
    make_folder(out)
    for artifact in explanation_artifacts(explanation):
        (out / artifact.name).write_bytes(artifact.data)
    (out / "result.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    if as_json:
        print_json(result)
        return
    console = screen()
    console.print(tables.classification(explanation.classification, file.name))
    for explained in explanation.instruments:
        shares = ", ".join(
            f"{'rest' if concept.channel is None else f'channel {concept.channel}'} {concept.share:+.0%}"
            for concept in explained.concepts
        )
        console.print(f"[bold]{explained.instrument}[/]: {shares}", highlight=False)
    if not explanation.instruments:
        console.print("Nothing was found; name an --instrument to ask why not.")
    console.print(f"Maps and sound are in {out}/", highlight=False)
