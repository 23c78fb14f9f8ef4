"""Practising: the demo, and the sandbox agencies by themselves."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import click

from gateway.agencies import Agencies
from gateway.cli.common import say
from gateway.config import Settings
from gateway.demo import sandboxes
from gateway.demo.evening import play
from gateway.demo.ledger import choices
from gateway.demo.office import EMAIL, PASSWORD
from gateway.demo.stage import Stage
from gateway.logs import configure


@click.command()
@click.option("--once", is_flag=True, help="End after the second evening instead of leaving the panel running.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object, on the last line.")
@click.option("--patience", default=45.0, show_default=True, help="Seconds to wait for any one thing.")
@click.option("--agency", help="Play it with this agency alone, whichever plugin it is; see 'kravport plugins'.")
@click.option("--layout", default="", help="Under this layout of the agency; by default the one of its demo creditor.")
@click.option("--state", type=click.Path(path_type=Path), help="Write the business state at the end to this file.")
def demo(patience: float, agency: str | None, layout: str, state: Path | None, *, once: bool, as_json: bool) -> int:
    """Live through two evenings with three invented creditors and sandbox agencies.

    Everything is real but the agencies and the clock: processes, SFTP, webhooks, files. With KRAVPORT_DATABASE_URL and
    KRAVPORT_REDIS_URL it runs on those, in a schema of its own that it drops at the end. Exit code 0 only if the
    agencies' ledgers equal ours claim by claim.
    """
    _check_choice(agency, layout)
    configure("pretty", "warning")
    signal.signal(signal.SIGTERM, signal.default_int_handler)

    def stay(stage: Stage, result: dict[str, Any]) -> None:
        _show(result, as_json=as_json)
        if not once:
            click.echo(f"panel: {stage.address}/   log in as {EMAIL}   password: {PASSWORD}   (Ctrl-C ends)", err=True)
            _wait_for_end()

    result = play(
        Settings.from_environment(),
        lambda line: click.echo(line, err=True),
        patience_seconds=patience,
        state_file=state,
        stays=None if once else stay,
        agency=agency,
        layout=layout,
    )
    if once:
        _show(result, as_json=as_json)
    return 0 if result["ledgers_agree"] else 1


@click.command()
@click.argument("config", type=click.Path(path_type=Path))
def sandbox(config: Path) -> None:
    """Run sandbox agencies behind SFTP and HTTPS servers, as the JSON file CONFIG says (see docs/sandboxes.md)."""
    settings = Settings.from_environment()
    configure(settings.log_format, settings.log_level)
    try:
        sandboxes.serve(config)
    except KeyboardInterrupt:
        return


def _check_choice(agency: str | None, layout: str) -> None:
    """Refuse a name that does not exist as any wrong option is refused, with those that do."""
    agencies = Agencies.load()
    if agency is None:
        if layout:
            raise click.UsageError("a layout is one of an agency's: name the agency, too (--agency)")
    elif agency not in {*agencies.loaded, *agencies.broken}:
        raise click.BadParameter(
            f"{agency!r} is not installed; there is {', '.join(sorted(agencies.loaded))}.", param_hint="--agency"
        )
    elif layout and agencies[agency].profile.layout(layout) is None:
        raise click.BadParameter(
            f"{agency} has no {layout!r}; {choices(agencies[agency].profile)}.", param_hint="--layout"
        )


def _show(result: dict[str, Any], *, as_json: bool) -> None:
    say(result, as_json=as_json, text=_as_text)


def _as_text(result: dict[str, Any]) -> str:
    held = ", ".join(f"{one['code']} ({one['count']})" for one in result["held"])
    rest = [f"  {name:20} {value}" for name, value in result.items() if name != "held"]
    return "\n".join(["the two evenings:", *rest, f"  {'held':20} {held}"])


def _wait_for_end() -> None:
    try:
        signal.pause()
    except KeyboardInterrupt:
        click.echo("ending", err=True)
