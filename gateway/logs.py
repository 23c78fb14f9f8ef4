"""Logging: structlog, JSON or pretty, with national ids and secrets masked before anything is written (P22)."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

from gateway.domain.identifiers import is_national_id

_MASK = "***"
_SECRET_NAMES = re.compile(
    r"password|secret|token|api_?key|authorization|cookie|private_key|national_id", re.IGNORECASE
)
_NATIONAL_ID = re.compile(
    r"(?<![0-9A-Za-z])"
    r"(?:\d{6}[-+ ]?\d{5}|\d{6}[-+]\d{4}|(?:19|20)\d{6}[-+]?\d{4}|\d{6}[-+A-FU-Y]\d{3}[0-9A-Y]|(?P<bare>\d{10}))"
    r"(?![0-9A-Za-z])"
)
"""Norwegian 6+5 digits, Swedish 6+4 with its sign or 8+4 digits, Finnish 6+3 with a sign or letter between and one behind;
ten bare digits may be an amount and are looked at."""
_SECRET_TEXT = re.compile(r"(kp_[A-Za-z0-9]+_)[A-Za-z0-9_-]+|(://[^:/@\s]*:)[^@\s]+(?=@)|(/webhooks/[^/\s]+/)[^/\s?]+")
"""API keys, passwords in addresses, webhook tokens in paths."""


def configure(log_format: str, level: str) -> None:
    """Send every log line of ours and of our libraries to stderr in one shape; *log_format* ``auto|json|pretty``."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        mask,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, mask, _renderer(log_format)],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for noisy in ("rq", "rq.worker", "asyncssh", "waitress.queue", "alembic"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def mask(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Take national ids and secrets out of one log line; a structlog processor."""
    return {name: _MASK if _SECRET_NAMES.search(name) else _masked(value) for name, value in event.items()}


def masked_text(text: str) -> str:
    """Return *text* without national ids and secrets."""
    hidden = _SECRET_TEXT.sub(lambda found: f"{found[1] or found[2] or found[3]}{_MASK}", text)
    return _NATIONAL_ID.sub(_unless_amount, hidden)


def _unless_amount(found: re.Match[str]) -> str:
    return found[0] if found["bare"] and not is_national_id("SE", found["bare"]) else _MASK


def _masked(value: Any) -> Any:
    if isinstance(value, str):
        return masked_text(value)
    if isinstance(value, dict):
        return {name: _MASK if _SECRET_NAMES.search(str(name)) else _masked(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_masked(part) for part in value]
    return value if isinstance(value, bool | int | None) else masked_text(str(value))


def _renderer(log_format: str) -> Any:
    is_pretty = log_format == "pretty" or (log_format == "auto" and sys.stderr.isatty())
    return structlog.dev.ConsoleRenderer() if is_pretty else structlog.processors.JSONRenderer(ensure_ascii=False)
