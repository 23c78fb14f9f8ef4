"""Documents that are printed from the code, so that no fact is stated twice: ``python -m tools.documents [--check]``."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from gateway.cli import _COMMANDS, kravport
from gateway.config import as_markdown
from gateway.domain import reasons
from tools import format_pages, profile_pages, rules_covered

ROOT = Path(__file__).resolve().parents[1]


def generated() -> dict[Path, str]:
    """Return path and content of every generated document."""
    docs = ROOT / "docs"
    return {
        docs / "configuration.md": as_markdown(),
        docs / "cli.md": cli_page(),
        docs / "reason-codes.md": reasons_page(),
        rules_covered.PAGE: rules_covered.page(),
        **format_pages.pages(docs / "formats"),
        **profile_pages.pages(docs / "formats" / "profiles"),
    }


def cli_page() -> str:
    """Return ``docs/cli.md``: the help of every command."""
    parts = [
        "# The command line",
        "",
        "Printed from the commands by `make docs`.",
        "",
        "```",
        _help(kravport, "kravport"),
        "```",
    ]
    context = click.Context(kravport)
    for name in _COMMANDS:
        command = kravport.get_command(context, name)
        parts += ["", f"## kravport {name}", "", "```", _help(command, f"kravport {name}"), "```"]
        for child in getattr(command, "commands", {}).values():
            parts += ["", "```", _help(child, f"kravport {name} {child.name}"), "```"]
    return "\n".join(parts) + "\n"


def _help(command: click.Command, path: str) -> str:
    settings = {"max_content_width": 100, "terminal_width": 100, "help_option_names": ["-h", "--help"]}
    return command.get_help(click.Context(command, info_name=path, **settings)).rstrip()


def reasons_page() -> str:
    """Return ``docs/reason-codes.md``: every code a person may be shown."""
    lines = ["# Reason codes", "", "Printed from `gateway/domain/reasons.toml` by `make docs`.", ""]
    lines += ["| code | class | who mends it | sentence |", "| --- | --- | --- | --- |"]
    for code in reasons.all_codes():
        row = reasons.reason(code)
        lines.append(f"| `{code}` | {row.classes} | {row.who} | {row.sentences['en']} |")
    return "\n".join(lines) + "\n"


def stale() -> list[str]:
    """Return the names of documents that differ from what the code says."""
    return [
        str(path.relative_to(ROOT))
        for path, content in generated().items()
        if not path.exists() or path.read_text() != content
    ]


def main() -> int:
    """Write the documents, or with ``--check`` say which are stale."""
    if "--check" in sys.argv[1:]:
        for name in stale():
            print(f"{name} is stale: make docs")
        return 1 if stale() else 0
    for path, content in generated().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return 0


if __name__ == "__main__":
    sys.exit(main())
