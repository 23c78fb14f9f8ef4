"""Layout profiles: drafted, checked, tried on samples, printed as a document, confirmed."""

from __future__ import annotations

import re
import shutil
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

import click

from gateway.agencies.loading import profiles_in
from gateway.agencies.own_layout import outgoing
from gateway.cli import DONE, FAILED, REFUSED
from gateway.cli.common import actor, as_json, opened_house, plain, say, say_rows
from gateway.config import Settings
from gateway.domain import reasons
from gateway.errors import DataError
from gateway.formats.view import FIRST
from gateway.formats.view.text import records_text
from gateway.profiles import Profile, ProfileError, ProfileFile, load
from gateway.profiles.document import document as as_document
from gateway.profiles.drafting import KINDS, draft
from gateway.profiles.shipped import shipped
from gateway.profiles.source import MAX_BYTES
from gateway.profiles.trial import Trial, attempt, which
from gateway.services.confirmations import confirm as confirm_profile
from gateway.services.confirmations import confirmation_of
from gateway.services.confirmations import withdraw as withdraw_profile

RECORDS_MAX = 10_000
"""Records one call of 'try' shows: they are held in memory until the file has been read."""

_NAME = re.compile("[a-z0-9][a-z0-9-]{0,39}")
_PROFILE = click.argument("profile", metavar="PROFILE")


@click.group()
def profile() -> None:
    """Layout profiles: what an agency's files look like, as data.

    PROFILE is a file, or the name of one that a plugin ships or that is your own ('kravport profile list').
    """


@profile.command("list")
@as_json
def list_profiles(*, as_json: bool) -> None:
    """List the profiles that the installed plugins ship, and your own (KRAVPORT_PROFILES)."""
    rows = []
    for name, path in {**shipped(), **_own()}.items():
        try:
            made = load(path)
        except DataError as error:
            rows.append({"name": name, "title": str(error).splitlines()[0], "files": ""})
            continue
        files = ", ".join(f"{layout.key} ({layout.direction})" for layout in made.files.values())
        rows.append({"name": name, "title": made.title, "files": files})
    say_rows(rows, as_json=as_json, empty="no plugin ships a profile")


@profile.command()
@click.argument("name")
@click.option("--kind", default=KINDS[0], show_default=True, type=click.Choice(KINDS), help="Template to begin with.")
@click.option("--like", default="", help="Begin with a copy of this shipped profile instead.")
@click.option("--output", type=click.Path(path_type=Path), help="File to write; without it NAME.toml here.")
def new(name: str, kind: str, like: str, output: Path | None) -> None:
    """Draft a profile called NAME; a file that exists is never overwritten."""
    if not _NAME.fullmatch(name):
        raise DataError("a name is small letters, digits and hyphens, at most 40")
    path = output or Path(f"{name}.toml")
    text = draft(name, kind=kind, like=like)
    try:
        with path.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}") from error
    click.echo(f"{path} written: fill it in from the agency's document, then 'kravport profile check {path}'")


@profile.command()
@_PROFILE
@as_json
def check(profile: str, *, as_json: bool) -> int:
    """Say what is wrong with a profile: every fault with file, line and key. Exit code 1 where there is any."""
    try:
        made = load(_path(profile))
    except ProfileError as error:
        faults = [{**plain(fault), "told": str(fault)} for fault in error.faults]
        say(
            {"ok": False, "faults": faults},
            as_json=as_json,
            text=lambda r: "\n".join(fault["told"] for fault in r["faults"]),
        )
        return FAILED
    for file in made.files:
        ProfileFile(made, file)
    questions = [{"key": key, "question": question} for key, question in made.questions]
    told = "".join(f"\nstill to be asked of the agency, {key}: {question}" for key, question in made.questions)
    use = _use(made)
    answer = {"ok": True, "name": made.name, "sha256": made.sha256, "questions": questions, "use": use}
    say(answer, as_json=as_json, text=lambda _: f"{made.name}: nothing wrong\n{use}{told}")
    return DONE


@profile.command()
@_PROFILE
@as_json
def show(profile: str, *, as_json: bool) -> None:
    """Show what a profile is: its files and records, and who confirmed it."""
    made = _loaded(profile)
    with opened_house() as house, house.database.read() as connection:
        found = confirmation_of(connection, made.sha256)
    facts: dict[str, Any] = {
        "name": made.name, "title": made.title, "source": made.source, "sha256": made.sha256,
        "sandbox_only": made.is_sandbox_only, "confirmed": found is not None,
        "confirmation": "" if found is None else _told_confirmation(found),
        "questions": len(made.questions), "limits": list(made.limits),
        "files": [_told_file(made, key) for key in made.files],
    }  # fmt: skip
    say(facts, as_json=as_json, text=_shown)


@profile.command("try")
@_PROFILE
@click.argument("sample", type=click.Path(path_type=Path))
@click.option("--file", "key", help="Which file of the profile the sample is; found out where it can be.")
@click.option("--records", default=FIRST, show_default=True, type=click.IntRange(0, RECORDS_MAX),
              help="How many records to show; the one with the fault is shown wherever it stands.")  # fmt: skip
