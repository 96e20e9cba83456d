"""Commands that listen without any server: classify, explain, check.

They print a table, or with `--json` the same JSON that the service answers, and write the same artefacts. The
science is imported when a command runs, never when the command line is loaded.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ml.errors import InvalidRequestError, MissingAtlasError
from timbrescope import tables
from timbrescope.console import print_json, screen
from timbrescope.loading import decoded, make_folder, model_folder, open_model, read_upload, soundfont
from timbrescope.options import (
    ConceptsOption,
    DeviceOption,
    EngineOption,
    FileArgument,
    JsonOption,
    LayerOption,
    MethodOption,
    ModelOption,
    OutOption,
    ThresholdOption,
)

if TYPE_CHECKING:
    from ml.artifacts import Artifact
    from ml.checkpoint import ModelCard
    from ml.concepts.atlas import Atlas
    from ml.explained import ConceptExplanation, Explanation
    from ml.model import Model
    from ml.recording import Recording


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    for command in (classify, explain, check):
        app.command()(command)


def classify(
    file: FileArgument,
    model: ModelOption = "default",
    threshold: ThresholdOption = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder to write the result to, as JSON, JAMS and CSV.")
    ] = None,
    as_json: JsonOption = False,
    device: DeviceOption = "auto",
) -> None:
    """Say which instruments play in FILE."""
    from ml.artifacts import classification_artifacts, classification_result
    from ml.classification import classify as classify_recording

    loaded = open_model(model, device)
    recording = decoded(read_upload(file), loaded)
    if out is not None:
        _require_folder(out)
    classification = classify_recording(loaded, recording, threshold=threshold)
    result = classification_result(classification, None if out is None else _in_folder(out))
    if out is not None:
        _write(out, classification_artifacts(recording, classification, loaded.card), result)
    if as_json:
        print_json(result)
        return
    screen().print(tables.classification(classification, file.name))
    if out is not None:
        screen().print(f"The result and the sound are in {out}/", highlight=False)


def explain(
    file: FileArgument,
    out: OutOption,
    model: ModelOption = "default",
    threshold: ThresholdOption = None,
    instrument: Annotated[
        list[str] | None, typer.Option(help="What to explain (repeatable); default: every instrument found.")
    ] = None,
    contrast: Annotated[
        str | None, typer.Option(help="Instrument that each is held against: why the one, not the other?")
    ] = None,
    concepts: ConceptsOption = 5,
    start_s: Annotated[float | None, typer.Option(help="Where the part to explain begins.")] = None,
    duration_s: Annotated[float | None, typer.Option(help="How long the part to explain is.")] = None,
    method: MethodOption = None,
    layer: LayerOption = None,
    engine: EngineOption = None,
    as_json: JsonOption = False,
    device: DeviceOption = "auto",
) -> None:
    """Say which instruments play in FILE, and write the maps that show why to a folder."""
    from ml.explanation import explain as explain_recording

    loaded = open_model(model, device)
    data = read_upload(file)
    recording = decoded(data, loaded)
    _require_folder(out)
    explanation = explain_recording(
        loaded,
        recording,
        instruments=instrument or None,
        n_concepts=concepts,
        threshold=threshold,
        start_s=start_s,
        duration_s=duration_s,
        engine=engine,
        method=method,
        layer=layer,
        contrast=contrast,
        **_score_of(data, recording, None if duration_s is None else (start_s or 0.0) + duration_s),
    )
    _tell(explanation, loaded.card, out, file.name, _atlas_of(model, loaded), as_json=as_json)


def check(
    stem: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE=INSTRUMENT...", help="What one instrument plays, as audio, and its name."
        ),
    ],
    out: OutOption,
    model: ModelOption = "default",
    concepts: ConceptsOption = 0,
    method: MethodOption = None,
    layer: LayerOption = None,
    engine: EngineOption = None,
    as_json: JsonOption = False,
    device: DeviceOption = "auto",
) -> None:
    """Mix stems, explain the mix, and say how true the maps are."""
    from ml.check import StemFile, check_stems, read_stems

    files = [StemFile(name, read_upload(file)) for file, name in map(_stem, stem)]
    loaded = open_model(model, device)
    _require_folder(out)
    explanation = check_stems(
        loaded,
        read_stems(files, sample_rate_hz=loaded.sample_rate_hz),
        n_concepts=concepts,
        engine=engine,
        method=method,
        layer=layer,
    )
    _tell(explanation, loaded.card, out, "mix", _atlas_of(model, loaded), as_json=as_json)


def _score_of(data: bytes, recording: Recording, until_s: float | None) -> dict[str, Any]:
    """The stems and notes of a MIDI file, as `explain` takes them; nothing for other files."""
    from ml.media import sniff_format
    from ml.score import midi_notes, midi_stems

    if sniff_format(data) != "midi":
        return {}
    stems = midi_stems(data, recording, soundfont=soundfont(), until_s=until_s)
    return {"stems": stems, "notes": midi_notes(data)}


def _stem(given: str) -> tuple[Path, str]:
    file, sign, instrument = given.rpartition("=")
    if not (file and sign and instrument):
        raise InvalidRequestError(f"A stem is given as FILE=INSTRUMENT, not as {given!r}.")
    return Path(file), instrument


def _require_folder(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise InvalidRequestError(f"{out} is not a folder.")


def _atlas_of(name: str, model: Model) -> Atlas | None:
    """What the model's concepts are called, where there is an atlas that fits."""
    from ml.concepts.atlas import InvalidAtlasError, read_atlas

    try:
        return read_atlas(model_folder(name), model.card)
    except (MissingAtlasError, InvalidAtlasError):
        return None


def _in_folder(out: Path) -> Callable[[str], str]:
    """Where an artefact is found, by its name."""
    return lambda name: str(out / name)


def _write(out: Path, artifacts: Iterable[Artifact], result: dict[str, object]) -> None:
    """Write artefacts and the result that tells of them to a folder."""
    make_folder(out)
    for artifact in artifacts:
        (out / artifact.name).write_bytes(artifact.data)
    (out / "result.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def _tell(
    explanation: Explanation, card: ModelCard, out: Path, title: str, atlas: Atlas | None, *, as_json: bool
) -> None:
    """Write all there is of an explanation to a folder, and print what it says."""
    from ml.artifacts import explanation_artifacts, explanation_result

    result = explanation_result(explanation, _in_folder(out), atlas=atlas)
    _write(out, explanation_artifacts(explanation, card, atlas=atlas), result)
    if as_json:
        print_json(result)
        return
    console = screen()
    console.print(tables.classification(explanation.classification, title))
    for explained in explanation.instruments:
        console.print(
            f"[bold]{explained.instrument}[/]: {_shares(explained.concepts, atlas)}", highlight=False
        )
        for warning in explained.quality.warnings:
            console.print(f"  {warning.detail}", highlight=False, markup=False)
    if not explanation.instruments:
        console.print("Nothing was found; name an --instrument to ask why not.")
    if any(explained.quality.truth is not None for explained in explanation.instruments):
        console.print(tables.truth(explanation))
    console.print(f"Maps and sound are in {out}/", highlight=False)


def _shares(concepts: Sequence[ConceptExplanation], atlas: Atlas | None) -> str:
    return ", ".join(f"{_words(concept, atlas)} {concept.share:+.0%}" for concept in concepts)


def _words(concept: ConceptExplanation, atlas: Atlas | None) -> str:
    if concept.channel is None:
        return "rest"
    known = None if atlas is None else atlas.find(concept.layer, concept.channel)
    name = f" ({known.name})" if known is not None and known.name is not None else ""
    return f"channel {concept.channel}{name}"
