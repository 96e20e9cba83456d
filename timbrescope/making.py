"""Commands that make things without any server: dataset, import-folder, train, calibrate.

The science is imported when a command runs, never when the command line is loaded.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from ml.errors import InvalidRequestError
from timbrescope import tables
from timbrescope.console import progress_bar, screen
from timbrescope.options import DeviceOption


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    for command in (dataset, import_folder, train, calibrate):
        app.command()(command)


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
        with progress_bar("clips") as (bar, task):
            manifest = build_dataset(
                parsed,
                out,
                n_jobs=jobs,
                content=ShardContent(audio=audio, stems=stems),
                on_progress=lambda done, total: bar.update(task, completed=done, total=total),
            )
    except KeyboardInterrupt:
        screen().print(f"Stopped. What is finished stays in {out}; the same command continues.")
        raise typer.Exit(130) from None
    screen().print(tables.occurrences(manifest))
    screen().print(f"Data set {manifest.digest[:16]} is in {out}/", highlight=False)


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
        with progress_bar("files read, then clips") as (bar, task):
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
        screen().print(f"Stopped. What is finished stays in {out}; the same command continues.")
        raise typer.Exit(130) from None
    screen().print(tables.occurrences(manifest))
    for note in import_notes(manifest):
        screen().print(note, markup=False, highlight=False)
    screen().print(f"Data set {manifest.digest[:16]} is in {out}/", highlight=False)


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
    device: DeviceOption = "auto",
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
    console = screen()
    try:
        with progress_bar("steps") as (bar, task):

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
    device: DeviceOption = "auto",
) -> None:
    """Fit MODEL's probabilities and thresholds on SoundFonts that folds of it never heard."""
    from ml.training.calibrate import calibrate as fit

    card = fit(model, dataset, fold, device)
    screen().print(tables.trained(card))


def _licences(given: list[str]) -> dict[str, str]:
    pairs = [entry.partition("=") for entry in given]
    wrong = [entry for entry, (_, sign, _) in zip(given, pairs, strict=True) if not sign]
    if wrong:
        raise InvalidRequestError(f"A licence is given as NAME=LICENCE, not as {wrong[0]!r}.")
    return {name: licence for name, _, licence in pairs}
