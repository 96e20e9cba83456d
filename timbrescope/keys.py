"""`timbrescope keys`: API keys of a running service, made, listed and revoked.

Conventions: what is for machines goes to standard output (a new key alone, or JSON), what is for people
beside it to standard error. A change counts from the next request on.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from timbrescope.console import print_json, screen
from timbrescope.errors import LaunchError
from timbrescope.options import JsonOption

if TYPE_CHECKING:
    from worker.api_keys import ApiKey, ApiKeys


class ScopeName(StrEnum):
    """The scopes by name, because the command line loads nothing of the worker before it is needed."""

    INFER = "infer"
    ADMIN = "admin"


LONGEST_NAME = 100
LONGEST_DAYS = 36_500

commands = typer.Typer(
    name="keys", help="Make, list and revoke API keys of a running service.", no_args_is_help=True
)


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.add_typer(commands)


@commands.command()
def create(
    name: Annotated[str, typer.Option(help="Whom or what the key is for.", show_default=False)],
    scope: Annotated[
        list[ScopeName], typer.Option(help="What it may do: infer, admin; may be given twice.")
    ] = [ScopeName.INFER],  # noqa: B006  # never changed; the option's default
    expires_days: Annotated[
        int | None,
        typer.Option(min=1, max=LONGEST_DAYS, help="After how many days it opens nothing; default: never."),
    ] = None,
    per_minute: Annotated[
        int | None,
        typer.Option(
            min=1, help="Most jobs that it may ask for in a minute; default: TIMBRESCOPE_RATE_PER_MINUTE."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Make a key and print it, this once; the service keeps a hash of it."""
    from worker.api_keys import Scope

    if not name.strip() or not name.isprintable() or len(name) > LONGEST_NAME:
        raise LaunchError(f"A key's name is 1 to {LONGEST_NAME} printable characters, not {name[:60]!r}.")
    expires_at = None if expires_days is None else datetime.now(UTC) + timedelta(days=expires_days)
    with _keys() as known:
        key, text = known.create(
            name.strip(), [Scope(each) for each in scope], expires_at=expires_at, per_minute=per_minute
        )
    if as_json:
        print_json({**_document(key), "key": text})
        return
    print(f"Key {key.id} ({key.name}, {_scopes(key)}), shown this once:", file=sys.stderr)
    print(text)


@commands.command("list")
def list_keys(as_json: JsonOption = False) -> None:
    """List all keys that were made, without their secrets; the admin key of the settings is none of them."""
    with _keys() as known:
        found = known.all()
    if as_json:
        print_json([_document(key) for key in found])
    else:
        screen().print(_table(found))


@commands.command()
def revoke(key_id: Annotated[str, typer.Argument(metavar="ID", help="As `keys list` shows it.")]) -> None:
    """Make a key open nothing any more; its jobs stay until they expire, seen by nobody."""
    with _keys() as known:
        key = known.revoke(key_id)
    print(f"Revoked: {key.id} ({key.name}).")


@contextmanager
def _keys() -> Iterator["ApiKeys"]:
    from timbrescope.running import connect_to_running
    from timbrescope.serving import load
    from worker.api_keys import ApiKeys
    from worker.connection import UNAVAILABLE
    from worker.settings import SharedSettings

    with connect_to_running(load(SharedSettings)) as redis:
        try:
            yield ApiKeys(redis)
        except UNAVAILABLE as error:
            raise LaunchError(f"Redis refuses: {str(error).rstrip('.')}.") from error


def _document(key: "ApiKey") -> dict[str, Any]:
    times = {name: value.isoformat() for name, value in asdict(key).items() if isinstance(value, datetime)}
    scopes = sorted(str(scope) for scope in key.scopes)
    return {**asdict(key), **times, "scopes": scopes, "state": key.state(datetime.now(UTC))}


def _scopes(key: "ApiKey") -> str:
    return " and ".join(sorted(key.scopes))


def _table(found: "list[ApiKey]") -> Table:
    table = Table(title="API keys", title_justify="left")
    table.add_column("id", no_wrap=True, min_width=12)
    for heading in ("name", "scopes", "state", "made", "expires", "per minute", "last used"):
        table.add_column(heading, overflow="fold")
    now = datetime.now(UTC)
    for key in found:
        moments = (key.created_at, key.expires_at, key.last_used_at)
        made, expires, used = ("" if each is None else f"{each:%Y-%m-%d %H:%M}" for each in moments)
        per_minute = "" if key.per_minute is None else str(key.per_minute)
        table.add_row(key.id, Text(key.name), _scopes(key), key.state(now), made, expires, per_minute, used)
    return table
