"""A profile as a document: what to hold against the agency's paper, and what the pages of formats print."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.profiles.declaration import DELIMITED, FIXED, OUT, XML, Field, FileLayout, Part, Profile, Term
from gateway.profiles.sources import EACH

_KINDS = {FIXED: "fixed columns", DELIMITED: "fields between separators", XML: "XML"}
_NEWLINES = {"\r\n": "CRLF", "\n": "LF", "": "none"}


def document(profile: Profile) -> str:
    """Return the profile as Markdown: its source, its limits, what is not known, and a table for each record."""
    return "\n".join(_lines(profile)).rstrip() + "\n"


def _lines(profile: Profile) -> Iterator[str]:
    yield from (f"# {profile.title}", "", f"Profile `{profile.name}`. Source: {profile.source}", "")
    if profile.markets:
        yield from (f"Countries: {', '.join(profile.markets)}.", "")
    if profile.currencies:
        yield from (f"Currencies: {', '.join(profile.currencies)}.", "")
    if profile.is_sandbox_only:
        yield from ("It is nobody's layout, can never be confirmed, and goes to sandboxes only.", "")
    if profile.limits:
        yield from ("What it cannot do:", "", *(f"* {limit}" for limit in profile.limits), "")
    if profile.questions:
        yield from ("To be asked of the agency, before anybody may confirm it:", "")
        yield from (*(f"* `{key}`: {question}" for key, question in profile.questions), "")
    for layout in profile.files.values():
        yield from _file(layout)


def _file(layout: FileLayout) -> Iterator[str]:
    way = "sent by us" if layout.direction == OUT else "comes back"
    facts = [f"{_KINDS[layout.kind]}, {layout.encoding}", f"line end {_NEWLINES[layout.newline]}"]
    if layout.direction == OUT:
        facts.append(f"named `{layout.filename.pattern}`, numbered from {layout.series.first} to {layout.series.last}")
    if layout.separator:
        facts.append(f"separator `{layout.separator}`" + (f", quotes `{layout.quote}`" if layout.quote else ""))
    if layout.namespace:
        facts.append(f"namespace `{layout.namespace}`")
    if layout.schema:
        facts.append(f"schema `{layout.schema}`")
    yield from (f"## `{layout.key}`: {layout.title} ({way})", "", f"{'; '.join(facts)}.", "")
    if layout.source:
        yield from (f"Source: {layout.source}", "")
    for part in layout.parts.values():
        yield from _part(layout, part)


def _part(layout: FileLayout, part: Part) -> Iterator[str]:
    how = EACH[part.each] if layout.direction == OUT else "once" if part.is_single else "any number of times"
    if part.kinds:
        how += f" ({', '.join(sorted(part.kinds))})"
    facts = [how, *([f"{part.length} characters"] if part.length else [])]
    facts += (
        [f"element `{part.name}`" + (f" inside `{part.inside}`" if part.inside else "")] if layout.kind == XML else []
    )
    facts += ["may be left out"] if part.is_optional else []
    yield from (f"### {part.title}", "", f"`{part.key}`: {', '.join(facts)}.", "")
    if part.source:
        yield from (f"Source: {part.source}", "")
    fields = (*part.fields, *([part.text] if part.text else []))
    if fields:
        place = {FIXED: "columns", DELIMITED: "field", XML: "attribute"}[layout.kind]
        yield from (
            _row(place, "name", "what belongs there", "value", "content"),
            _row("---", "---", "---", "---", "---"),
        )
        yield from (_row(*cells(layout, part, number, one)) for number, one in enumerate(fields, 1))
        yield ""


def cells(layout: FileLayout, part: Part, number: int, one: Field) -> tuple[str, str, str, str, str]:
    """Return place, name, demand, origin of the value and content of a field, as words."""
    if layout.kind == FIXED:
        place = str(one.start) if one.start == one.stop else f"{one.start}-{one.stop}"
    else:
        place = "text" if one is part.text else str(number)
    if one.const is not None:
        demand = f"`{one.const}`"
    elif one.rule.type == "filler":
        demand = f"reserved, {'zeros' if one.fill == '0' else 'blanks'}"
    else:
        demand = one.rule.demand.removeprefix("must be ")
    told = "; ".join(text for text in (one.told, f"ask: {one.ask}" if one.ask else "") if text)
    return place, f"`{one.name}`", demand, _value(one), told


def _value(one: Field) -> str:
    if one.terms:
        what = "sum" if any(term.amount for term in one.terms) else "count"
        return f"{what} of {', '.join(map(_term, one.terms))}"
    if one.to:
        return f"to `{one.to}`"
    return f"`{one.source}`" if one.source else ""


def _term(term: Term) -> str:
    where = f"[{term.field}={term.value}]" if term.field else ""
    amount = f".{term.amount}" if term.amount else ""
    return f"{'minus ' if term.is_minus else ''}`{term.part}{where}{amount}`"


def _row(*texts: str) -> str:
    return "| " + " | ".join(text.replace("|", "\\|") for text in texts) + " |"
