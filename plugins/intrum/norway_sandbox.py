"""The other end of kravport-no-flow-1: the shared sandbox agency behind a door that knows LS, RD, KV and SO files.

It shares nothing with the writer: which message a file holds and under which number is read from the file's own head, and a file
whose name says otherwise is left lying, as an intake would leave it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

from plugins.sls_sandbox import SandboxAgency

_NAME = re.compile(r"(LS|RD)_([A-Za-z0-9-]+)_[0-9]{8}_[0-9]{6}")
_HEAD = re.compile(rb'<Identification [^>]*message="(invoices|updates)"[^>]*fileSequence="([0-9]{3})"')
_MESSAGES = {"LS": "invoices", "RD": "updates"}
_HEAD_BYTES = 4096


class NorwegianDesk(SandboxAgency):
    """An agency of the Norwegian process. Money is told by the bank: `write_ocr_giro`, `write_camt054`."""

    def work(self, now: datetime) -> int:
        """Take the files of the process in, new cases before corrections; let the answers out under their names."""
        for path in sorted(self.upload.iterdir()):
            found = _NAME.fullmatch(path.name)
            if found and found[2] == self.facts.client_number:
                self._take_in(path, _MESSAGES[found[1]])
        done = super().work(now)
        self._let_out(now)
        return done

    def write_cases(self, now: datetime) -> str | None:
        """Write the case update, return its name, or None when nothing happened."""
        if super().write_cases(now) is None:
            return None
        return next((name for name in self._let_out(now) if name.startswith("SO_")), None)

    def _take_in(self, path: Path, message: str) -> None:
        with path.open("rb") as stream:
            head = _HEAD.search(stream.read(_HEAD_BYTES))
        if head and head[1].decode() == message:
            path.rename(self.upload / f"{message}.{head[2].decode()}")

    def _let_out(self, now: datetime) -> list[str]:
        """Rename what was written for the shared reader; two answers of one second get names a second apart."""
        named = []
        for path in sorted(self.download.iterdir()):
            prefix = "KV" if path.name.startswith("receipt-") else "SO" if path.name.startswith("cases.") else ""
            if prefix:
                fresh = next(name for name in self._names(prefix, now) if not (self.download / name).exists())
                path.rename(self.download / fresh)
                named.append(fresh)
        return named

    def _names(self, prefix: str, now: datetime) -> Iterator[str]:
        while True:
            yield f"{prefix}_{self.facts.client_number}_{now:%Y%m%d_%H%M%S}"
            now += timedelta(seconds=1)
