"""The README and the pages of `docs/` are true where that shows without running them: settings, options,
calls, figures, links.
"""

import re
import shlex
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main
from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

import worker.errors
import worker.request_errors
from bench.table import table as speed_table
from ml.checkpoint import SHIPPED_MODELS, InvalidCheckpointError, read_card
from ml.concepts.atlas import read_atlas
from ml.dataset.manifest import InvalidDatasetError
from ml.dataset.plan import DatasetConflictError
from ml.dataset.sameness import SoundFontMismatchError, VersionMismatchError
from ml.errors import (
    ConflictError,
    InvalidRequestError,
    MissingAtlasError,
    RangeRequiredError,
    StorageError,
    StorageUnavailableError,
    SystemDependencyError,
    TimbrescopeError,
    UnknownConceptError,
    UnknownInstrumentError,
    UnknownLayerError,
    UnknownMethodError,
    UnknownModelError,
)
from ml.evaluation.suites.registry import ALL, NAMED, SUITES
from ml.media import InvalidMediaError, MediaError, MediaTooLargeError
from ml.networks.registry import NETWORKS, build_network
from ml.relevance.engine import UnknownEngineError
from ml.relevance.methods import METHODS
from ml.sandbox import DecoderBusyError, DecoderDiedError, SandboxUnavailableError
from ml.synthesis.melodies.corpora import MissingCorpusError
from ml.synthesis.melodies.source import MelodySourceError
from ml.synthesis.recipe import InvalidRecipeError, Recipe
from ml.synthesis.render import MissingFluidSynthError
from ml.synthesis.soundfonts import MissingSoundFontError
from ml.training.state import ModelConflictError
from service.app import create_app
from service.documents.explain_schemas import InstrumentExplanation, QualityDocument
from service.intake.forms import CheckForm, ExplainForm
from service.settings import ServiceSettings
from service.submitting.orders import DatasetRequest, TrainingRequest
from tests.readme import COMMAND_LANGUAGES, PAGES, README, ROOT, Block, blocks, readme
from tests.reliability.table import table as proof_table
from timbrescope.cli import app
from worker.problems import problem_of
from worker.settings import SharedSettings, WorkerSettings

PREFIX = "TIMBRESCOPE_"
# Variables that no settings class reads, and the file that does.
OTHER_VARIABLES = {
    "TIMBRESCOPE_SOUNDFONT_PATH": "ml/synthesis/soundfonts.py",
    "TIMBRESCOPE_CACHE_DIR": "ml/dataset/remote_storage.py",
    "TIMBRESCOPE_PUBLISH": "docker-compose.yml",
    "TIMBRESCOPE_REDIS_MEMORY": "docker-compose.yml",
}
# What a default that depends on the machine is called.
MACHINE_DEFAULTS = {
    "state_dir": "`~/.local/state/timbrescope`",
    "models_dir": "`ml/checkpoints`",
    "concurrency": "2, or 1 on one core",
}
REPORT = ROOT / "reports/default/report.md"
MARKERS = ("run: shell", "run: service", "long", "by hand")
PACKAGES = ("bench", "ml", "service", "timbrescope", "worker")


def test_every_block_of_commands_says_whether_it_is_run() -> None:
    unmarked = [
        block.place
        for block in blocks()
        if block.language in COMMAND_LANGUAGES and block.marker not in MARKERS
    ]
    assert unmarked == []
    assert [block.place for block in blocks() if not block.language] == []


def test_the_table_of_settings_is_that_of_the_settings() -> None:
    assert settings_table() in readme()


def test_only_variables_that_exist_are_named() -> None:
    known = {f"{PREFIX}{name}".upper() for kind in _SETTINGS for name in kind.model_fields}
    named = set(re.findall(rf"{PREFIX}[A-Z_]*[A-Z]", all_pages()))
    assert named == known | set(OTHER_VARIABLES)
    for variable, path in OTHER_VARIABLES.items():
        assert variable in (ROOT / path).read_text(encoding="utf-8")


def test_the_table_of_commands_has_every_command_and_option() -> None:
    rows = dict(re.findall(r"^\| `timbrescope ([\w-]+)[^`]*` \| (.*) \|$", readme(), re.MULTILINE))
    assert set(rows) == set(_commands())
    for name, options in _commands().items():
        assert set(re.findall(r"--[a-z-]+", rows[name])) == options, name
    assert "`timbrescope --version`" in readme()


@pytest.mark.parametrize(
    "block", [block for block in blocks() if block.language == "sh"], ids=lambda block: block.place
)
def test_only_options_that_exist_are_used(block: Block) -> None:
    for command in commands_of(block):
        name, *words = command
        assert name in _commands(), command
        assert {word.partition("=")[0] for word in words if word.startswith("--")} <= _commands()[name]


