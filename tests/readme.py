"""The README as the tests read it: its fenced blocks, each with the comment above it that says what it is.

Conventions: a block of commands carries one of these markers in an HTML comment on the line above its fence.

* ``run: shell``    run by a test, in the order of the page, in one folder
* ``run: service``  the same, against a running service
* ``long``          not run; a short command of the same kind is
* ``by hand``       not run: it installs, needs a browser or Docker, or never ends

``output`` marks what the block of commands before it answers, shortened with three dots; ``map`` marks the
map of the house.
"""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
COMMAND_LANGUAGES = ("sh", "python")

_FENCE = re.compile(
    r"^(?:<!-- (?P<marker>[^>\n]*) -->\n)?```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)


@dataclass(frozen=True)
class Block:
    """A fenced block; `line` is that of its fence, counted from 1."""

    marker: str
    language: str
    text: str
    line: int


def readme() -> str:
    """The whole page."""
    return README.read_text(encoding="utf-8")


def blocks() -> list[Block]:
    """Every fenced block, in order."""
    text = readme()
    return [
        Block(
            marker=found["marker"] or "",
            language=found["language"],
            text=found["text"],
            line=text.count("\n", 0, found.start("language")) + 1,
        )
        for found in _FENCE.finditer(text)
    ]
