"""The commands of the README and of the pages of `docs/`, taken from their text and run in their order; what
they show of answers is true.

Conventions: blocks marked ``run: shell`` share one shell and one folder, those marked ``run: service``
another, in which the address of the README stands for that of the test's service. Answers are compared
without white space, with numbers rounded to `DECIMALS` places and with ids and times made equal; three dots
stand for anything.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path

import pytest

from tests.integration.making import KEY
from tests.integration.processes import running_stack
from tests.readme import ROOT, Block, blocks

ADDRESS = "http://127.0.0.1:8000"
DECIMALS = 2  # processors differ in the sixth; a model or a rule that changes shows in the second
ELLIPSIS = "..."
END_OF_BLOCK = "~ end of block ~"
PYTHON_END = "END_OF_PYTHON"

_EQUAL = {
    r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}": "ID",
    r"\d{4}-\d\d-\d\dT[\d:.]+Z": "TIME",
    r"\b\d{13}-\d+\b": "ENTRY",
}
_NUMBER = re.compile(r"-?\d+\.\d+(?:e-?\d+)?")


def shown(session: str) -> list[object]:
    """The blocks of commands of a session whose answer is shown, each with that answer."""
    return [
        pytest.param(block, answer, id=block.place)
        for block, answer in pairwise(blocks())
        if block.marker == f"run: {session}" and answer.marker == "output" and answer.page == block.page
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that looks like the repository to commands, and keeps what they write out of it."""
    made = tmp_path_factory.mktemp("readme")
    for name in ("examples", "recipes"):
        (made / name).symlink_to(ROOT / name)
    programs = made / "bin"
    programs.mkdir()
    for name, start in {"timbrescope": "-m timbrescope ", "python": ""}.items():
        program = programs / name
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" {start}"$@"\n')
        program.chmod(0o755)
    return made


@pytest.fixture(scope="module")
def shell_answers(folder: Path) -> Mapping[Block, str]:
    """What the commands that need no service print, by their block."""
    return run_session("shell", folder)


@pytest.fixture(scope="module")
def service_answers(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[Block, str]]:
    """What the commands that ask a service print, by their block.

    The service is one of its own: that of the other tests has an atlas made for them, this one the shipped.
    """
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    key_file = folder / ".local" / "state" / "timbrescope" / "admin-key"
    key_file.parent.mkdir(parents=True)
    key_file.write_text(KEY)
    served = Path(tempfile.mkdtemp(prefix="ts-readme-"))  # a socket's path has to be short
    settings = {"TIMBRESCOPE_ADMIN_KEY": KEY, "TIMBRESCOPE_STATE_DIR": str(served / "state")}
    with running_stack(served, TIMBRESCOPE_CONCURRENCY="2", **settings) as stack:
        yield run_session("service", folder, lambda text: text.replace(ADDRESS, stack.url), HOME=str(folder))
    shutil.rmtree(served)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(("block", "answer"), shown("shell"))
def test_commands_without_a_service(shell_answers: Mapping[Block, str], block: Block, answer: Block) -> None:
    assert_shows(answer.text, shell_answers[block])


@pytest.mark.slow
@pytest.mark.parametrize(("block", "answer"), shown("service"))
def test_commands_that_ask_a_service(
    service_answers: Mapping[Block, str], block: Block, answer: Block
) -> None:
    assert_shows(answer.text, service_answers[block])


@pytest.mark.slow
def test_files_are_where_the_readme_says(
    shell_answers: Mapping[Block, str], service_answers: Mapping[Block, str], folder: Path
) -> None:
    names = {path.name for path in (folder / "out" / "maps").iterdir()}
    whole = {"spectrogram", "map-trumpet", "concept-030-trumpet", "remainder-trumpet", "map-celesta"}
    sounds = {f"{part}-{name}.wav" for part in ("kept", "removed") for name in ("trumpet", "celesta")}
    assert {"result.json", "audio.wav"} | sounds | {
        f"{name}{end}" for name in whole for end in (".png", ".npz")
    } <= names
    assert len([name for name in names if re.fullmatch(r"concept-\d{3}-trumpet\.png", name)]) == 5
    for name, magic in {"map-violin.png": b"\x89PNG", "map-violin.npz": b"PK", "audio.wav": b"RIFF"}.items():
        assert (folder / name).read_bytes().startswith(magic)
    for model in ("tiny-default", "tiny-reference"):
        assert {"weights.safetensors", "model.json"} <= {
            path.name for path in (folder / "out" / model).iterdir()
        }


def test_a_comparison_notices_what_is_wrong() -> None:
    answer = '{"id": "01a1f965-abe6-7fff-b704-3213fe9303ea", "share": 0.0587, "map": {"png": "x"}, "n": 3}'
    assert_shows('{"id": "00000000-abe6-7fff-b704-3213fe9303ea",\n "share": 0.058..., ... "n": 3}', answer)
    for wrong in (
        '{... "n": 4}',
        '{... "share": 0.07...}',
        '{"n": 3}',
        '{... "n": 3',
        '... "map": ... "id": ...',
    ):
        with pytest.raises(AssertionError):
            assert_shows(wrong, answer)


def run_session(
    session: str, folder: Path, adapt: Callable[[str], str] = lambda text: text, **variables: str
) -> Mapping[Block, str]:
    """Runs a session's blocks in one shell that stops at the first failure."""
    chosen = [block for block in blocks() if block.marker == f"run: {session}"]
    script = "".join(f"{adapt(as_shell(block))}printf '%s\\n' '{END_OF_BLOCK}'\n" for block in chosen)
    environment = {
        **os.environ,
        "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "COLUMNS": "100",
        "NO_COLOR": "1",
        "NO_PROXY": "127.0.0.1",
        **variables,
    }
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    *printed, rest = done.stdout.split(f"{END_OF_BLOCK}\n")
    assert rest == ""
    return dict(zip(chosen, printed, strict=True))


def as_shell(block: Block) -> str:
    """A block as commands of the shell."""
    if block.language == "python":
        return f"python - <<'{PYTHON_END}'\n{block.text}{PYTHON_END}\n"
    return block.text


def assert_shows(expected: str, actual: str) -> None:
    """The actual text begins, goes on and ends as expected, with anything in the place of three dots."""
    first, *others = normalised(expected).split(ELLIPSIS)
    text = normalised(actual)
    assert text.startswith(first), f"does not begin with {first!r}:\n{actual}"
    position = len(first)
    for index, part in enumerate(others):
        is_last = index == len(others) - 1
        found = text.rfind(part) if is_last else text.find(part, position)
        assert found >= position, f"does not go on with {part!r}:\n{actual}"
        position = found + len(part)
    assert position == len(text), f"goes on after {normalised(expected)[-60:]!r}:\n{actual}"


def normalised(text: str) -> str:
    """Without white space and without what differs from run to run."""
    for pattern, name in _EQUAL.items():
        text = re.sub(pattern, name, text)
    text = _NUMBER.sub(lambda found: f"{float(found[0]):.{DECIMALS}f}", text)
    return re.sub(r"\s+", "", text)
