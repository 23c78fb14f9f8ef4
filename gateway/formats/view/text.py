"""An explained file as plain text, for a terminal of 80 columns or a mail."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from gateway.domain.reasons import sentence
from gateway.formats.view.model import Field, FindingTold, Record, View, amount_told, key_of, place_told, ruler
from gateway.formats.view.words import label, word

if TYPE_CHECKING:
    from gateway.formats.explain import Explanation

SHOWN = 50
"""Payments in the list; the JSON has them all."""

INDENT = "  "
_REFUSED = "refused"


def as_text(explained: Explanation, name: str = "") -> str:
    """Return verdict, totals, the first payments, every finding, and the file record by record where it was viewed."""
    language = explained.language
    lines = [*_summary(explained, name), *_payments(explained)]
    if explained.told_findings:
        lines += ["", f"{label('findings', language)}:"]
        lines += [INDENT + _finding(finding, language) for finding in explained.told_findings]
    if explained.view:
        lines += records_text(explained.view, language)
    return "\n".join(lines) + "\n"


def _summary(explained: Explanation, file_name: str) -> Iterator[str]:
    language = explained.language
    facts = [
        *([(label("file", language), file_name)] if file_name else []),
        (label("format", language), explained.format or label("not_recognised", language)),
        (label("verdict", language), word("verdict", language, explained.verdict)),
    ]
    if explained.verdict != _REFUSED:
        facts.append((label("transactions", language), str(explained.transactions)))
    for currency, total in sorted(explained.totals.items()):
        sums = (f"{amount_told(total[side], currency, language)} {label(way, language)}" for side, way in _WAYS)
        facts.append((f"{label('total', language)} {currency}", ", ".join(sums)))
    width = max(13, *(len(name) + 1 for name, _ in facts))
    for name, value in facts:
        yield f"{name + ':':<{width}} {value}"


_WAYS = (("credit", "in"), ("debit", "out"))


def _payments(explained: Explanation) -> list[str]:
    language = explained.language
    shown = list(islice(explained.payments(), SHOWN + 1))
    if not shown:
        return []
    names = (label(key, language).lower() for key in ("number", "date", "amount", "direction", "reference", "payer"))
    number, day, amount, direction, reference, payer = names
    lines = ["", _row(number, day, amount, "", direction, reference, payer, "")]
    lines += [_payment(payment, language) for payment in shown[:SHOWN]]
    if len(shown) > SHOWN:
        lines.append(label("first_of_many", language, count=SHOWN))
    return lines


def _payment(payment: Mapping[str, Any], language: str) -> str:
    note = ""
    if not payment["posts"]:
        why = sentence(payment["why_not"], language, payment).rstrip(".")
        note = f"  ({label('not_posted', language, why=why)} [{payment['why_not']}])"
    return _row(
        str(payment["position"]), payment["value_date"] or "-",
        amount_told(payment["amount_minor"], payment["currency"], language), payment["currency"],
        word("direction", language, payment["direction"]) + ("*" if payment["is_reversal"] else ""),
        payment["reference"] or "-", payment["payer"] or "-", note,
    )  # fmt: skip


def _row(*cells: str) -> str:
    position, day, amount, currency, direction, reference, payer, note = cells
    return (
        f"{position:>6}  {day:<10}  {amount:>14} {currency:<3}  {direction:<9}  {reference:<25}  {payer}{note}".rstrip()
    )


def _finding(finding: FindingTold, language: str) -> str:
    place = f" ({place_told(finding.place, language)})" if finding.place else ""
    value = f" {label('found', language, value=repr(finding.value))}" if finding.value else ""
    return f"{word('severity', language, finding.severity)}: {finding.text}{place}{value} [{finding.code}]"


# --- record by record ------------------------------------------------------------------------------------------------


def records_text(view: View, language: str) -> Iterator[str]:
    """Yield the lines of a file shown record by record."""
    yield from ("", f"{label('records', language)}:")
    if view.width:
        yield from ("", INDENT + ruler(view.width))
    for gap, record in view.gaps():
        if gap:
            yield from ("", INDENT + label("records_left_out", language, count=gap))
        yield from _record(record, language, is_ruled=bool(view.width))
    if view.left_out and view.total is not None:
        counts = {"shown": len(view.records), "total": view.total, "left_out": view.left_out}
        yield from ("", label("of_file", language, **counts))


def _record(record: Record, language: str, *, is_ruled: bool) -> Iterator[str]:
    margin = INDENT * (1 if is_ruled else record.level + 1)
    head = f"{record.code} {record.name}".strip()
    if is_ruled:
        yield from ("", f"{record.told_place(language)}: {head}", margin + record.raw)
        if record.fields:
            yield margin + record.keys()
            yield from _columns(record.fields, language)
    else:
        yield f"{margin}{head}  ({record.told_place(language)})"
        yield from _tree(record, margin + INDENT, language)
    if record.left_out:
        yield margin + label("fields_left_out", language, count=record.left_out)
    for finding in record.findings:
        yield f"{margin}!! {_finding(finding, language)}"


def _columns(fields: Sequence[Field], language: str) -> Iterator[str]:
    width = max(len(field.name) for field in fields)
    for number, field in enumerate(fields):
        yield f"{INDENT * 2}{key_of(number)}  {field.tag:<6} {field.name:<{width}}  {_value(field, language)}".rstrip()


def _tree(record: Record, margin: str, language: str) -> Iterable[str]:
    if record.raw:
        told = (f"{field.name or field.tag}: {_value(field, language)}" for field in record.fields)
        return [margin + record.raw, *([margin + "; ".join(told)] if record.fields else [])]
    return [
        f"{margin}{INDENT * field.depth}{field.tag} {field.name}".rstrip()
        + (f": {_value(field, language)}" if field.value else "")
        for field in record.fields
    ]


def _value(field: Field, language: str) -> str:
    told = label("must_be", language) if field.is_wrong else field.told
    mark = "!! " if field.is_wrong else ""
    return f"{field.value}  ({mark}{told})" if told and told != field.value else field.value
