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
ConceptsOption = Annotated[int, typer.Option(help="How many concepts to show per instrument.")]
MethodOption = Annotated[
    str | None,
    typer.Option(help="By which rules relevance is computed; default: the best one that is known."),
]
LayerOption = Annotated[
    str | None, typer.Option(help="Whose channels are the concepts; default: the last convolution.")
]
EngineOption = Annotated[
    str | None, typer.Option(help="direct or zennit; default: direct where it covers the network.")
]
OutOption = Annotated[
    Path, typer.Option("--out", help="Folder for the pictures, arrays and sound; made when missing.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
DeviceOption = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
