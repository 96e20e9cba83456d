"""Commands that work without any server: classify, explain, dataset, import-folder, train, evaluate.

They print a table, or with `--json` the same JSON that the service answers, and write the same artefacts. The
science is imported when a command runs, never when the command line is loaded.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from ml.errors import InvalidRequestError
from timbrescope import tables

if TYPE_CHECKING:
    from ml.model import Model
    from ml.recording import Recording

_FileArgument = Annotated[
    Path, typer.Argument(metavar="FILE", help="Audio (WAV, FLAC, OGG, MP3, AIFF) or MIDI.")
]
_ModelOption = Annotated[
    str,
    typer.Option("--model", help="A shipped model's id, or the path of a model folder.", show_default=True),
]
_ThresholdOption = Annotated[
    float | None,
    typer.Option(help="Probability from which an instrument is present; default: the model's own."),
]
_JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
_DeviceOption = Annotated[str, typer.Option(help="auto, cpu or cuda.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    for command in (classify, explain, dataset, import_folder, train, calibrate, evaluate):
        app.command()(command)


def classify(
    file: _FileArgument,
    model: _ModelOption = "default",
    threshold: _ThresholdOption = None,
    as_json: _JsonOption = False,
    device: _DeviceOption = "auto",
) -> None:
    """Say which instruments play in FILE."""
    from ml.artifacts import classification_result
    from ml.classification import classify as classify_recording

    loaded = _load_model(model, device)
    classification = classify_recording(loaded, _load_recording(file, loaded), threshold=threshold)
    if as_json:
        _print_json(classification_result(classification))
    else:
        _console().print(tables.classification(classification, file.name))


def explain(
    file: _FileArgument,
    out: Annotated[Path, typer.Option(help="Folder for the pictures, arrays and sound; made when missing.")],
    model: _ModelOption = "default",
    threshold: _ThresholdOption = None,
    instrument: Annotated[
        list[str] | None, typer.Option(help="What to explain (repeatable); default: every instrument found.")
    ] = None,
    concepts: Annotated[int, typer.Option(help="How many concepts to show per instrument.")] = 5,
    start_s: Annotated[float | None, typer.Option(help="Where the part to explain begins.")] = None,
    duration_s: Annotated[float | None, typer.Option(help="How long the part to explain is.")] = None,
    engine: Annotated[
        str | None, typer.Option(help="direct or zennit; default: direct where it covers the network.")
    ] = None,
    as_json: _JsonOption = False,
    device: _DeviceOption = "auto",
) -> None:
    """Say which instruments play in FILE, and write the maps that show why to a folder."""
    from ml.artifacts import explanation_artifacts, explanation_result
    from ml.explanation import explain as explain_recording

    loaded = _load_model(model, device)
    recording = _load_recording(file, loaded)
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
    _make_folder(out)
    for artifact in explanation_artifacts(explanation):
        (out / artifact.name).write_bytes(artifact.data)
    (out / "result.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    if as_json:
        _print_json(result)
        return
    console = _console()
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


def dataset(
    recipe: Annotated[
        Path, typer.Argument(metavar="RECIPE", help="A recipe, such as recipes/protocol.yaml.")
    ],
    out: Annotated[
        str,
        typer.Option(
            help="Folder or URL (s3://...) for the data set; made when missing, continued when unfinished."
        ),
    ],
    jobs: Annotated[int, typer.Option(min=1, help="Processes that render.")] = os.cpu_count() or 1,
    audio: Annotated[bool, typer.Option(help="Keep sound and MIDI beside the log-mels.")] = True,
    stems: Annotated[bool, typer.Option(help="Keep every instrument's stem too.")] = False,
) -> None:
    """Synthesise the data set that RECIPE describes. Interrupt it freely: the same command continues."""
    from ml.dataset.build import build_dataset
    from ml.dataset.shards import ShardContent
    from ml.synthesis.recipe import read_recipe

    if stems and not audio:
        raise InvalidRequestError("--stems needs --audio.")
    parsed = read_recipe(recipe)
    try:
        with _progress_bar("clips") as (bar, task):
            manifest = build_dataset(
                parsed,
                out,
                n_jobs=jobs,
                content=ShardContent(audio=audio, stems=stems),
                on_progress=lambda done, total: bar.update(task, completed=done, total=total),
            )
    except KeyboardInterrupt:
        _console().print(f"Stopped. What is finished stays in {out}; the same command continues.")
        raise typer.Exit(130) from None
    _console().print(tables.occurrences(manifest))
    _console().print(f"Data set {manifest.digest[:16]} is in {out}/", highlight=False)


def import_folder(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Holds one folder of recordings per label.")],
    out: Annotated[str, typer.Option(help="Folder or URL for the data set, as for dataset.")],
    validation_share: Annotated[
        float, typer.Option(min=0.0, max=0.99, help="Share of each label's recordings that validate.")
    ] = 0.2,
    seed: Annotated[int, typer.Option(min=0, help="Of the draw of those.")] = 0,
    skip_unreadable: Annotated[
        bool,
        typer.Option(
            "--skip-unreadable", help="Leave out damaged recordings and those of a kind that is not read."
        ),
    ] = False,
    audio: Annotated[bool, typer.Option(help="Keep sound beside the log-mels.")] = True,
) -> None:
    """Make a data set of your own labelled recordings, cut into windows of five seconds."""
    from ml.dataset.folder_import import import_folder as import_recordings
    from ml.dataset.folder_notes import import_notes

    try:
        with _progress_bar("files read, then clips") as (bar, task):
            manifest = import_recordings(
                folder,
                out,
                validation_share=validation_share,
                seed=seed,
                skip_unreadable=skip_unreadable,
                audio=audio,
                on_progress=lambda stage, done, total: bar.update(task, completed=done, total=total),
            )
    except KeyboardInterrupt:
        _console().print(f"Stopped. What is finished stays in {out}; the same command continues.")
        raise typer.Exit(130) from None
    _console().print(tables.occurrences(manifest))
    for note in import_notes(manifest):
        _console().print(note, markup=False, highlight=False)
    _console().print(f"Data set {manifest.digest[:16]} is in {out}/", highlight=False)


def train(
    dataset: Annotated[str, typer.Argument(metavar="DATASET", help="A finished data set's folder or URL.")],
    out: Annotated[
        Path | None,
        typer.Option(help="Model folder to write or to go on with; default: models/NETWORK."),
    ] = None,
    config_file: Annotated[
        Path | None,
        typer.Option(
            "--config", help="Training configuration, YAML or JSON; the options below go before it."
        ),
    ] = None,
    network: Annotated[str | None, typer.Option(help="default, reference or reference-deep.")] = None,
    epochs: Annotated[int | None, typer.Option(min=1)] = None,
    batch_size: Annotated[int | None, typer.Option(min=1)] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Adam's highest.")] = None,
    mix_probability: Annotated[
        float | None, typer.Option(help="Share of clips that another clip is added to.")
    ] = None,
    remix: Annotated[
        bool | None,
        typer.Option(help="Mix every example anew from clips of one instrument.", show_default=False),
    ] = None,
    leave_out: Annotated[
        list[str] | None,
        typer.Option(
            help="With remixing: SoundFont to keep out of training and to validate on (repeatable)."
        ),
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0)] = None,
    start_from: Annotated[
        Path | None, typer.Option(help="Model folder whose weights the run begins with.")
    ] = None,
    model_id: Annotated[str | None, typer.Option("--id", help="The model's id; default: OUT's name.")] = None,
    licence: Annotated[
        list[str] | None, typer.Option(help="NAME=LICENCE of a SoundFont, for the model card (repeatable).")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a finished model or another run in OUT.")
    ] = False,
    device: _DeviceOption = "auto",
) -> None:
    """Train a network on DATASET. Interrupt it freely: the same command continues."""
    from ml.training.config import read_config
    from ml.training.state import EpochRecord
    from ml.training.train import train as train_network

    asked = {
        "network": network,
        "n_epochs": epochs,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "mix_probability": mix_probability,
        "remix": remix,
        "left_out_soundfonts": leave_out or None,
        "seed": seed,
    }
    config = read_config(config_file, {name: value for name, value in asked.items() if value is not None})
    folder = out if out is not None else Path("models") / config.network
    console = _console()
    try:
        with _progress_bar("steps") as (bar, task):

            def on_epoch(record: EpochRecord, n_epochs: int) -> None:
                weakest = min(record.per_instrument_f1.items(), key=lambda item: item[1])
                bar.console.print(
                    f"epoch {record.epoch}/{n_epochs}  "
                    f"loss {record.train_loss:.4f} / {record.validation_loss:.4f}  "
                    f"macro-F1 {record.macro_f1:.4f}  weakest {weakest[0]} {weakest[1]:.3f}  "
                    f"{record.duration_s:.0f} s",
                    highlight=False,
                )

            card = train_network(
                dataset,
                folder,
                config,
                model_id=model_id if model_id is not None else folder.resolve().name.lower(),
                device=device,
                overwrite=overwrite,
                start_from=start_from,
                licences=_licences(licence or []),
                on_epoch=on_epoch,
                on_step=lambda done, total: bar.update(task, completed=done, total=total),
            )
    except KeyboardInterrupt:
        console.print(f"Stopped. What is done stays in {folder}; the same command continues.")
        raise typer.Exit(130) from None
    console.print(tables.trained(card))


def calibrate(
    model: Annotated[
        Path, typer.Argument(metavar="MODEL", help="The model's folder; its card is rewritten.")
    ],
    dataset: Annotated[str, typer.Option(help="The data set that model and folds were trained on.")],
    fold: Annotated[
        list[Path], typer.Option(help="Folder of a model trained with --leave-out (repeatable).")
    ],
    device: _DeviceOption = "auto",
) -> None:
    """Fit MODEL's probabilities and thresholds on SoundFonts that folds of it never heard."""
    from ml.training.calibrate import calibrate as fit

    card = fit(model, dataset, fold, device)
    _console().print(tables.trained(card))


