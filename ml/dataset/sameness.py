"""Whether this machine would write the same bytes as the one that planned a data set."""

from __future__ import annotations

import functools

from ml.dataset.versions import REPLACED, synthesis_versions
from ml.errors import SystemDependencyError
from ml.synthesis.soundfonts import Bank, find_bank


class SoundFontMismatchError(SystemDependencyError):
    """A SoundFont of this machine is not the one that the data set was planned with."""

    code = "soundfont-mismatch"


class VersionMismatchError(SystemDependencyError):
    """This machine's libraries are not those that the data set was planned with."""

    code = "version-mismatch"


def require_same_banks(planned: dict[str, str], place: str) -> dict[str, Bank]:
    """Find the SoundFonts of a plan.

    Parameters
    ----------
    planned : dict of str to str
        SHA-256 by name.
    place : str
        The data set, for messages.

    Returns
    -------
    dict of str to Bank

    Raises
    ------
    MissingSoundFontError
        When one is not on this machine.
    SoundFontMismatchError
        When one has other contents.
    """
    banks = {}
    for name, wanted in planned.items():
        banks[name] = find_bank(name)
        found = bank_sha256(banks[name])
        if found != wanted:
            raise SoundFontMismatchError(
                f"SoundFont {name} ({banks[name].path}) has SHA-256 {found[:16]}..., but the data set in "
                f"{place} was planned with {wanted[:16]}...; put that file in its place.",
                extra={"soundfont": name, "found_sha256": found, "planned_sha256": wanted},
            )
    return banks


def require_same_versions(planned: dict[str, str], place: str) -> None:
    """Compare the libraries with those of a plan.

    Raises
    ------
    VersionMismatchError
        When one has another version, those aside that are no longer used.
    """
    here = synthesis_versions()
    decisive = {name: version for name, version in planned.items() if name not in REPLACED}
    others = {name: version for name, version in decisive.items() if here.get(name) != version}
    if others:
        wanted = ", ".join(f"{name} {version} (here {here.get(name)})" for name, version in others.items())
        raise VersionMismatchError(
            f"The data set in {place} was begun with {wanted}: shards of different versions may differ. "
            "Install those versions, or begin in another place.",
            extra={"planned_versions": others},
        )


def bank_sha256(bank: Bank) -> str:
    """A bank's hash, computed once as long as its files do not change."""
    files = [bank.path] if bank.path.is_file() else sorted(bank.path.iterdir())
    stats = [file.stat() for file in files]
    return _bank_sha256(bank, tuple((stat.st_size, stat.st_mtime_ns) for stat in stats))


@functools.lru_cache(maxsize=64)
def _bank_sha256(bank: Bank, signature: tuple[tuple[int, int], ...]) -> str:
    return bank.sha256()
