"""What uploads are: their structure, looked at in processes that may die.

Conventions: blocking, for the thread pool. As many are looked at at once as there are processors, for looking
is computing. The process that forks the others starts with the service.
"""

import os

from ml.media import MediaInfo, MediaLimits
from ml.sandbox import Sandbox, SandboxLimits, structure
from service.settings import ServiceSettings
from worker.figures import Figures

# Looking takes a tenth of a second for the largest upload; what takes this long is stuck.
INSPECTION_S = 5
# Longer on the clock, for a machine that is busy and a place that has to be waited for.
WAIT_S = 15


class Inspector:
    """Looks at uploads within the limits of a service."""

    def __init__(self, sandbox: Sandbox, limits: MediaLimits) -> None:
        self._sandbox = sandbox
        self._limits = limits

    def inspect(self, data: bytes) -> MediaInfo:
        """What an upload is; raises one of `ml.media.errors` or `ml.sandbox.errors` if it is none."""
        return structure.inspect(self._sandbox, data, self._limits)

    def sounds_between(self, data: bytes, start_s: float, end_s: float) -> bool:
        """Whether a note of a MIDI file sounds in a part of it."""
        return structure.sounds_between(self._sandbox, data, start_s, end_s, self._limits)

    def close(self) -> None:
        """Ends all processes."""
        self._sandbox.close()


def open_inspector(settings: ServiceSettings, figures: Figures) -> Inspector:
    """The inspector as these settings want it, on its way to be ready."""
    memory_bytes = settings.decoder_limits.memory_bytes
    sandbox = Sandbox(
        structure.TASKS_MODULE,
        SandboxLimits(memory_bytes, INSPECTION_S, WAIT_S),
        most_at_once=os.cpu_count() or 1,
        on_death=lambda _: figures.count("decoder_deaths"),
    )
    sandbox.start()
    return Inspector(sandbox, settings.media_limits)
