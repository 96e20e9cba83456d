"""Arguments and options that several commands have in common."""

from pathlib import Path
from typing import Annotated

import typer

FileArgument = Annotated[
    Path, typer.Argument(metavar="FILE", help="Audio (WAV, FLAC, OGG, MP3, AIFF) or MIDI.")
]
ModelOption = Annotated[
    str,
    typer.Option("--model", help="A shipped model's id, or the path of a model folder.", show_default=True),
]
ThresholdOption = Annotated[
    float | None,
    typer.Option(help="Probability from which an instrument is present; default: the model's own."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
DeviceOption = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