def test_every_long_command_has_a_short_one_that_is_run() -> None:
    def kinds(marker: str) -> set[tuple[str, str]]:
        return {
            kind_of(command) for block in blocks() if block.marker == marker for command in commands_of(block)
        }

    assert kinds("long") <= kinds("run: shell")


def test_the_table_of_calls_has_every_call() -> None:
    described = create_app(ServiceSettings()).openapi()["paths"]
    calls = {f"{method.upper()} {path}" for path, methods in described.items() for method in methods}
    table = re.findall(r"^\| (`(?:GET|POST|DELETE) .*?) \|", readme(), re.MULTILINE)
    assert set(re.findall(r"`([A-Z]+ /[^`]*)`", "\n".join(table))) == calls


def test_the_table_of_fields_has_every_field() -> None:
    rows = re.findall(r"^\| (`[a-z_`, ]+`) \| (?:both|`/explain`) \|", readme(), re.MULTILINE)
    assert set(re.findall(r"\w+", " ".join(rows))) == set(ExplainForm.model_fields)


def test_the_table_of_a_checks_fields_has_every_field() -> None:
    (table,) = re.findall(r"^\| field of a check \|.*?\n\n", readme(), re.MULTILINE | re.DOTALL)
    named = set(re.findall(r"`(\w+)`", " ".join(row.split("|")[1] for row in table.splitlines()[2:-1])))
    assert named == set(CheckForm.model_fields)


def test_the_table_of_methods_has_every_method() -> None:
    (table,) = re.findall(r"^\| method \| rules.*?\n\n", all_pages(), re.MULTILINE | re.DOTALL)
    rows = dict(re.findall(r"^\| `([\w-]+)` \| (.*) \|$", table, re.MULTILINE))
    assert rows == {name: method.description for name, method in METHODS.items()}


def test_the_tables_of_quality_have_every_figure_and_warning() -> None:
    rows = set(re.findall(r"^\| ((?:`[\w-]+`(?:, )?)+) \|", all_pages(), re.MULTILINE))
    told = set(re.findall(r"`([\w-]+)`", " ".join(rows)))
    assert set(QualityDocument.model_fields) <= told
    source = (ROOT / "ml/quality.py").read_text(encoding="utf-8")
    codes = set(re.findall(r'QualityWarning\(\s*"([\w-]+)"', source))
    assert codes
    assert codes <= told


def test_what_an_explanation_holds_is_told() -> None:
    rows = set(
        re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", (ROOT / "docs/explanations.md").read_text(), re.MULTILINE)
    )
    told = set(re.findall(r"`(\w+)`", " ".join(rows)))
    assert set(InstrumentExplanation.model_fields) - {"instrument", "probability"} <= told


def test_the_table_of_orders_has_every_field() -> None:
    (table,) = re.findall(r"^\| body of \|.*?\n\n", readme(), re.MULTILINE | re.DOTALL)
    named = set(re.findall(r"`(\w+)`", " ".join(row.split("|")[2] for row in table.splitlines()[2:-1])))
    assert named == set(DatasetRequest.model_fields) | set(TrainingRequest.model_fields)


def test_the_table_of_recipes_has_every_field() -> None:
    (table,) = re.findall(r"^\| field \| says \|.*?\n\n", readme(), re.MULTILINE | re.DOTALL)
    named = set(re.findall(r"`(\w+)`", " ".join(row.split("|")[1] for row in table.splitlines()[2:-1])))
    assert named == set(Recipe.model_fields)


def test_every_recipe_is_named() -> None:
    committed = {path.relative_to(ROOT).as_posix() for path in (ROOT / "recipes").iterdir()}
    assert committed == set(re.findall(r"`(recipes/[\w.-]+)`", readme()))


def test_the_table_of_suites_has_every_suite() -> None:
    (table,) = re.findall(r"^\| suite \| what is.*?\n\n", readme(), re.MULTILINE | re.DOTALL)
    rows = re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)
    assert rows == [*(suite.name for suite in SUITES if suite.name not in NAMED), ALL]


def test_the_table_of_networks_has_every_network() -> None:
    for name in NETWORKS:
        weights = sum(part.numel() for part in build_network(name, 12, 128).parameters())
        assert f"| `{name}` | {weights:,} |" in readme()


def test_the_table_of_problems_has_every_problem_of_the_api() -> None:
    rows = re.findall(r"^\| (\d{3})(?:, [a-z ]+)? \| (`.*) \|$", readme(), re.MULTILINE)
    named = {(int(status), code) for status, codes in rows for code in re.findall(r"`([a-z-]+)`", codes)}
    assert named == {(problem_of(kind("")).status, kind.code) for kind in _problems()}


