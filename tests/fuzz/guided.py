"""Fuzzes one target under atheris, which sees what parts of the readers an input reaches. A process of its own.

Started by `tests.fuzz.__main__`: ``python -m tests.fuzz.guided TARGET FOLDER [libFuzzer options]``. A finding is written to
``FOLDER/found`` at once and the run goes on, for libFuzzer ends its process without coming back.
"""

from __future__ import annotations

import sys
from pathlib import Path
from random import Random

import atheris

with atheris.instrument_imports(include=["gateway.formats", "gateway.domain"]):
    from tests.fuzz.campaign import FLAT_EVERY, fault_of, keep
    from tests.fuzz.judge import check_flat
    from tests.fuzz.targets import TARGETS

from tests.fuzz.mutation import Mutator
from tests.fuzz.watch import bound_process

OURS = 0.6
"""Share of inputs damaged by our own mutator, which knows records and elements; libFuzzer knows bytes and comparisons."""

WATCHED_SECONDS = 60
"""Processor time for a large input while atheris looks on, which makes the readers several times slower."""


def main(name: str, folder: Path, options: list[str]) -> None:
    """Fuzz until libFuzzer's options say stop; does not return."""
    target, seeds, seen = TARGETS[name], TARGETS[name].seeds(), set[str]()
    executions = 0

    def note(fault: tuple[str, str] | None, data: bytes) -> None:
        if fault and fault[0] not in seen:
            seen.add(fault[0])
            path = keep(folder / "found", fault[0], data)
            path.with_suffix(".txt").write_text("\n".join(fault), encoding="utf-8")

    def one_input(data: bytes) -> None:
        nonlocal executions
        executions += 1
        note(fault_of(target.judge, data), data)
        if executions % (10 * FLAT_EVERY) == 0:
            grown = Mutator(Random(executions), target.unit, target.tokens).grown(data)
            note(fault_of(lambda given: check_flat(given, target.way, WATCHED_SECONDS), grown), grown)

    def mutate(data: bytes, max_size: int, seed: int) -> bytes:
        rng = Random(seed)
        if rng.random() > OURS:
            mutated: bytes = atheris.Mutate(data, max_size)
            return mutated
        return Mutator(rng, target.unit, target.tokens).damaged(data, rng.choice(seeds))[:max_size]

    bound_process()
    atheris.Setup([sys.argv[0], *options], one_input, custom_mutator=mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3:])
