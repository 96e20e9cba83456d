"""The command that measures a model without any server: evaluate.

It prints a table, or with `--json` the whole report. The science is imported when it runs, never when the
command line is loaded.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from timbrescope import tables
from timbrescope.console import print_json, progress_bar, screen
from timbrescope.loading import make_folder, model_folder, read_text
from timbrescope.options import DeviceOption, JsonOption


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(evaluate)


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
    explanations: Annotated[
        bool, typer.Option("--explanations", help="Hold relevance maps against stems and network too.")
    ] = False,
    method: Annotated[
        list[str] | None,
        typer.Option(
            help="A method to compare, the first being the reported one (repeatable); default: all."
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
    as_json: JsonOption = False,
    device: DeviceOption = "auto",
) -> None:
    """Measure MODEL on sounds that it was not trained on, and report how well it hears."""
    from ml.evaluation.evaluate import EvaluationSettings
    from ml.evaluation.evaluate import evaluate as evaluate_model
    from ml.evaluation.provenance import command_line
    from ml.synthesis.recipe import read_recipe
    from ml.synthesis.soundfonts import find_bank

    named = list(suite or ())
    named += ["recipes"] * bool(recipe) + ["datasets"] * bool(dataset)
    named += ["banks"] * bool(bank and not suite and not explanations)
    settings = EvaluationSettings(
        model=model_folder(model),
        suites=tuple(named) or (() if explanations else ("protocol",)),
        n_clips=clips,
        seed=seed,
        sounds=sounds,
        banks=tuple(find_bank(name) for name in bank or ()),
        recipes=tuple(read_recipe(path) for path in recipe or ()),
        datasets=tuple(dataset or ()),
        compared=tuple(model_folder(name) for name in compare or ()),
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
            explanations=explanations,
            methods=method or (),
        ),
        tried=read_text(notes) if notes is not None else "",
        explanations=explanations,
        methods=tuple(method or ()),
    )
    if out is not None:
        make_folder(out)
    with progress_bar("clips") as (bar, task):
        report = evaluate_model(
            settings,
            n_jobs=jobs,
            device=device,
            on_progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    if out is not None:
        report.write(out)
    if as_json:
        print_json(report.to_dict())
        return
    screen().print(tables.report(report))
    if out is not None:
        screen().print(f"The report is in {out}/", highlight=False)
