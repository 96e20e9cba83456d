"""The house itself: pinned versions, containers, commands. What cannot be run here is held to its schema."""

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import redis
import yaml
from dockerfile_parse import DockerfileParser

from ml.relevance.compiled import FOLDER_VARIABLE
from scripts.pin import closure, project_requirements
from worker.memory import HUGE_PAGES

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "docker-compose.yml"
COMPOSE_GPU = ROOT / "docker-compose.gpu.yml"
PACKAGES = ("ml", "service", "timbrescope", "worker")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    loaded = yaml.safe_load(COMPOSE.read_text())
    assert isinstance(loaded, dict)
    return loaded


@pytest.fixture(scope="module")
def stages() -> dict[str, list[str]]:
    """The instructions that make each stage of the Dockerfile, those of the stages it builds on included."""
    parser = DockerfileParser(str(ROOT / "Dockerfile"))
    found: dict[str, list[str]] = {}
    name = ""
    for step in parser.structure:
        if step["instruction"] == "FROM":
            base, _, name = re.fullmatch(r"(\S+)( AS (\S+))?", step["value"]).groups()  # type: ignore[union-attr]
            found[name] = list(found.get(base, []))
        elif step["instruction"] != "COMMENT":
            found[name].append(f"{step['instruction']} {step['value']}")
    return found


