"""The commands that serve: `up` (everything on this machine), `api` and `worker` (one part each,
for production).

Settings come from `TIMBRESCOPE_*` variables; the options here are shorthand for the ones that are
changed most often.
"""

import os
import platform
from typing import Annotated, Any, TypeVar

import typer
from pydantic import ValidationError
from pydantic_settings import BaseSettings

from timbrescope.errors import InvalidSettingsError, LaunchError

Settings = TypeVar("Settings", bound=BaseSettings)

Host = Annotated[
    str | None, typer.Option(help="Address to listen on [TIMBRESCOPE_HOST].", show_default=False)
]
Port = Annotated[
    int | None,
    typer.Option(help="Port to listen on [TIMBRESCOPE_PORT].", min=1, max=65_535, show_default=False),
]
Concurrency = Annotated[
    int | None,
    typer.Option(
        help="Worker processes, each with its own model [TIMBRESCOPE_CONCURRENCY].", min=1, show_default=False
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command()(up)
    app.command()(api)
    app.command()(worker)


def up(host: Host = None, port: Port = None) -> None:
    """Start the whole service on this machine: a private Redis, a worker and the API."""
    from service.settings import ServiceSettings
    from timbrescope import launcher

    settings = load(ServiceSettings, host=host, port=port)
    plan = launcher.Plan(
        host=settings.host,
        port=settings.port,
        state_dir=settings.state_dir.absolute(),
        redis_url=settings.redis_url if "redis_url" in settings.model_fields_set else None,
        admin_key=settings.admin_key.get_secret_value() if settings.admin_key else None,
        keys_are_required=settings.keys_are_required,
        redis_fsync=settings.redis_fsync,
    )
    launcher.up(plan, os.environ, lambda line: print(line, flush=True))


def api(host: Host = None, port: Port = None) -> None:
    """Start the API alone; it needs a Redis and, somewhere, workers."""
    from worker.memory import made_to_stay

    with made_to_stay():
        from service.run import main
        from service.settings import ServiceSettings

    settings = load(ServiceSettings, host=host, port=port)
    if settings.keys_are_required and settings.admin_key is None:
        require_a_key(settings.redis_url)
    main(settings)


def require_a_key(redis_url: str) -> None:
    """Refuses to start an API that nobody could use, as far as Redis can tell at this moment."""
    from worker.api_keys import ApiKeys
    from worker.connection import UNAVAILABLE, connect

    try:
        with connect(redis_url) as redis:
            somebody_may_ask = ApiKeys(redis).any_valid()
    except UNAVAILABLE:
        return
    if not somebody_may_ask:
        raise LaunchError(
            "The API asks for a key with every call, as it does unless it listens on a loopback address, and "
            "there is none: set TIMBRESCOPE_ADMIN_KEY to a long random text, or make a key with `timbrescope "
            "keys create`."
        )


def worker(
    concurrency: Concurrency = None,
    check: Annotated[
        bool, typer.Option("--check", help="Only look whether a worker of this machine is at work.")
    ] = False,
) -> None:
    """Start a worker alone; any number of them, on any machines, may share one Redis."""
    from worker.memory import made_to_stay

    with made_to_stay():
        from worker.run import main
        from worker.settings import WorkerSettings

    settings = load(WorkerSettings, concurrency=concurrency)
    raise typer.Exit(_look_for_worker(settings.redis_url) if check else main(settings))


def _look_for_worker(redis_url: str) -> int:
    from worker.catalog import Catalog
    from worker.connection import UNAVAILABLE, connect

    machine = platform.node()
    try:
        here = [
            found.name
            for found in Catalog(connect(redis_url)).workers()
            if found.name.startswith(f"{machine}/")  # as worker.presence names them
        ]
    except UNAVAILABLE as error:
        raise LaunchError(f"Redis does not answer: {error}.") from error
    print("\n".join(here) or f"No worker of {machine} has announced itself.")
    return 0 if here else 1


def load(kind: type[Settings], **given: Any) -> Settings:
    """Read settings from the environment, over which the given ones win (None: not given).

    Raises
    ------
    InvalidSettingsError
        Naming each variable whose value makes no sense, and why.
    """
    try:
        return kind(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        prefix = str(kind.model_config.get("env_prefix", ""))
        raise InvalidSettingsError(
            "; ".join(_fault(prefix, dict(fault)) for fault in error.errors())
        ) from error


def _fault(prefix: str, fault: dict[str, Any]) -> str:
    reason = str(fault["msg"]).removeprefix("Value error, ")
    if not fault["loc"]:
        return reason
    return f"{prefix}{fault['loc'][0]}".upper() + f" is {fault['input']!r}: {reason}."
