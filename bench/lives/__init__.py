"""Lives: a creditor and one of its agencies through some evenings of trouble, until both ledgers agree.

`counterparts` names who there is to live with, `life` is what the creditor and its people do, and one module each plays the
other end behind a mailbox (`mailboxes`), behind an API (`apis`) and on our own doors (`pulling`). ``python -m bench.misbehaviour``
lives thousands of evenings; the suite lives a few.
"""

from bench.lives.counterparts import COUNTERPARTS, Counterpart
from bench.lives.life import EVENINGS_OF_A_LIFE, Life, Outcome, live

__all__ = ["COUNTERPARTS", "EVENINGS_OF_A_LIFE", "Counterpart", "Life", "Outcome", "live"]
