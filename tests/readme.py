"""The README and the pages of `docs/` as the tests read them: their fenced blocks, each with the comment
above it that says what it is.

Conventions: a block of commands carries one of these markers in an HTML comment on the line above its fence.

* ``run: shell``    run by a test, in the order of the pages, in one folder
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
PAGES = (README, *sorted((ROOT / "docs").glob("*.md")))
COMMAND_LANGUAGES = ("sh", "python")

_FENCE = re.compile(
    r"^(?:<!-- (?P<marker>[^>\n]*) -->\n)?```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)


@dataclass(frozen=True)
class Block:
    """A fenced block; `line` is that of its fence, counted from 1."""

    page: str
    marker: str
    language: str
    text: str
    line: int

    @property
    def place(self) -> str:
        """Where it stands, to be told from all others."""
        return f"{self.page} line {self.line}"


def readme() -> str:
    """The whole README."""
    return README.read_text(encoding="utf-8")


def blocks() -> list[Block]:
    """Every fenced block of every page, in order."""
    return [block for page in PAGES for block in _blocks_of(page)]


def _blocks_of(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    return [
        Block(
            page=page.name,
            marker=found["marker"] or "",
            language=found["language"],
            text=found["text"],
            line=text.count("\n", 0, found.start("language")) + 1,
        )
        for found in _FENCE.finditer(text)
    ]
