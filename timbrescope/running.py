"""The Redis of the service that this machine's commands are to look into.

Conventions: the one that `TIMBRESCOPE_REDIS_URL` names, else the private one of a `timbrescope up` that runs
with the same state folder. What is found has answered.
"""

from urllib.parse import urlsplit

from redis import Redis
from redis.exceptions import RedisError

from timbrescope.errors import LaunchError
from timbrescope.state import StateFolder
from worker.connection import UNAVAILABLE, connect
from worker.settings import SharedSettings


def connect_to_running(settings: SharedSettings) -> Redis:
    """A client of the service's Redis.

    Raises
    ------
    LaunchError
        When none answers.
    """
    redis = connect(url_of_running(settings))
    try:
        redis.ping()
    except UNAVAILABLE as error:
        redis.close()
        raise LaunchError(_silence(settings, error)) from error
    except RedisError as error:
        redis.close()
        raise LaunchError(f"{_place(settings)} refuses: {error}.") from error
    return redis


def url_of_running(settings: SharedSettings) -> str:
    """Where the service's Redis is to be found, whether or not it is there."""
    if "redis_url" in settings.model_fields_set:
        return settings.redis_url
    return f"unix://{StateFolder(settings.state_dir.absolute()).redis_socket()}"


def _silence(settings: SharedSettings, error: Exception) -> str:
    if "redis_url" in settings.model_fields_set:
        return f"{_place(settings)} does not answer: {str(error).rstrip('.')}."
    return (
        f"No `timbrescope up` runs with the state folder {settings.state_dir.absolute()}; start one, or name "
        "the service's Redis with TIMBRESCOPE_REDIS_URL."
    )


def _place(settings: SharedSettings) -> str:
    """The Redis as it may be shown: its URL can hold a password."""
    parts = urlsplit(url_of_running(settings))
    return f"Redis at {parts._replace(netloc=parts.netloc.rpartition('@')[2], query='').geturl()}"