@click.option(
    "--lang", default="en", type=click.Choice(reasons.LANGUAGES), help="Language of the words around the file."
)
def try_sample(profile: str, sample: Path, key: str | None, records: int, lang: str) -> int:
    """Read a SAMPLE file by a profile and show it field by field.

    Exit code: 0 it is what the profile says, 3 it is not; the fault is told with line, record and field.
    """
    made = _loaded(profile)
    try:
        with sample.open("rb") as given, tempfile.TemporaryFile() as copy:
            stream: BinaryIO = given
            if not given.seekable():  # a pipe: the file is read twice
                shutil.copyfileobj(given, copy)
                stream = copy
            file = ProfileFile(made, _key_of(made, key, stream))
            trial = attempt(file, stream, records=records, language=lang)
    except OSError as error:
        raise DataError(f"{sample}: {error.strerror}") from error
    _say_trial(made, trial, sample, lang)
    return REFUSED if trial.fault else DONE


@profile.command()
@_PROFILE
def document(profile: str) -> None:
    """Print a profile as a document (Markdown): a table of columns for each record, to hold against the agency's paper."""
    click.echo(as_document(_loaded(profile)).rstrip("\n"))


@profile.command()
@_PROFILE
@click.option("--document", "title", required=True, help="Title of the agency's document that the profile follows.")
@click.option("--version", required=True, help="Version of that document.")
@click.option("--dated", required=True, type=click.DateTime(["%Y-%m-%d"]), help="Date of that document.")
@click.option("--told-by", required=True, help="Who at the agency confirmed it, and how.")
@as_json
def confirm(profile: str, title: str, version: str, dated: datetime, told_by: str, *, as_json: bool) -> None:
    """Note that the agency has confirmed a profile: only then may its files leave the sandbox.

    The confirmation holds for these bytes of the file alone. Whoever changes the profile must confirm it anew.
    """
    path = _path(profile)
    made, content = load(path), path.read_bytes()[: MAX_BYTES + 1]
    with opened_house() as house:
        number = confirm_profile(
            house, made, content, document=title, version=version, dated=dated.date(), told_by=told_by, actor=actor()
        )
    say({"confirmation": number, "name": made.name, "sha256": made.sha256}, as_json=as_json,
        text=lambda r: f"{r['name']} is confirmed as it stands ({r['sha256'][:12]})")  # fmt: skip


@profile.command()
@_PROFILE
@as_json
def withdraw(profile: str, *, as_json: bool) -> None:
    """Take a confirmation back: files of the profile stay in sandboxes from now on."""
    made = _loaded(profile)
    with opened_house() as house:
        withdraw_profile(house, made, actor())
    say({"name": made.name, "confirmed": False}, as_json=as_json, text=lambda r: f"{r['name']} is no longer confirmed")


# --- helpers of the commands -------------------------------------------------------------------------------------------


def _path(name: str) -> Path:
    """Return where a profile lies: a shipped one or one of the operator's by its name, else a file."""
    return shipped().get(name) or _own().get(name) or Path(name)


def _use(made: Profile) -> str:
    """Return how an agency gets claims by this profile, or why that needs code."""
    try:
        new, later = outgoing(made)
    except DataError as error:
        return f"needs a plugin: {error}"
    return f"new claims go into file.{new.key}, what comes later {f'into file.{later.key}' if later else 'has no file'}"


def _own() -> dict[str, Path]:
    found = profiles_in(Settings.from_environment().effective_profiles)
    return {path.stem: path for paths in found.values() for path in paths}


def _loaded(name: str) -> Profile:
    try:
        return load(_path(name))
    except ProfileError as error:
        for fault in error.faults[1:]:
            click.echo(str(fault), err=True)
        raise


def _key_of(made: Profile, key: str | None, stream: BinaryIO) -> str:
    if key is not None:
        if key not in made.files:
            raise DataError(f"{made.name} has no file {key!r}; there are {', '.join(made.files)}")
        return key
    fitting = which(made, stream) if len(made.files) > 1 else list(made.files)
    if len(fitting) != 1:
        raise DataError(f"say with --file which file the sample is: {', '.join(fitting or made.files)}")
    return fitting[0]


def _told_file(made: Profile, key: str) -> dict[str, Any]:
    layout = made.files[key]
    records = {part.key: len(part.fields) for part in layout.parts.values()}
    return {"key": key, "title": layout.title, "direction": layout.direction, "kind": layout.kind,
            "filename": layout.filename.pattern, "needs_plugin": layout.needs_plugin, "records": records}  # fmt: skip


def _told_confirmation(found: Any) -> str:
    day = found.confirmed_at.date().isoformat()
    paper = f"{found.document} {found.document_version} of {found.document_date.isoformat()}"
    return f"by {found.confirmed_by} on {day}, told by {found.told_by}, on {paper}"


def _shown(facts: dict[str, Any]) -> str:
    state = facts["confirmation"] or ("never: it is nobody's layout" if facts["sandbox_only"] else "no: sandboxes only")
    lines = [f"{facts['name']}: {facts['title']}", f"source:    {facts['source']}", f"sha256:    {facts['sha256']}",
             f"confirmed: {state}", f"questions: {facts['questions']} still to be asked of the agency"]  # fmt: skip
    for file in facts["files"]:
        lines.append(f"file {file['key']} ({file['direction']}, {file['kind']}, {file['filename']}): {file['title']}")
        lines += [f"  {key}: {count} fields" for key, count in file["records"].items()]
    return "\n".join([*lines, *(f"limit: {limit}" for limit in facts["limits"])])


def _say_trial(made: Profile, trial: Trial, sample: Path, lang: str) -> None:
    click.echo(f"{sample.name} as {made.name}, file {trial.file}: {'does not fit' if trial.fault else 'fits'}")
    for title, count in trial.counts.items():
        click.echo(f"  {count} x {title}")
    if trial.fault:
        click.echo(f"  {trial.fault}")
    for line in records_text(trial.view, lang):
        click.echo(line)