def test_the_results_are_those_of_the_report_of_the_shipped_model() -> None:
    report = REPORT.read_text(encoding="utf-8")
    header, _, *rows = re.findall(r"^\|.*\|$", report.partition("\n\nIn brackets")[0], re.MULTILINE)
    told = all_pages().splitlines()
    assert len(rows) > 10
    assert [row for row in (header, *rows) if row not in told] == []
    (command,) = re.findall(r"^timbrescope evaluate .*$", report, re.MULTILINE)
    assert command in told
    assert read_card(SHIPPED_MODELS / "default").sha256 in report


@pytest.mark.parametrize("heading", ["How true the maps are", "Results"])
def test_figures_in_the_text_are_those_of_the_report(heading: str) -> None:
    section = readme().partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    said = set(re.findall(r"\d\.\d{3}", section))
    assert said
    assert said <= set(re.findall(r"\d\.\d{3}", REPORT.read_text(encoding="utf-8")))


def test_the_table_of_proof_is_that_of_the_reports() -> None:
    """`python -m tests.reliability.table` prints it."""
    assert proof_table() in readme()


def test_the_table_of_speed_is_that_of_the_measurements() -> None:
    """`python -m bench.table` prints it."""
    (told,) = re.findall(r"^<!-- speed -->\n(.*?)\n<!-- /speed -->$", readme(), re.MULTILINE | re.DOTALL)
    assert told.strip() == speed_table()


def test_pairs_and_differences_in_the_text_are_those_of_the_report() -> None:
    pairs = re.findall(r"-?\d\.\d+ / -?\d\.\d+", all_pages())
    differences = re.findall(r"[+-]\d\.\d\d \[[^]]+\]", all_pages())
    assert pairs
    assert differences
    report = REPORT.read_text(encoding="utf-8")
    figures = set(re.findall(r"\d\.\d{3}", report))
    not_there = [said for said in (*pairs, *differences) if said not in report]
    # two figures of the opening table, with their three decimals, side by side
    assert [said for said in not_there if not set(said.split(" / ")) <= figures] == []


def test_what_is_said_of_the_atlas_is_so() -> None:
    folder = SHIPPED_MODELS / "default"
    told = re.findall(r"(\d+) of (\d+)", (ROOT / "docs/explanations.md").read_text(encoding="utf-8"))
    for layer in read_atlas(folder, read_card(folder)).layers:
        named = sum(concept.status == "named" for concept in layer.concepts)
        assert (str(named), str(len(layer.concepts))) in told


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8"))
    local = [target for target in targets if not target.startswith("https://")]
    assert [target for target in local if not _leads_somewhere(page, target)] == []
    assert local


def test_every_page_is_linked() -> None:
    for page in PAGES:
        assert page == README or f"]({page.relative_to(ROOT).as_posix()})" in readme()


