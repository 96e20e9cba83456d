"""A run of schemathesis against a running service, in a process of its own, and what it found.

Conventions: all checks are on, in all phases (examples of the description, its bounds and edges, random
requests, and chains of calls along its links). What is left out is in `EXCLUSIONS`, each with its reason.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from tests.integration.processes import ROOT

PLACE_VARIABLE = "SCHEMA_TEST_PLACE"
"""Environment variable with a URL at which there is no data set, below an allowed root."""
COUNTS_VARIABLE = "SCHEMA_TEST_COUNTS"
"""Environment variable with the path of the file that answers are counted in."""
WEBHOOK_HOST = "hooks.invalid"
"""A host that the service may call, though it never answers."""
PHASES = ("examples", "coverage", "fuzzing", "stateful")
SCHEME = "apiKey"
REQUEST_TIMEOUT_S = 60
_HOOKS = "tests.reliability.schema_hooks"
_PROGRAM = Path(sys.executable).parent / "schemathesis"
_SHOWN = 12_000
_REFUSALS = ("400", "401", "403", "404", "405", "406", "409", "415", "422", "429", "503")
_ACCEPTANCES = ("2xx", "3xx", "401", "403", "404", "409", "410", "429")
_UPLOADS = (
    "POST /classify",
    "POST /classify/batch",
    "POST /explain",
    "POST /explain/batch",
    "POST /explain/check",
)
_REFERENCE = "GET /models/{model_id}/concepts/{layer}/{channel}/references/{name}"


@dataclass(frozen=True)
class Exclusion:
    """What a check is told to take, besides what it takes by itself, of all calls or of some."""

    check: str
    statuses: tuple[str, ...]
    reason: str
    calls: tuple[str, ...] = ()


EXCLUSIONS = (
    Exclusion(
        "positive_data_acceptance",
        (*_ACCEPTANCES, "422"),
        "what a recipe or a configuration may say in one field can hang on another (the ends of a range, "
        "shares of so many clips), which JSON Schema cannot say",
        ("POST /datasets", "POST /trainings"),
    ),
    Exclusion(
        "positive_data_acceptance",
        _ACCEPTANCES,
        "410: a job that a request names may have been deleted by another one",
    ),
    Exclusion(
        "negative_data_rejection",
        (*_REFUSALS, "410"),
        "410: as above, of a request that is broken besides",
    ),
    Exclusion(
        "not_a_server_error",
        ("2xx", "3xx", "4xx", "503"),
        "503: what is rendered when it is first asked for waits until a worker is free, and these are busy "
        "with what the run asks of them",
        (_REFERENCE,),
    ),
    Exclusion(
        "positive_data_acceptance",
        (*_ACCEPTANCES, "503"),
        "503: as above",
        (_REFERENCE,),
    ),
    Exclusion(
        "negative_data_rejection",
        (*_REFUSALS, "413"),
        "413: a broken file may also be one that is too long",
        _UPLOADS,
    ),
)


@dataclass(frozen=True)
class SchemaRun:
    """One run: who asks (keys by who holds them; several are peers, none of whom may see what is another's),
    and how much.
    """

    name: str
    keys: Mapping[str, str]
    max_examples: int
    phases: tuple[str, ...] = PHASES


@dataclass(frozen=True)
class Outcome:
    """What a run did and found."""

    status: int
    report: Mapping[str, Any]
    counts: Mapping[str, Any]
    output: str

    @property
    def figures(self) -> dict[str, object]:
        """Operations, cases, answers judged (each by all checks), failures and seconds."""
        cases = self.report["test_cases"]
        return {
            "operations": self.report["operations"]["tested"],
            "cases": cases["generated"],
            "judged": sum(self.counts["judged"].values()),
            "judged_by_call": self.counts["judged"],
            "answers_by_status": self.counts["answers"],
            "checks": self.counts["checks"],
            "failures": cases["unique_failures"],
            "errors": len(self.report["errors"]),
            "elapsed_s": round(self.report["running_time"], 1),
        }

    def require_none_failed(self) -> None:
        """Asserts that nothing was found; says what, otherwise."""
        found = self.output[self.output.find("= ERRORS") :] or self.output
        assert self.status == 0, found[:_SHOWN]
        assert self.report["complete"], self.output[-_SHOWN:]


def run(chosen: SchemaRun, url: str, folder: Path, *, place: str, seed: int) -> Outcome:
    """Tests the service at the URL by its own description; `place` is below an allowed root of data sets."""
    config, report, counts = (folder / f"{chosen.name}.{kind}" for kind in ("toml", "json", "counts.json"))
    config.write_text(_configuration(chosen, url, folder), encoding="utf-8")
    command = [str(_PROGRAM), "--config-file", str(config), "run", f"{url}/openapi.json"]
    command += ["--phases", ",".join(chosen.phases), "--max-examples", str(chosen.max_examples)]
    command += ["--seed", str(seed), "--report", "json", "--report-json-path", str(report)]
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        PLACE_VARIABLE: place,
        COUNTS_VARIABLE: str(counts),
    }
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, errors="replace"
    )
    output = done.stdout + done.stderr
    assert report.exists(), output[-_SHOWN:]
    return Outcome(done.returncode, json.loads(report.read_text()), json.loads(counts.read_text()), output)


def _configuration(chosen: SchemaRun, url: str, folder: Path) -> str:
    """The run's configuration in schemathesis's TOML, whose strings and lists are written as in JSON."""
    lines = [
        f"base-url = {json.dumps(url)}",
        f"hooks = {json.dumps(_HOOKS)}",
        f"request-timeout = {REQUEST_TIMEOUT_S}",
        "workers = 2",
        "continue-on-failure = true",
        "max-stream-events = 3",
        *_authentication(chosen.keys, folder),
    ]
    for calls, excluded in groupby(EXCLUSIONS, key=lambda exclusion: exclusion.calls):
        lines += ["[[operations]]", f"include-name = {json.dumps(calls)}"] if calls else []
        table = "operations.checks" if calls else "checks"
        for exclusion in excluded:
            lines += [f"[{table}.{exclusion.check}]", f"expected-statuses = {json.dumps(exclusion.statuses)}"]
    return "\n".join(lines) + "\n"


def _authentication(keys: Mapping[str, str], folder: Path) -> list[str]:
    """One key goes with every request; of several, each is a user of its own."""
    if len(keys) < 2:
        return [
            line
            for key in keys.values()
            for line in (f"[auth.openapi.{SCHEME}]", f"bearer = {json.dumps(key)}")
        ]
    users = [
        {"name": name, "fixedHeaders": [{"name": "Authorization", "value": f"Bearer {key}"}]}
        for name, key in keys.items()
    ]
    path = folder / "users.json"
    path.write_text(json.dumps({"auth": users}), encoding="utf-8")
    return ["[auth.wfc]", f"path = {json.dumps(str(path))}", f"peers = {json.dumps(list(keys))}"]
