"""The page has words for every stage of a job, and for none that there is not."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[3]
TEXTS = ROOT / "service" / "static" / "page" / "texts.js"
REPORTING = {"progress", "on_progress", "report", "Progress", "paced", "_Counter"}
# Its stages are seen by who imports a folder of their own, at the command line.
BESIDE = "folder_import.py"


def test_every_stage_that_is_reported_has_words() -> None:
    reported = set(_reported())
    assert {"queued", "starting", "decoding", "checking", "drawing", "training"} <= reported
    assert reported == set(_worded())


def _worded() -> list[str]:
    listed = re.search(r"export const STAGES = \{(.*?)\n\};", TEXTS.read_text(), re.DOTALL)
    assert listed
    return re.findall(r'^  "?([a-z ]+?)"?: "', listed[1], re.MULTILINE)


def _reported() -> Iterator[str]:
    for folder in ("ml", "worker"):
        for path in (ROOT / folder).rglob("*.py"):
            if path.name != BESIDE:
                for node in ast.walk(ast.parse(path.read_text())):
                    if isinstance(node, ast.Call) and _name(node.func) in REPORTING:
                        yield from _stages(node.args[:2])


def _stages(arguments: list[ast.expr]) -> Iterator[str]:
    for argument in arguments:
        if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
            yield argument.value


def _name(called: ast.expr) -> str:
    return (
        called.attr
        if isinstance(called, ast.Attribute)
        else called.id
        if isinstance(called, ast.Name)
        else ""
    )
