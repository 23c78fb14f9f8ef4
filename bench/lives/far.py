"""The other end of a life: an agency with its sandbox, and the bad line to it."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.world import Clock

if TYPE_CHECKING:
    from bench.lives.counterparts import Counterpart
    from tests.rules.world import World

DEALINGS = frozenset({"partial_rejection", "partial_settlement"})
"""What an agency does and no line: it refuses some of what it is handed; it has and tells a part of the money only."""


@dataclass(frozen=True, slots=True)
class Stage:
    """What a life gives its other end: an empty *folder*, the *clock* of both, the *dice* and the *ways* of its trouble."""

    folder: Path
    clock: Clock
    dice: random.Random
    ways: frozenset[str]


class Far(ABC):
    """One agency behind one agreement.

    Args:
        terms: who it is.
        stage: where it lives.
    """

    needs_telephone = False
    """Whether a doubt about a delivery can be settled by nobody but a person who asks the agency."""

    def __init__(self, terms: Counterpart, stage: Stage) -> None:
        self.terms, self.stage, self.ways = terms, stage, stage.ways
        self.refused = set[str]()
        self.own = Counter[str]()
        """Trouble of the agency's own making, beside that of the line."""

    # --- the life's beginning and end --------------------------------------------------------------------------------

    @abstractmethod
    def open(self) -> AbstractContextManager[None]:
        """Let the agency be there, and its line be bad, while the context lasts."""

    @abstractmethod
    def agreement(self) -> Mapping[str, Any]:
        """Return what the agreement says of the way to it (``transport`` and whatever belongs to it)."""

    def begin(self, world: World) -> None:
        """Exchange keys and addresses with the creditor while the agreement is a draft."""
        self.world = world

    def calm(self) -> None:
        """End all trouble; what is on its way arrives."""
        self.ways = frozenset()

    @abstractmethod
    def happened(self) -> Counter[str]:
        """Return how often each way of trouble struck."""

    # --- its day -----------------------------------------------------------------------------------------------------

    @abstractmethod
    def work(self, now: datetime) -> None:
        """Let the agency and the post do what is due."""

    @abstractmethod
    def waits(self) -> int:
        """Return how much is on its way."""

    @abstractmethod
    def balances(self) -> Mapping[str, int]:
        """Return what is owed of each claim in minor units, by the name the agency knows it by."""

    @abstractmethod
    def pay(self, claim: str, minor: int, on: date) -> None:
        """Let a debtor pay the agency."""

    @abstractmethod
    def tell(self, now: datetime) -> None:
        """Let the creditor hear of what was paid and not told yet."""

    def refuse(self, customer: str, claim: str, invoice: str) -> None:
        """Refuse all claims of a customer from now on; an agency that refuses single claims goes by *claim* or *invoice*."""
        del claim, invoice
        self.refused.add(customer)

    def accept(self, customer: str, claim: str, invoice: str) -> None:
        """Take back a `refuse`."""
        del claim, invoice
        self.refused.discard(customer)

    # --- looking -----------------------------------------------------------------------------------------------------

    def has(self, what: str) -> bool:
        """Say on the telephone whether it arrived: the file of that SHA-256, or the call of that key."""
        return bool(what)

    def remind(self, envelope: Any, now: datetime) -> bool:
        """Be asked for a receipt that never came; whether there is one to be sent again."""
        del envelope, now
        return False

    @abstractmethod
    def doubles(self) -> Iterable[str]:
        """Yield what reached the agency a second time, in words."""

    def faults(self) -> Iterable[str]:
        """Yield what else is wrong at the agency's end when all is over."""
        return ()

    def strikes(self, way: str, percent: int) -> bool:
        """Whether the agency misbehaves in this *way* of its own now."""
        struck = way in self.ways and self.stage.dice.randrange(100) < percent
        self.own[way] += struck
        return struck