def test_paths_that_are_named_exist() -> None:
    prose = re.sub(r"^```.*?^```$", "", all_pages(), flags=re.MULTILINE | re.DOTALL)
    made = {line.strip("/") for line in (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()}
    roots = {path.name for path in ROOT.iterdir()} - made  # what commands leave behind need not be there
    named = {word for word in re.findall(r"`([\w./-]+)`", prose) if word.split("/")[0] in roots}
    assert {word for word in named if not (ROOT / word).exists()} == set()
    assert len(named) > 10


def test_pictures_are_made_by_the_product() -> None:
    shown = {
        (page.parent / target).resolve().relative_to(ROOT).as_posix()
        for page in PAGES
        for target in re.findall(r"!\[[^]]+\]\(([^)]+)\)", page.read_text(encoding="utf-8"))
    }
    shown = {path for path in shown if path.startswith("docs/")}
    others = {path for path in (ROOT / "docs").iterdir() if path not in PAGES}
    assert shown == {path.relative_to(ROOT).as_posix() for path in others}
    for picture in shown:
        data = (ROOT / picture).read_bytes()
        assert data.startswith(b"\x89PNG")
        assert b"Software\x00Timbrescope" in data


def test_the_map_of_the_house_names_what_is_there() -> None:
    assert [path for path in _mapped() if not (ROOT / path).exists()] == []


def test_the_map_of_the_house_leaves_no_package_out() -> None:
    packages = {
        path.parent.relative_to(ROOT)
        for package in PACKAGES
        for path in (ROOT / package).rglob("__init__.py")
    }
    assert packages - set(_mapped()) == set()


def test_the_first_screen() -> None:
    first = "\n".join(readme().splitlines()[:40])
    assert "](reports/default/explanations-example.png)" in first
    assert "](docs/" in readme().partition("**Contents:**")[0]
    for part in ("make run", "make test", "curl -F file=@examples/"):
        assert part in first


def all_pages() -> str:
    """The README and the pages of `docs/`, one after another."""
    return "\n\n".join(page.read_text(encoding="utf-8") for page in PAGES)


_SETTINGS: tuple[type[SharedSettings], ...] = (SharedSettings, ServiceSettings, WorkerSettings)


def settings_table() -> str:
    """The table of all settings as the README has it."""
    rows = ["| variable | default | meaning | for |", "|---|---|---|---|"]
    shared = set(SharedSettings.model_fields)
    for kind, whom in zip(_SETTINGS, ("all", "API", "workers"), strict=True):
        for name, field in kind.model_fields.items():
            if kind is SharedSettings or name not in shared:
                variable = f"{PREFIX}{name}".upper()
                rows.append(f"| `{variable}` | {_default(name, field)} | {field.description} | {whom} |")
    return "\n".join(rows)


def _default(name: str, field: FieldInfo) -> str:
    if name in MACHINE_DEFAULTS:
        assert field.default is PydanticUndefined, f"{name} no longer depends on the machine"
        return MACHINE_DEFAULTS[name]
    value: Any = field.default
    if value is None or isinstance(value, SecretStr):
        return ""
    if isinstance(value, tuple):
        return "`[{}]`".format(", ".join(f'"{word}"' for word in value))
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


def _commands() -> dict[str, set[str]]:
    """The options of every command; of a group of commands, those of all of them."""
    group: Any = typer.main.get_command(app)
    return {
        name: {
            option
            for each in getattr(command, "commands", {"": command}).values()
            for parameter in each.params
            for option in (*parameter.opts, *parameter.secondary_opts)
            if option.startswith("--") and option != "--help"
        }
        for name, command in group.commands.items()
    }


def commands_of(block: Block) -> Iterator[list[str]]:
    """The words of every `timbrescope` command of a block, without that first one."""
    for line in block.text.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        if words and words[0] == "timbrescope":
            yield words[1:]


def kind_of(command: list[str]) -> tuple[str, str]:
    """The command, and the network if it says one."""
    network = command[command.index("--network") + 1] if "--network" in command else ""
    return command[0], network


def _problems() -> Iterable[type[TimbrescopeError]]:
    """The errors that the API answers with: those that are raised, not the families they belong to."""
    families = {MediaError, InvalidMediaError, MediaTooLargeError}
    yield from set(_subclasses(MediaError)) - families
    yield from (InvalidRequestError, RangeRequiredError, UnknownInstrumentError, UnknownModelError)
    yield from (UnknownMethodError, UnknownLayerError, MissingAtlasError, UnknownConceptError)
    yield from (UnknownEngineError, InvalidRecipeError, MelodySourceError, InvalidDatasetError)
    yield from (DatasetConflictError, ModelConflictError, InvalidCheckpointError)
    yield from (StorageError, StorageUnavailableError)
    yield from (SystemDependencyError, MissingFluidSynthError, MissingSoundFontError, MissingCorpusError)
    yield from (SoundFontMismatchError, VersionMismatchError)
    yield from (DecoderDiedError, DecoderBusyError, SandboxUnavailableError)
    for value in (*vars(worker.errors).values(), *vars(worker.request_errors).values()):
        is_error = isinstance(value, type) and issubclass(value, TimbrescopeError)
        if is_error and value not in (TimbrescopeError, ConflictError):
            yield value


def _subclasses(kind: type[TimbrescopeError]) -> Iterator[type[TimbrescopeError]]:
    for child in kind.__subclasses__():
        yield child
        yield from _subclasses(child)


def _leads_somewhere(page: Path, target: str) -> bool:
    """Whether a link of a page leads to a file that is there, and to a heading of it if it names one."""
    path, _, anchor = target.partition("#")
    file = (page.parent / path).resolve() if path else page
    if not anchor:
        return file.exists()
    headings = re.findall(r"^#+ (.+)$", file.read_text(encoding="utf-8"), re.MULTILINE)
    return anchor in {_anchor(heading) for heading in headings}


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def _mapped() -> list[Path]:
    """The paths of the map, whose indentation says what lies in what."""
    (block,) = (block for block in blocks() if block.marker == "map")
    paths: list[Path] = []
    above: list[str] = []
    for line in block.text.splitlines():
        name = line.split()[0]
        depth = (len(line) - len(line.lstrip())) // 2
        above = [*above[:depth], name]
        paths.append(Path(*above))
    return paths


if __name__ == "__main__":
    print(settings_table())
