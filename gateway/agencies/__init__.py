"""Agency plugins: found, judged, and called one at a time, with types and never without end (architecture section 4, ADR 0027).

pluggy broadcasts; money is addressed. This package is the only place that touches a `PluginManager`, and turns "nobody
answered" and "somebody else answered" into errors.
"""

from gateway.agencies.agency import HOOK_FOR, Agency, Fault
from gateway.agencies.calling import Patience
from gateway.agencies.crossing import add_totals, readable_text
from gateway.agencies.loading import Agencies

__all__ = ["HOOK_FOR", "Agencies", "Agency", "Fault", "Patience", "add_totals", "readable_text"]
