"""What the host must know of a profile: the entry of a plugin's manifest."""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce

from gateway.domain.exchange import LayoutProfile, LinkKind
from gateway.domain.instructions import Action
from gateway.profiles.declaration import OUT, FileLayout, Profile
from gateway.profiles.exporting import carries, instructions, tells_balance
from gateway.profiles.sources import SETTING


def layout_profile(profile: Profile) -> LayoutProfile:
    """Return *profile* as a layout of an agency. It is never confirmed by itself: the host asks who confirmed these bytes."""
    out = [layout for layout in profile.files.values() if layout.direction == OUT]
    none: tuple[frozenset[LinkKind], frozenset[Action]] = (frozenset(), frozenset())
    items, said = reduce(lambda found, layout: (found[0] | carries(layout), found[1] | instructions(layout)), out, none)
    return LayoutProfile(
        profile.name,
        profile.title,
        profile.source,
        series={layout.key: layout.series for layout in out},
        unlink_has_message=LinkKind.UNLINK in items,
        receipt_within_hours=profile.receipt_hours or None,
        carries=items,
        instructions=said,
        sha256=profile.sha256,
        markets=frozenset(profile.markets),
        currencies=frozenset(profile.currencies),
        settings=_settings(out),
        nets_at_handover=any(tells_balance(layout) for layout in out),
    )


def _settings(out: Iterable[FileLayout]) -> frozenset[str]:
    """Return the settings without which a field of *out* would have nothing to write."""
    fields = (one for layout in out for part in layout.parts.values() for one in part.values)
    return frozenset(
        one.source.removeprefix(SETTING)
        for one in fields
        if one.source.startswith(SETTING) and not one.rule.is_optional
    )
