"""The command that builds a model's atlas of concepts without any server: concepts.

It prints a table, or with `--json` the atlas. The science is imported when it runs, never when the command
line is loaded.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from timbrescope.console import print_json, progress_bar, screen
from timbrescope.loading import make_folder, model_folder
from timbrescope.options import DeviceOption, JsonOption

if TYPE_CHECKING:
    from ml.concepts.atlas import ConceptRecord, LayerRecord

_ROWS = 20  # of a layer's table; the atlas has all
_PARTS = 3  # instruments that are told of a concept


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(concepts)


def concepts(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="A shipped model's id, or a model folder.")
    ] = "default",
    out: Annotated[
        Path | None, typer.Option(help="Folder for concepts.json; default: the model's own.")
    ] = None,
    clips: Annotated[
        int | None, typer.Option(min=1, help="Clips in which references are looked for; default: 1,200.")
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Of those clips.")] = None,
    layer: Annotated[
        list[str] | None,
        typer.Option(help="Layer whose channels are looked for (repeatable); default: the last two."),
    ] = None,
    method: Annotated[
        str | None, typer.Option(help="Method that computes relevance; default: the default one.")
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Processes that render and listen.")] = os.cpu_count() or 1,
    as_json: JsonOption = False,
    device: DeviceOption = "auto",
) -> None:
    """Find out what each channel of MODEL listens to, and write the atlas of it to its folder."""
    from ml.concepts.atlas import ATLAS_NAME, atlas_bytes
    from ml.concepts.build import build_atlas
    from ml.concepts.recipe import DEFAULT_CLIPS, DEFAULT_SEED

    folder = model_folder(model)
    destination = out if out is not None else folder
    make_folder(destination)
    try:
        with progress_bar("clips") as (bar, task):
            atlas = build_atlas(
                folder,
                n_clips=clips if clips is not None else DEFAULT_CLIPS,
                seed=seed if seed is not None else DEFAULT_SEED,
                layers=layer or None,
                method=method,
                n_jobs=jobs,
                device=device,
                on_progress=lambda done, total: bar.update(task, completed=done, total=total),
            )
    except KeyboardInterrupt:
        screen().print("Stopped; nothing was written.")
        raise typer.Exit(130) from None
    (destination / ATLAS_NAME).write_bytes(atlas_bytes(atlas))
    if as_json:
        print_json(atlas.model_dump(mode="json"))
        return
    for record in atlas.layers:
        screen().print(_table(record))
    screen().print(f"The atlas is {destination / ATLAS_NAME}", highlight=False)


def _table(record: LayerRecord) -> Table:
    """The concepts of a layer that carry most relevance."""
    counted = [each.status for each in record.concepts]
    counts = ", ".join(f"{counted.count(status)} {status}" for status in dict.fromkeys(sorted(counted)))
    table = Table(title=f"{record.layer}: {counts}")
    table.add_column("channel", justify="right")
    table.add_column("concept (purity)")
    table.add_column("share", justify="right")
    table.add_column("used for")
    for each in sorted(record.concepts, key=lambda concept: (-concept.share, concept.channel))[:_ROWS]:
        parts = ", ".join(f"{name} {part:.0%}" for name, part in list(each.instruments.items())[:_PARTS])
        table.add_row(str(each.channel), _named(each), f"{each.share:.1%}", parts)
    return table


def _named(concept: ConceptRecord) -> str:
    if concept.name is None:
        return f"({concept.status})"
    words = concept.name.lower().split(", ")
    told = [trait for trait in concept.traits if trait.stated and trait.value.lower() in words]
    purities = ", ".join(f"{trait.purity:.0%}" for trait in told)
    return f"{concept.name} ({purities})"
