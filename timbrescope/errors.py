"""Errors of starting and supervising a service; each message is one line a person can act on."""

from ml.errors import TimbrescopeError


class LaunchError(TimbrescopeError):
    """The service cannot be started here, or cannot be kept running."""

    code = "launch-failed"


class InvalidSettingsError(TimbrescopeError):
    """A `TIMBRESCOPE_*` variable or an option of the command line has a value that makes no sense."""

    code = "invalid-settings"
