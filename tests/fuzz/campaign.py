"""Runs damaged files through a target and gathers what breaks, each finding once and as small as it can be made."""

from __future__ import annotations

import re
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from random import Random

from tests.formats.reading import Read
from tests.fuzz.judge import Broken, check_flat
from tests.fuzz.mutation import Mutator
from tests.fuzz.targets import Target
from tests.fuzz.watch import TooSlow

CRASHERS = Path(__file__).parents[1] / "corpus" / "crashers"
"""Every input that ever broke something, minimised, in a folder for each target."""

FLAT_EVERY = 300
"""Every so many inputs one is grown to megabytes, to see time and memory."""

FRESH_SHARE = 0.4
KEPT_MAX = 400
_FIGURES = re.compile(r"[0-9]+")


@dataclass
class Report:
    """What a run did. *failures* has the first input for each finding, by its name."""

    executions: int = 0
    verdicts: Counter[str] = field(default_factory=Counter)
    failures: dict[str, bytes] = field(default_factory=dict)
    traces: dict[str, str] = field(default_factory=dict)
    kinds: int = 0

    def __str__(self) -> str:
        verdicts = ", ".join(f"{count} {name}" for name, count in sorted(self.verdicts.items()))
        return (
            f"{self.executions} executions ({verdicts}), {self.kinds} kinds of outcome, {len(self.failures)} findings"
        )


def fault_of(run: Callable[[bytes], object], data: bytes) -> tuple[str, str] | None:
    """Return the name of the finding that *run* raises over *data* and its trace, None where it raises none."""
    try:
        run(data)
    except Broken as error:
        return error.rule, traceback.format_exc()
    except (Exception, TooSlow) as error:  # noqa: BLE001 - every exception is what is looked for
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "/gateway/" in frame.filename]
        where = f" in {Path(frames[-1].filename).name}, {frames[-1].name}" if frames else ""
        return type(error).__name__ + where, traceback.format_exc()
    return None


def fuzz(target: Target, seed: int, is_over: Callable[[int], bool]) -> Report:
    """Damage and judge files until *is_over* (executions so far) says so.

    What comes out otherwise than anything before is kept and damaged further: with no sight of the code, an outcome that
    is new is the best sign that a new part of it was reached.
    """
    rng = Random(seed)
    mutator, report, kept = Mutator(rng, target.unit, target.tokens), Report(), target.seeds()
    seen: set[object] = set()
    while not is_over(report.executions):
        base = target.make(rng) if rng.random() < FRESH_SHARE else rng.choice(kept)
        data = mutator.damaged(base, rng.choice(kept)) if rng.random() < 0.98 else base
        got = _run(report, target.judge, data)
        if isinstance(got, Read):
            report.verdicts[got.verdict] += 1
            kind = outcome_kind(got)
            if kind not in seen and len(kept) < KEPT_MAX:
                kept.append(data)
            seen.add(kind)
        if report.executions % FLAT_EVERY == 0:
            _run(report, lambda grown: check_flat(grown, target.way), mutator.grown(data))
    report.kinds = len(seen)
    return report


def _run(report: Report, run: Callable[[bytes], Read | None], data: bytes) -> Read | None:
    report.executions += 1
    got: list[Read | None] = []
    fault = fault_of(lambda given: got.append(run(given)), data)
    if fault and fault[0] not in report.failures:
        report.failures[fault[0]], report.traces[fault[0]] = data, fault[1]
    return got[0] if got else None


def outcome_kind(got: Read) -> object:
    """Return what tells one outcome from another, without its figures."""
    findings = {(finding.code, _FIGURES.sub("", finding.place)) for finding in got.findings}
    payments = {
        (p.status, p.posts, p.why_not, p.is_reversal, p.reference_kind, p.deduction, bool(p.references))
        for p in got.payments
    }
    return got.verdict, frozenset(findings), frozenset(payments)


# --- keeping what broke ----------------------------------------------------------------------------------------------


def minimised(run: Callable[[bytes], object], data: bytes, name: str, attempts: int = 3000) -> bytes:
    """Return the smallest part of *data* found that still breaks *run* by the same *name*: ever smaller cuts, then blanks."""
    size = max(1, len(data) // 2)
    while size and attempts > 0:
        place, before = 0, len(data)
        while place < len(data) and attempts > 0:
            shorter = data[:place] + data[place + size :]
            attempts -= 1
            if (fault := fault_of(run, shorter)) and fault[0] == name:
                data = shorter
            else:
                place += size
        size = size // 2 if len(data) == before or size > 1 else 1
    return data


def keep(folder: Path, name: str, data: bytes) -> Path:
    """Write *data*, which broke by *name*, into *folder*; return where."""
    folder.mkdir(parents=True, exist_ok=True)
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:60]
    path = folder / f"{slug}-{sha256(data).hexdigest()[:8]}.bin"
    path.write_bytes(data)
    return path