def tool(name: str) -> str:
    """A program that was installed beside this Python."""
    path = shutil.which(name, path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    assert path, f"{name} is missing: run `make install`"
    return path


def run(*command: str) -> str:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_every_version_is_pinned() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = dict(line.split("==") for line in lines if line and not line.startswith("#"))
    unpinned = set(closure(project_requirements()).items()) - set(pins.items())
    assert unpinned == set(), "run scripts/pin.py > constraints.txt"


def test_ci_runs_the_command_of_the_readme() -> None:
    assert (ROOT / ".ci" / "run").read_text().splitlines()[-1] == "exec make test"
    assert "make test" in (ROOT / "README.md").read_text()


@pytest.mark.parametrize("script", ["scripts/setup.sh", ".ci/run"])
def test_scripts_can_be_parsed(script: str) -> None:
    run("bash" if script == ".ci/run" else "sh", "-n", script)


@pytest.mark.parametrize(
    "target", ["install", "run", "test", "test-reliability", "check", "bench", "openapi", "fmt", "clean"]
)
def test_make_knows_its_targets(target: str) -> None:
    run("make", "--dry-run", target)
    assert f"make {target} " in run("make", "help")


@pytest.mark.parametrize("package", PACKAGES)
def test_every_module_opens_with_its_purpose(package: str) -> None:
    modules = [path for path in (ROOT / package).rglob("*.py") if path.stat().st_size]
    assert [path for path in modules if not ast.get_docstring(ast.parse(path.read_text()))] == []


def test_compose_files_fit_the_specification() -> None:
    run(tool("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", str(COMPOSE), str(COMPOSE_GPU))


def test_compose_starts_things_in_order_and_hardened(compose: dict[str, Any]) -> None:
    services = compose["services"]
    assert set(services) == {"redis", "api", "worker"}
    for name in ("api", "worker"):
        assert services[name]["depends_on"] == {"redis": {"condition": "service_healthy"}}
        assert services[name]["build"]["target"] == name
    for service in services.values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert "privileged" not in service
    assert "ports" not in services["redis"]
    assert compose["networks"]["inside"] == {"internal": True}
    assert services["redis"]["networks"] == services["worker"]["networks"] == ["inside"]
    assert services["api"]["ports"] == ["${TIMBRESCOPE_PUBLISH:-127.0.0.1:8000}:8000"]


def test_compose_asks_for_keys_and_does_not_start_without_one(compose: dict[str, Any]) -> None:
    environment = compose["services"]["api"]["environment"]
    assert environment["TIMBRESCOPE_REQUIRE_KEYS"] == "true"
    assert environment["TIMBRESCOPE_ADMIN_KEY"].startswith("${TIMBRESCOPE_ADMIN_KEY:?has to be set")


def test_compose_gives_redis_options_that_it_understands(compose: dict[str, Any], tmp_path: Path) -> None:
    command = [re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", word) for word in compose["services"]["redis"]["command"]]
    path = tmp_path / "redis.sock"
    own = [
        "--port",
        "0",
        "--unixsocket",
        str(path),
        "--dir",
        str(tmp_path),
        "--logfile",
        str(tmp_path / "log"),
    ]
    with subprocess.Popen([*command, *own]) as server:
        try:
            with redis.Redis(unix_socket_path=str(path), decode_responses=True) as client:
                while not path.exists():
                    assert server.poll() is None
                names = ("appendonly", "appendfsync", "save", "maxmemory", "maxmemory-policy")
                assert client.config_get(*names) == {
                    "appendonly": "yes",
                    "appendfsync": "always",
                    "save": "",
                    "maxmemory": str(2 * 2**30),
                    "maxmemory-policy": "noeviction",
                }
        finally:
            server.terminate()


def test_the_worker_is_told_of_huge_pages_as_up_tells_it(compose: dict[str, Any]) -> None:
    assert HUGE_PAGES.items() <= compose["services"]["worker"]["environment"].items()


def test_what_the_worker_compiles_outlives_its_container(
    compose: dict[str, Any], stages: dict[str, list[str]]
) -> None:
    image = "\n".join(stages["worker"])
    assert "TIMBRESCOPE_STATE_DIR=/var/lib/timbrescope" in image
    assert compose["services"]["worker"]["volumes"] == ["worker-state:/var/lib/timbrescope"]
    assert FOLDER_VARIABLE not in image, "it would win over the folder beside the state"


def test_every_container_has_a_health_check(compose: dict[str, Any], stages: dict[str, list[str]]) -> None:
    assert compose["services"]["redis"]["healthcheck"]["test"] == ["CMD", "redis-cli", "ping"]
    for target in ("api", "worker"):
        assert any(step.startswith("HEALTHCHECK") for step in stages[target])


def test_the_gpu_override_changes_the_worker_only(compose: dict[str, Any]) -> None:
    override = yaml.safe_load(COMPOSE_GPU.read_text())
    assert set(override["services"]) == {"worker"}
    (device,) = override["services"]["worker"]["deploy"]["resources"]["reservations"]["devices"]
    assert (device["driver"], device["capabilities"]) == ("nvidia", ["gpu"])


def test_the_dockerfile_is_clean() -> None:
    if sys.platform != "linux" or os.uname().machine != "x86_64":
        pytest.skip("hadolint is packaged for Linux on x86-64 only")
    run(tool("hadolint"), "Dockerfile")


@pytest.mark.parametrize("target", ["api", "worker"])
def test_images_run_without_rights(stages: dict[str, list[str]], target: str) -> None:
    users = [step.split()[1] for step in stages[target] if step.startswith("USER ")]
    assert users == ["10001:10001"]


def test_the_api_image_has_no_torch(stages: dict[str, list[str]]) -> None:
    assert "COPY --from=build-api /opt/timbrescope /opt/timbrescope" in stages["api"]
    assert "COPY --from=build-worker /opt/timbrescope /opt/timbrescope" in stages["worker"]
    api = "\n".join(stages["api"] + stages["build-api"])
    assert "torch" not in api
    assert "[ml" not in api
    assert "'.[ml,s3]'" in "\n".join(stages["build-worker"])
    science = {"torch", "zennit", "zennit-crp", "librosa", "numba", "scipy", "matplotlib", "pillow"}
    base = [
        requirement for requirement in project_requirements(extras=()) if requirement.name != "setuptools"
    ]
    assert science.isdisjoint(closure(base))


def test_the_packages_bring_their_files_along(tmp_path: Path) -> None:
    for name in (*PACKAGES, "pyproject.toml", "README.md", "LICENSE"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tmp_path / name)
    wheel = ["wheel", "--no-deps", "--no-build-isolation", "--no-index", "-w", str(tmp_path)]
    run(sys.executable, "-m", "pip", "-q", *wheel, str(tmp_path))
    (built,) = tmp_path.glob("*.whl")
    listing = run(sys.executable, "-m", "zipfile", "-l", str(built))
    for package in PACKAGES:
        kept = {path.relative_to(ROOT).as_posix() for path in (ROOT / package).rglob("*") if path.is_file()}
        kept = {path for path in kept if "__pycache__" not in path}
        assert [path for path in sorted(kept) if path not in listing] == []
