"""`timbrescope doctor`: what is missing on this machine, and how to install it.

Each check looks at one thing and answers with a `Finding`. A check never raises: what it stumbles
over is its finding.
"""

import ctypes
import ctypes.util
import importlib.util
import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ml.errors import TimbrescopeError

OLDEST_PYTHON = (3, 11)
OLDEST_REDIS = (6, 2)
"""The first release with every command that the job store uses."""

LEAST_FREE_BYTES = 2 * 10**9
"""Room for the append-only file of a busy day."""

State = Literal["ok", "advice", "missing"]
STYLES: dict[State, str] = {"ok": "green", "advice": "yellow", "missing": "bold red"}


@dataclass(frozen=True)
class Finding:
    """What a check found; "missing" is needed for the service to run, "advice" is worth knowing."""

    check: str
    state: State
    detail: str
    fix: str = ""


Check = Callable[[], Finding]


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(doctor)


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Say what is missing on this machine and how to install it; exit code 1 if something needed is."""
    findings = examine()
    complete = all(finding.state != "missing" for finding in findings)
    if as_json:
        print(
            json.dumps(
                {"complete": complete, "findings": [asdict(finding) for finding in findings]}, indent=2
            )
        )
    else:
        Console().print(_table(findings))
    if not complete:
        raise typer.Exit(1)


def examine() -> list[Finding]:
    """Run every check."""
    return [check() for check in CHECKS]


def check_python() -> Finding:
    version = ".".join(str(part) for part in sys.version_info[:3])
    if sys.version_info < OLDEST_PYTHON:
        return Finding("Python", "missing", version, "Install Python 3.11 or newer.")
    return Finding("Python", "ok", f"{version} ({sys.executable})")


def check_fluidsynth() -> Finding:
    fix = "Debian: apt-get install libfluidsynth3; macOS: brew install fluid-synth."
    for name in ("fluidsynth", "libfluidsynth-3", "libfluidsynth-2"):
        path = ctypes.util.find_library(name)
        if path is None:
            continue
        try:
            library = ctypes.CDLL(path)
            library.fluid_version_str.restype = ctypes.c_char_p
            return Finding("libfluidsynth", "ok", f"{library.fluid_version_str().decode()} ({path})")
        except (OSError, AttributeError) as error:
            return Finding("libfluidsynth", "missing", f"{path} cannot be loaded: {error}", fix)
    return Finding("libfluidsynth", "missing", "not found", fix)


def check_soundfont() -> Finding:
    from ml.synthesis.soundfonts import DEFAULT_SOUNDFONT, find_bank

    asked = os.environ.get("TIMBRESCOPE_SOUNDFONT") or DEFAULT_SOUNDFONT
    try:
        return Finding("SoundFont", "ok", str(find_bank(asked).path))
    except TimbrescopeError as error:
        return Finding("SoundFont", "missing", f"{asked} not found", str(error))


def check_redis() -> Finding:
    fix = "Debian: apt-get install redis-server; macOS: brew install redis."
    path = shutil.which("redis-server")
    if path is None:
        if os.environ.get("TIMBRESCOPE_REDIS_URL"):
            return Finding(
                "redis-server", "advice", "not found; TIMBRESCOPE_REDIS_URL names a Redis elsewhere", fix
            )
        return Finding("redis-server", "missing", "not found", f"{fix} Or set TIMBRESCOPE_REDIS_URL.")
    answer = subprocess.run([path, "--version"], capture_output=True, text=True, check=False).stdout
    version = re.search(r"\bv=(\d+)\.(\d+)\.(\d+)", answer)
    if version is None:
        return Finding("redis-server", "missing", f"{path} does not tell its version", fix)
    numbers = tuple(int(number) for number in version.groups())
    detail = f"{'.'.join(version.groups())} ({path})"
    if numbers < OLDEST_REDIS:
        return Finding("redis-server", "missing", f"{detail}; 6.2 or newer is needed", fix)
    return Finding("redis-server", "ok", detail)


def check_torch() -> Finding:
    fix = "pip install -c constraints.txt 'timbrescope[ml]', or `make install` in the source folder."
    missing = [
        name for name in ("torch", "zennit", "crp", "numba", "isal") if importlib.util.find_spec(name) is None
    ]
    if missing:
        return Finding(
            "torch", "missing", f"not installed: {', '.join(missing)} (the API alone does without)", fix
        )
    try:
        import torch
    except (ImportError, OSError) as error:
        return Finding("torch", "missing", f"cannot be imported: {error}", fix)
    if torch.cuda.is_available():
        return Finding("torch", "ok", f"{torch.__version__}, CUDA on {torch.cuda.get_device_name()}")
    return Finding("torch", "ok", f"{torch.__version__}, no CUDA device: networks run on the CPU")


def check_model() -> Finding:
    from ml.checkpoint import read_card, weights_sha256
    from timbrescope.serving import load
    from worker.settings import WorkerSettings

    fix = "Restore ml/checkpoints from the repository, or train a model: timbrescope train."
    try:
        settings = load(WorkerSettings)
        folder = settings.models_dir / settings.default_model
        card = read_card(folder)
        if weights_sha256(folder) != card.sha256:
            return Finding("model", "missing", f"the weights in {folder} are not those of its card", fix)
    except TimbrescopeError as error:
        return Finding("model", "missing", str(error), fix)
    return Finding("model", "ok", f"{card.id}: {len(card.labels)} instruments ({folder})")


def check_state_folder() -> Finding:
    from timbrescope.serving import load
    from worker.settings import SharedSettings

    try:
        folder = load(SharedSettings).state_dir.absolute()
    except TimbrescopeError as error:
        return Finding("state folder", "missing", str(error), "Correct the variable that is named.")
    nearest = _nearest_existing(folder)
    if not os.access(nearest, os.W_OK | os.X_OK) or not nearest.is_dir():
        fix = "Set TIMBRESCOPE_STATE_DIR to a folder that you may write to."
        return Finding("state folder", "missing", f"{folder}: {nearest} is not writable", fix)
    free = shutil.disk_usage(nearest).free
    detail = f"{folder}, {free / 10**9:.1f} GB free"
    if free < LEAST_FREE_BYTES:
        return Finding(
            "state folder", "advice", detail, "Free some disk space, or set TIMBRESCOPE_STATE_DIR."
        )
    return Finding("state folder", "ok", detail)


def check_port() -> Finding:
    from service.settings import ServiceSettings
    from timbrescope.serving import load

    try:
        settings = load(ServiceSettings)
    except TimbrescopeError as error:
        return Finding("port", "missing", str(error), "Correct the variable that is named.")
    where = f"{settings.host}:{settings.port}"
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            fix = "Stop what listens there (a Timbrescope?), or set TIMBRESCOPE_PORT."
            return Finding("port", "advice", f"{where}: {error.strerror or error}", fix)
    return Finding("port", "ok", f"{where} is free")


CHECKS: tuple[Check, ...] = (
    check_python,
    check_fluidsynth,
    check_soundfont,
    check_redis,
    check_torch,
    check_model,
    check_state_folder,
    check_port,
)


def _nearest_existing(folder: Path) -> Path:
    while not folder.exists():
        folder = folder.parent
    return folder


def _table(findings: list[Finding]) -> Table:
    table = Table(title="Timbrescope on this machine", title_justify="left")
    for heading in ("check", "state", "found", "how to mend it"):
        table.add_column(heading, overflow="fold")
    for finding in findings:
        state = Text(finding.state, STYLES[finding.state])
        table.add_row(finding.check, state, Text(finding.detail), Text(finding.fix))
    return table
