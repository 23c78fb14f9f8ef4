"""``kravport``: the operator's command.

Exit codes, the same for every command:

==== ===============================================================================================
0    done; nothing to complain of
1    it could not be done, or something was found that a person must look at
2    part of it waits for a person: a file in quarantine, a document held (``explain``, ``ingest``)
3    refused: not a file or request that Kravport takes (``explain``, ``ingest``)
64   the command line is wrong
78   a setting is wrong or missing
130  stopped by Ctrl-C
==== ===============================================================================================

With ``--json`` the result is one JSON object per line on standard output; everything else goes to standard error.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import click
from sqlalchemy.exc import SQLAlchemyError

from gateway.errors import ConfigurationError, GatewayError
from gateway.logs import masked_text

DONE, FAILED, WAITS, REFUSED, WRONG_USAGE, WRONG_SETTING, STOPPED = 0, 1, 2, 3, 64, 78, 130

_COMMANDS = {
    "run": "machine:run",
    "web": "machine:web",
    "worker": "machine:worker",
    "scheduler": "machine:scheduler",
    "migrate": "machine:migrate",
    "doctor": "doctor:doctor",
    "demo": "rehearsal:demo",
    "sandbox": "rehearsal:sandbox",
    "ingest": "files:ingest",
    "explain": "files:explain",
    "replay": "files:replay",
    "bank-file": "files:bank_file",
    "payments": "payments:payments",
    "envelopes": "envelopes:envelopes",
    "progress": "files:progress",
    "transfer": "evening:transfer",
    "watch": "evening:watch",
    "verify": "evening:verify",
    "plugins": "plugins:plugins",
    "plugin": "plugins:plugin",
    "profile": "profile:profile",
    "creditors": "office:creditors",
    "keys": "office:keys",
    "agreements": "agreements:agreements",
    "users": "office:users",
}


class _Lazy(click.Group):
    """Imports a command's module when the command is asked for: ``explain`` must not wait for Flask to load."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's signature
        """Return the names in the order of the table."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Return one command, or None."""
        if cmd_name not in _COMMANDS:
            return None
        module, _, name = _COMMANDS[cmd_name].partition(":")
        command = getattr(import_module(f"gateway.cli.{module}"), name)
        assert isinstance(command, click.Command)
        return command


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="kravport")
def kravport() -> None:
    """Kravport: the open gateway between accounting systems and the agencies that follow invoices up.

    Exit codes: 0 done, 1 failed or needs a person, 2 held or in quarantine, 3 refused, 64 wrong command line,
    78 wrong setting.
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and exit; an error is one line on standard error, never a stack trace."""
    sys.exit(_run(arguments))


def _run(arguments: Sequence[str] | None) -> int:
    try:
        answer: Any = kravport.main(args=arguments, prog_name="kravport", standalone_mode=False)
    except click.UsageError as error:
        error.show()
        return WRONG_USAGE
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.ClickException as error:
        return _complain(error.format_message(), FAILED)
    except (click.Abort, KeyboardInterrupt, GatewayError, SQLAlchemyError, OSError) as error:
        return _complain(_first_line(error), _code_of(error))
    return answer if isinstance(answer, int) else DONE


def _code_of(error: BaseException) -> int:
    if isinstance(error, click.Abort | KeyboardInterrupt):
        return STOPPED
    return WRONG_SETTING if isinstance(error, ConfigurationError) else FAILED


def _first_line(error: BaseException) -> str:
    cause = getattr(error, "orig", None) or error
    return next(iter(str(cause).strip().splitlines()), "stopped")


def _complain(sentence: str, code: int) -> int:
    click.echo(f"kravport: {masked_text(sentence)}", err=True)
    return code
