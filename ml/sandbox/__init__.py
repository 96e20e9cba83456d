"""Uploads handled in processes that may die: one for each upload, forked, bounded, and never believed.

Conventions: a *fork server* (`forkserver`) is a small process that has imported what reads recordings and
never sees one. For every call it forks a *child* (`child`), which confines itself (`limits`), is told what to
do, is given the bytes, answers, and is gone; nothing of an upload outlives it. `Sandbox` is the side that
asks. The two speak frames of JSON and bare samples (`wire`), and the asking side takes nothing on trust from
a child whose decoder a file may have taken over: no pickles, sizes within bounds, samples finite, errors of
known classes alone. What a child can be asked for are its `tasks`: of the structure alone (`structure`), or
of the sound too (`sound`).
"""

from ml.sandbox.errors import DecoderBusyError, DecoderDiedError, SandboxError, SandboxUnavailableError
from ml.sandbox.limits import SandboxLimits
from ml.sandbox.sandbox import Sandbox

__all__ = [
    "DecoderBusyError",
    "DecoderDiedError",
    "Sandbox",
    "SandboxError",
    "SandboxLimits",
    "SandboxUnavailableError",
]