def evaluate(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="A shipped model's id, or a model folder.")
    ] = "default",
    suite: Annotated[
        list[str] | None,
        typer.Option(
            help="protocol, banks, similar, notes, phrases, recordings, or all (repeatable); default: what "
            "--recipe, --dataset and --bank name, or else protocol."
        ),
    ] = None,
    recipe: Annotated[
        list[Path] | None, typer.Option(help="A recipe to make fresh clips of (repeatable).")
    ] = None,
    dataset: Annotated[
        list[str] | None,
        typer.Option(help="A finished data set to test on its validation part (repeatable)."),
    ] = None,
    sounds: Annotated[Path | None, typer.Option(help="Folder of banks and real recordings.")] = None,
    bank: Annotated[
        list[str] | None, typer.Option(help="A SoundFont to test, by name or path (repeatable).")
    ] = None,
    compare: Annotated[
        list[str] | None, typer.Option(help="Another model that hears the same clips (repeatable).")
    ] = None,
    clips: Annotated[int, typer.Option(min=1, help="Clips of each set that is made freshly.")] = 200,
    seed: Annotated[
        int, typer.Option(min=0, help="Seed of the fresh clips; must not be the training's.")
    ] = 1_000_003,
    notes: Annotated[Path | None, typer.Option(help="Text to append to the report: what was tried.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for report.md, report.json and pictures.")] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Processes that render and listen.")] = os.cpu_count() or 1,
    as_json: _JsonOption = False,
    device: _DeviceOption = "auto",
) -> None:
    """Measure MODEL on sounds that it was not trained on, and report how well it hears."""
    from ml.evaluation.evaluate import EvaluationSettings
    from ml.evaluation.evaluate import evaluate as evaluate_model
    from ml.evaluation.provenance import command_line
    from ml.synthesis.recipe import read_recipe
    from ml.synthesis.soundfonts import find_bank

    named = list(suite or ())
    named += ["recipes"] * bool(recipe) + ["datasets"] * bool(dataset)
    named += ["banks"] * bool(bank and not suite)
    settings = EvaluationSettings(
        model=_model_folder(model),
        suites=tuple(named) or ("protocol",),
        n_clips=clips,
        seed=seed,
        sounds=sounds,
        banks=tuple(find_bank(name) for name in bank or ()),
        recipes=tuple(read_recipe(path) for path in recipe or ()),
        datasets=tuple(dataset or ()),
        compared=tuple(_model_folder(name) for name in compare or ()),
        command=command_line(
            model,
            suites=suite or (),
            n_clips=clips,
            seed=seed,
            sounds=sounds,
            banks=bank or (),
            recipes=recipe or (),
            datasets=dataset or (),
            compare=compare or (),
            tried=notes,
        ),
        tried=_read_text(notes) if notes is not None else "",
    )
    if out is not None:
        _make_folder(out)
    with _progress_bar("clips") as (bar, task):
        report = evaluate_model(
            settings,
            n_jobs=jobs,
            device=device,
            on_progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    if out is not None:
        report.write(out)
    if as_json:
        _print_json(report.to_dict())
        return
    _console().print(tables.report(report))
    if out is not None:
        _console().print(f"The report is in {out}/", highlight=False)


def _model_folder(name: str) -> Path:
    """The folder of a shipped model by id, or of any model by path."""
    from ml.checkpoint import CARD_NAME, SHIPPED_MODELS, list_cards
    from ml.errors import UnknownModelError

    models_dir = Path(os.environ.get("TIMBRESCOPE_MODELS_DIR") or SHIPPED_MODELS)
    for folder in (models_dir / name, Path(name)):
        if (folder / CARD_NAME).is_file():
            return folder
    available = [card.id for card in list_cards(models_dir)]
    raise UnknownModelError(
        f"There is no model {name!r}; there are {', '.join(available) or 'none'}, or name a model folder.",
        extra={"unknown": name, "available": available},
    )


def _load_model(name: str, device: str) -> Model:
    """A shipped model by id, or any model folder by path."""
    from ml.model import load_model

    return load_model(_model_folder(name), device)


def _read_text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidRequestError(f"{file} cannot be read as text: {error}.") from error


def _load_recording(file: Path, model: Model) -> Recording:
    from ml.media import MediaLimits
    from ml.recording import load_recording

    limits = MediaLimits()
    try:
        with file.open("rb") as stream:
            data = stream.read(limits.max_bytes + 1)
    except OSError as error:
        raise InvalidRequestError(f"{file} cannot be read: {error.strerror}.") from error
    soundfont = os.environ.get("TIMBRESCOPE_SOUNDFONT")
    return load_recording(
        data,
        sample_rate_hz=model.sample_rate_hz,
        limits=limits,
        soundfont=soundfont or None,
    )


def _licences(given: list[str]) -> dict[str, str]:
    pairs = [entry.partition("=") for entry in given]
    wrong = [entry for entry, (_, sign, _) in zip(given, pairs, strict=True) if not sign]
    if wrong:
        raise InvalidRequestError(f"A licence is given as NAME=LICENCE, not as {wrong[0]!r}.")
    return {name: licence for name, _, licence in pairs}


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidRequestError(f"The folder {folder} cannot be made: {error.strerror}.") from error


@contextmanager
def _progress_bar(unit: str) -> Iterator[tuple[Progress, Any]]:
    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(unit),
        TimeElapsedColumn(),
        TextColumn("left:"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        yield bar, bar.add_task(unit, total=None)


def _print_json(value: object) -> None:
    print(json.dumps(value, indent=1))


def _console() -> Console:
    return Console(soft_wrap=True)
