"""Prints constraints.txt: the exact version of everything pyproject.toml needs, as installed here.

    .venv/bin/python scripts/pin.py > constraints.txt

It follows the requirements of the project and of all its extras through the installed distributions, so
that what happens to be installed besides is left out. Local version tags (`+cpu`) are dropped: which build
of torch a machine gets is the machine's choice, the version is ours.
"""

import tomllib
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

PINNED_BY_TORCH = ("nvidia-", "cuda-", "triton")
"""Packages that only a CUDA build of torch brings, each at the one version that it was built with."""

ON_OTHER_MACHINES = {"async-timeout": "5.0.1"}
"""What other interpreters need besides: redis asks for this one before Python 3.11.3, which Debian 12 has."""

PYPROJECT = Path(__file__).resolve().parent.parent / "pyproject.toml"

HEADER = """\
# Exact versions of everything that Timbrescope, its science and its checks install, at every depth.
# Every installation uses this file (`pip install -c constraints.txt`). Written by scripts/pin.py.
#
# torch is pinned for a second reason: another package that merely asks for "torch" would make pip fetch
# whatever is newest, which on Linux brings several gigabytes of CUDA packages and a torchvision that does
# not fit. zennit asks for torchvision, though nothing here needs it; the version below is the one whose
# metadata fits this torch.
"""


def project_requirements(extras: Iterable[str] | None = None) -> list[Requirement]:
    """What pyproject.toml asks for with these extras (default: all), the build backend included."""
    pyproject = tomllib.loads(PYPROJECT.read_text())
    project = pyproject["project"]
    texts = [*project["dependencies"], *pyproject["build-system"]["requires"]]
    optional = project["optional-dependencies"]
    for extra in optional if extras is None else extras:
        texts += optional[extra]
    return [Requirement(text) for text in texts]


def closure(requirements: Iterable[Requirement]) -> dict[str, str]:
    """Versions by canonical name of all distributions that the requirements need on this machine."""
    versions: dict[str, str] = {}
    seen: set[tuple[str, frozenset[str]]] = set()
    waiting = list(requirements)
    while waiting:
        requirement = waiting.pop()
        name, extras = canonicalize_name(requirement.name), frozenset(requirement.extras)
        if (name, extras) in seen or name.startswith(PINNED_BY_TORCH):
            continue
        if not _applies(requirement, frozenset({""})):
            continue
        seen.add((name, extras))
        try:
            found = distribution(name)
        except PackageNotFoundError:
            raise SystemExit(f"{requirement} is not installed here: run `make install` first.") from None
        versions[name] = Version(found.version).public
        for text in found.requires or ():
            needed = Requirement(text)
            if _applies(needed, extras | {""}):
                needed.marker = None  # it was judged here, with the extras that were asked for
                waiting.append(needed)
    return versions


def _applies(requirement: Requirement, extras: frozenset[str]) -> bool:
    marker = requirement.marker
    return marker is None or any(marker.evaluate({"extra": extra}) for extra in extras)


if __name__ == "__main__":
    pins = ON_OTHER_MACHINES | closure(project_requirements())
    print(HEADER + "\n".join(f"{name}=={version}" for name, version in sorted(pins.items())))
