"""Settings from the environment: each stated once, with name, default, help and whether it is a secret.

``docs/configuration.md`` is printed from this module (`as_markdown`), and a test fails when the two differ.
"""

# ruff: noqa: RUF009  # _setting() is dataclasses.field() with a fixed shape; the linter knows only the latter
from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any

from gateway.errors import ConfigurationError

SECRET_KEY_CHARACTERS = 32
"""Shortest secret key taken: 32 characters of a random text are more than anybody can try."""

_DAYS_MAX = 3660
"""Ten years: longer than any law on bookkeeping asks."""

_DEVELOPERS_OWN = {"KRAVPORT_CHROMIUM"}
"""Read by tools of developers only, not by the installation."""


def _text(value: str) -> str:
    return value.strip()


def _path(value: str) -> Path:
    return Path(value).expanduser().absolute()


def _path_or_none(value: str) -> Path | None:
    return _path(value) if value.strip() else None


def _flag(value: str) -> bool:
    words = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
    try:
        return words[value.strip().lower()]
    except KeyError:
        raise ValueError("is neither 1 nor 0") from None


def _number(lowest: int, highest: int) -> Callable[[str], int]:
    def parse(value: str) -> int:
        if not value.strip().isdecimal():
            raise ValueError("is not a whole number")
        if not lowest <= int(value) <= highest:
            raise ValueError(f"is not between {lowest} and {highest}")
        return int(value)

    return parse


def _one_of(*choices: str) -> Callable[[str], str]:
    def parse(value: str) -> str:
        if value not in choices:
            raise ValueError(f"is not one of {', '.join(choices)}")
        return value

    return parse


def _list(value: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in value.split(",") if part.strip())


def _setting(name: str, default: str, parse: Callable[[str], Any], text: str, *, secret: bool = False) -> Any:
    return field(metadata={"name": name, "default": default, "parse": parse, "help": text, "secret": secret})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything the operator may set. Made by `from_environment`; values are parsed and within their limits."""

    home: Path = _setting(
        "KRAVPORT_HOME",
        "./var",
        _path,
        "Folder of the embedded default: database, queue server, secret key, logs.",
    )
    database_url: str = _setting(
        "KRAVPORT_DATABASE_URL",
        "",
        _text,
        "`postgresql://user:password@host/name` for production; empty: SQLite in KRAVPORT_HOME.",
        secret=True,
    )
    redis_url: str = _setting(
        "KRAVPORT_REDIS_URL",
        "",
        _text,
        "`redis://host:6379/0` or `unix:///path` for production; empty: a server of our own in KRAVPORT_HOME.",
        secret=True,
    )
    secret_key: str = _setting(
        "KRAVPORT_SECRET_KEY",
        "",
        _text,
        "Encrypts secrets and national ids, signs sessions; at least 32 characters. Empty: made once and kept in "
        "KRAVPORT_HOME/secret-key; with KRAVPORT_DATABASE_URL it must be given.",
        secret=True,
    )
    profiles: Path | None = _setting(
        "KRAVPORT_PROFILES",
        "",
        _path_or_none,
        "Folder of layout profiles of your own, `AGENCY/NAME.toml`; empty: `profiles` in KRAVPORT_HOME.",
    )
    host: str = _setting("KRAVPORT_HOST", "127.0.0.1", _text, "Address the web process listens on.")
    port: int = _setting("KRAVPORT_PORT", "8018", _number(1, 65535), "Port the web process listens on.")
    trusted_hosts: tuple[str, ...] = _setting(
        "KRAVPORT_TRUSTED_HOSTS",
        "127.0.0.1,localhost",
        _list,
        "Host names by which the panel may be addressed, with commas; others get 400.",
    )
    https: bool = _setting(
        "KRAVPORT_HTTPS",
        "0",
        _flag,
        "1 behind a proxy that speaks HTTPS: cookies are then sent over HTTPS only, and one proxy's X-Forwarded-For "
        "and X-Forwarded-Proto are believed.",
    )
    metrics_token: str = _setting(
        "KRAVPORT_METRICS_TOKEN",
        "",
        _text,
        "What `GET /metrics` wants as `Authorization: Bearer`; empty: it answers requests from this machine only.",
        secret=True,
    )
    web_threads: int = _setting("KRAVPORT_WEB_THREADS", "8", _number(1, 256), "Requests answered at the same time.")
    max_upload_bytes: int = _setting(
        "KRAVPORT_MAX_UPLOAD_BYTES",
        str(1 << 30),
        _number(1 << 10, 1 << 40),
        "Largest request body: a payment file of a million transactions has about 800 MB.",
    )
    workers: int = _setting("KRAVPORT_WORKERS", "2", _number(1, 64), "Worker processes that `kravport run` starts.")
    worker_name: str = _setting(
        "KRAVPORT_WORKER_NAME",
        "worker-1",
        _text,
        "Name of this worker, the same after a restart and never shared by two: it finds what its last life held.",
    )
    poll_seconds: int = _setting(
        "KRAVPORT_POLL_SECONDS",
        "5",
        _number(1, 60),
        "How often a worker looks into the database although no bell rang.",
    )
    tick_seconds: int = _setting(
        "KRAVPORT_TICK_SECONDS", "1", _number(1, 60), "How often the scheduler looks what is due."
    )
    keep_tasks_days: int = _setting(
        "KRAVPORT_KEEP_TASKS_DAYS",
        "90",
        _number(7, _DAYS_MAX),
        "How long done promises of the outbox are kept, in days. What is not done is never swept.",
    )
    keep_arrivals_days: int = _setting(
        "KRAVPORT_KEEP_ARRIVALS_DAYS",
        "400",
        _number(30, _DAYS_MAX),
        "How long it is kept that the same bytes arrived again, in days. The files themselves stay.",
    )
    keep_answers_days: int = _setting(
        "KRAVPORT_KEEP_ANSWERS_DAYS",
        "30",
        _number(30, _DAYS_MAX),
        "How long the answer to a request with an Idempotency-Key is given again, in days.",
    )
    log_format: str = _setting(
        "KRAVPORT_LOG_FORMAT",
        "auto",
        _one_of("auto", "json", "pretty"),
        "`json`, `pretty`, or `auto`: pretty on a terminal, else JSON.",
    )
    log_level: str = _setting(
        "KRAVPORT_LOG_LEVEL",
        "info",
        _one_of("debug", "info", "warning", "error"),
        "Least important line that is logged.",
    )
    simulated_clock: str = _setting(
        "KRAVPORT_SIMULATED_CLOCK",
        "",
        _text,
        "File that holds a shift of the clock in seconds; for demo and tests, never for production.",
    )

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Settings:
        """Read all settings; raises ``ConfigurationError`` that names every one that is wrong."""
        values, wrong = {}, []
        for setting in fields(cls):
            about = setting.metadata
            given = environment.get(about["name"]) or about["default"]
            try:
                values[setting.name] = about["parse"](given)
            except ValueError as error:
                shown = "" if about["secret"] else f" ({given!r})"
                wrong.append(f"{about['name']} {error}{shown}")
        if wrong:
            raise ConfigurationError("; ".join(wrong))
        return cls(**values)

    @property
    def has_embedded_database(self) -> bool:
        """Whether SQLite in KRAVPORT_HOME is used."""
        return not self.database_url

    @property
    def effective_database_url(self) -> str:
        """The database that is used: the one given, else SQLite in KRAVPORT_HOME."""
        return self.database_url or f"sqlite:///{self.home / 'kravport.sqlite'}"

    @property
    def effective_profiles(self) -> Path:
        """The folder of the operator's own profiles; it need not exist."""
        return self.profiles or self.home / "profiles"

    def effective_secret_key(self) -> str:
        """Return the secret key; the embedded default makes one on first use, readable by its owner only.

        Raises:
            ConfigurationError: none was given for production, or it is too short.
        """
        if self.secret_key:
            key = self.secret_key
        elif self.has_embedded_database:
            key = _kept_key(self.home / "secret-key")
        else:
            raise ConfigurationError("KRAVPORT_SECRET_KEY must be set together with KRAVPORT_DATABASE_URL")
        if len(key) < SECRET_KEY_CHARACTERS:
            raise ConfigurationError(f"KRAVPORT_SECRET_KEY needs at least {SECRET_KEY_CHARACTERS} characters")
        return key

    def as_environment(self) -> dict[str, str]:
        """Return what was set as environment variables, for the processes that are started from this one."""
        return {name: value for setting in fields(self) for name, value in [_as_variable(self, setting)] if value}


