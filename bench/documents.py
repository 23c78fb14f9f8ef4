"""Documents that are printed from the code, so that no fact is stated twice: ``python -m bench.documents [--check]``."""

from __future__ import annotations

import ast
import re
import sys
from collections import defaultdict
from pathlib import Path

import click

from gateway.cli import _COMMANDS, kravport
from gateway.config import as_markdown
from gateway.domain import reasons

ROOT = Path(__file__).resolve().parents[1]
RULES_FILE = ROOT.parent / "shared" / "domain" / "rules.md"
_RULE = re.compile(r"\b(?:R-[A-Z]{2}-\d{2}|T-[A-Z]{2}-\d{1,2}|[LU]\d{1,2}|P\d{1,2})\b")
_IN_NAME = re.compile(r"test_(r|t)_([a-z]{2})_(\d{1,2})(?:_|$)")
"""A test names its rule in its own name: ``test_r_ls_04_…``."""


def generated() -> dict[Path, str]:
    """Return path and content of every generated document."""
    docs = ROOT / "docs"
    return {
        docs / "configuration.md": as_markdown(),
        docs / "cli.md": cli_page(),
        docs / "reason-codes.md": reasons_page(),
        docs / "rules-covered.md": rules_page(),
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


def rules_page() -> str:
    """Return ``docs/rules-covered.md``: the tests of each rule, and the rules that have none yet."""
    covered = _covered()
    lines = ["# Rules and their tests", "", "Printed from the tests' names and `rule` marks by `make docs`.", ""]
    known = _known_rules() or _rules_named_before()
    missing = [rule for rule in known if rule not in covered]
    lines += [f"{len(known) - len(missing)} of {len(known)} rules are covered.", ""]
    lines += ["| rule | tests |", "| --- | --- |"]
    for rule in known:
        lines.append(f"| {rule} | {'<br>'.join(covered[rule]) if rule in covered else '**not covered yet**'} |")
    return "\n".join(lines) + "\n"


def _covered() -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                for rule in _rules_of(node):
                    found[rule].append(f"`{path.relative_to(ROOT)}::{node.name}`")
    return {rule: sorted(set(tests)) for rule, tests in found.items()}


def _rules_of(test: ast.FunctionDef) -> set[str]:
    marks = [
        argument.value
        for mark in test.decorator_list
        if isinstance(mark, ast.Call) and ast.unparse(mark.func).endswith("mark.rule")
        for argument in mark.args
        if isinstance(argument, ast.Constant)
    ]
    named = _IN_NAME.match(test.name)
    if named:
        marks.append(f"{named[1].upper()}-{named[2].upper()}-{int(named[3]):02d}")
    return {str(mark) for mark in marks}


def _known_rules() -> list[str]:
    if not RULES_FILE.exists():
        return []
    headings = re.findall(r"^\*\*(R-[A-Z]{2}-\d{2})\b", RULES_FILE.read_text(), re.MULTILINE)
    return sorted(dict.fromkeys(headings))


def _rules_named_before() -> list[str]:
    """Without the rule book at hand, the rules the page named when it was last printed with it."""
    page = ROOT / "docs" / "rules-covered.md"
    return re.findall(r"^\| (R-[A-Z]{2}-\d{2}) \|", page.read_text(), re.MULTILINE) if page.exists() else []


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
        path.write_text(content)
    return 0


if __name__ == "__main__":
    sys.exit(main())
