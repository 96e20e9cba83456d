"""What schemathesis reads as its hooks: the generators, a rule of this API, and a count of what was judged.

Conventions: runs in the process of schemathesis (`tests.reliability.schema_runs` starts it). What is counted
is written when that process ends, to the file that `COUNTS_VARIABLE` names.
"""

import atexit
import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import schemathesis
from schemathesis.checks import CHECKS
from schemathesis.openapi.checks import UseAfterFree

from tests.reliability import generators  # noqa: F401, its hooks are registered
from tests.reliability.schema_runs import COUNTS_VARIABLE

_judged: Counter[str] = Counter()
_answers: Counter[int] = Counter()
_deleted: set[str] = set()


@schemathesis.hook
def after_call(
    context: schemathesis.HookContext, case: schemathesis.Case[Any], response: schemathesis.Response
) -> None:
    """Remembers which jobs were deleted."""
    _answers[response.status_code] += 1
    if case.method == "DELETE" and response.status_code == 204:
        _deleted.add(case.path_parameters["job_id"])


@schemathesis.check
def judged(
    context: schemathesis.CheckContext, response: schemathesis.Response, case: schemathesis.Case[Any]
) -> None:
    """Counts the answers that are judged, each by all checks."""
    _judged[case.operation.label] += 1


@schemathesis.hook
def filter_failure(
    context: schemathesis.HookContext,
    failure: schemathesis.core.failures.Failure,
    case: schemathesis.Case[Any],
    response: schemathesis.Response,
) -> bool:
    """A job that `DELETE` has cancelled (200, 202) is still there; only a deleted one (204) is gone."""
    return not isinstance(failure, UseAfterFree) or case.path_parameters.get("job_id") in _deleted


def _write() -> None:
    path = os.environ.get(COUNTS_VARIABLE)
    if path is not None:
        counts = {
            "checks": [name for name in CHECKS.get_all_names() if name != judged.__name__],
            "judged": dict(sorted(_judged.items())),
            "answers": {str(status): n for status, n in sorted(_answers.items())},
        }
        Path(path).write_text(json.dumps(counts), encoding="utf-8")


atexit.register(_write)