def unknown_variables(environment: Mapping[str, str] = os.environ) -> list[str]:
    """Return variables that look like settings and are none: most likely misspelt. ``kravport doctor`` shows them."""
    known = {setting.metadata["name"] for setting in fields(Settings)} | _DEVELOPERS_OWN
    return sorted(
        name
        for name in environment
        if name.startswith("KRAVPORT_") and not name.startswith("KRAVPORT_TEST_") and name not in known
    )


def _as_variable(settings: Settings, setting: Field[Any]) -> tuple[str, str]:
    value = getattr(settings, setting.name)
    if isinstance(value, bool):
        value = int(value)
    if value is None:
        value = ""
    return setting.metadata["name"], ",".join(value) if isinstance(value, tuple) else str(value)


def _kept_key(file: Path) -> str:
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = file.with_name(f"{file.name}.{os.getpid()}")
    if not file.exists():
        # Written aside and linked: of several processes that start at once, one wins and all read the same key.
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as written:
            written.write(secrets.token_urlsafe(48))
            written.flush()
            os.fsync(descriptor)
        try:
            file.hardlink_to(fresh)
        except FileExistsError:
            pass  # another process was first; its key is read below
        finally:
            fresh.unlink()
    return file.read_text().strip()


def as_markdown() -> str:
    """Return ``docs/configuration.md``: every setting with default and help."""
    lines = [
        "# Configuration",
        "",
        "Kravport reads its settings from the environment. This page is printed from `gateway/config.py` by",
        "`kravport doctor --settings`; a test fails when the two differ.",
        "",
        "| setting | default | what it does |",
        "| --- | --- | --- |",
    ]
    for setting in fields(Settings):
        about = setting.metadata
        default = f"`{about['default']}`" if about["default"] else "-"
        secret = " *Secret: never logged.*" if about["secret"] else ""
        lines.append(f"| `{about['name']}` | {default} | {about['help']}{secret} |")
    return "\n".join(lines) + "\n"
