"""One JSON object ↔ one ledger record, strictly, at the speed of a bulk load.

The shape stands once, in ``schemas/ledger-record.schema.json``; the checks are compiled from it on first use and the
OpenAPI document quotes it. A general validator would take a hundred times as long per record. Amounts come as people
write them and leave debit positive: the schema's ``x-sign`` says which way each type counts (L1).
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Mapping
from datetime import date
from functools import cache, lru_cache
from importlib import resources
from typing import Any, NamedTuple

from gateway.domain.exchange import CustomerKind
from gateway.domain.ledger import CustomerRecord, EntryKind, EntryRecord, LedgerRecord, LinkRecord, OrderStatus
from gateway.domain.money import parse_minor
from gateway.domain.reasons import said
from gateway.errors import DataError, DecodeError


class Fault(NamedTuple):
    """One thing wrong with one record: the field, why (a `gateway.domain.reasons.Said`), and what stood there."""

    field: str
    reason: str
    value: str


class RecordRejected(DataError):
    """A record cannot be taken; *faults* lists everything wrong with it."""

    def __init__(self, faults: list[Fault]) -> None:
        self.faults = faults
        super().__init__("; ".join(f"{fault.field} {fault.reason}: {fault.value!r}" for fault in faults))


def loads_strict(text: str | bytes) -> Any:
    """Return the JSON value in *text*; what JSON leaves open is refused instead of chosen.

    A number with a decimal point stays recognisable as such and fits no field: it would be a float, and money never is.

    Raises:
        RecordRejected: not JSON, not UTF-8, a key twice in one object, nested beyond reason, or a text with NUL or half a
            character in it, which no database takes.
    """
    try:
        text = text.decode() if isinstance(text, bytes) else text
        value = json.loads(text, object_pairs_hook=_object, parse_float=_Fraction, parse_constant=_Fraction)
    except UnicodeDecodeError as error:
        raise RecordRejected([Fault("", said("wrong.not_utf8"), f"byte {error.start + 1}")]) from None
    except json.JSONDecodeError as error:
        raise RecordRejected([Fault("", said("wrong.not_json"), f"character {error.pos + 1}")]) from None
    except ValueError:  # an integer of more than 4300 digits
        raise RecordRejected([Fault("", said("wrong.number_without_end"), "")]) from None
    except RecursionError:
        raise RecordRejected([Fault("", said("wrong.nested_too_deep"), "")]) from None
    if "\\u" in text and _SUSPECT.search(text):
        _refuse_unstorable(value)
    return value


def decode_record(value: object, record_type: str = "", external_id: str = "") -> LedgerRecord:
    """Return *value*, a JSON object from `loads_strict`, as a ledger record.

    Args:
        value: the object.
        record_type: what it must be, where the address says so; a ``type`` inside must then be the same.
        external_id: likewise for its id.

    Raises:
        RecordRejected: listing every fault.
    """
    if type(value) is not dict:
        raise RecordRejected([Fault("", said("wrong.not_an_object"), _shown(value))])
    for name, known in (("type", record_type), ("external_id", external_id)):
        if known and value.setdefault(name, known) != known:
            raise RecordRejected([Fault(name, said("wrong.other_than", expected=known), _shown(value[name]))])
    kind = value.get("type")
    reader = _readers().get(kind) if type(kind) is str else None
    if reader is None:
        choices = said("wrong.not_one_of", choices=", ".join(_readers()))
        reason = choices if "type" in value else said("wrong.missing")
        raise RecordRejected([Fault("type", reason, _shown(kind))])
    return reader.read(value)


@cache
def schema() -> Mapping[str, Any]:
    """Return the JSON Schema of a ledger record (draft 2020-12). Treat it as read-only."""
    text = resources.files(__package__).joinpath("schemas/ledger-record.schema.json").read_text(encoding="utf-8")
    made: dict[str, Any] = json.loads(text)
    return made


_SUSPECT = re.compile(r"\\u(?:0000|[dD][89a-fA-F])")
"""JSON in which a text may be unstorable (as bytes it can hold such a sign in no other way) and is walked through."""
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_PLACE_MAX = 200


def _refuse_unstorable(value: object) -> None:
    """Look at every text and name in *value*; the field is named by its path."""
    waiting: list[tuple[str, Any]] = [("", {"": value})]
    while waiting:
        place, outer = waiting.pop()
        for name, inner in outer.items() if isinstance(outer, dict) else enumerate(outer):
            if any(isinstance(one, str) and _UNSTORABLE.search(one) for one in (name, inner)):
                path = _shown(f"{place}.{name}".lstrip("."))
                raise RecordRejected([Fault(path, said("wrong.control_character"), "")])  # it may be a national id
            if isinstance(inner, dict | list):
                waiting.append((f"{place}.{name}"[:_PLACE_MAX], inner))


class _Fraction(str):
    """A JSON number with a decimal point or exponent, as written."""

    __slots__ = ()


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise RecordRejected([Fault(_shown(twice), said("wrong.stands_twice"), "")])
    return made


def _shown(value: object) -> str:
    """Return *value* for an error message: short, printable, never a repr of ours."""
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in text[:200])


# --- checks compiled from the schema ---------------------------------------------------------------------------------

Check = Callable[[Any], Any]
"""Takes a raw value and returns what the record holds; raises ``ValueError`` with the reason, a `Said`."""


def _text_check(rule: Mapping[str, Any]) -> Check:
    least, most = rule.get("minLength", 0), rule.get("maxLength", 1000)
    allowed = re.compile(rule["pattern"]).fullmatch if "pattern" in rule else None

    def check(value: Any) -> str:
        if type(value) is not str:
            raise ValueError(said("wrong.not_text"))
        if not least <= len(value) <= most:
            raise ValueError(said("wrong.text_length", least=least, most=most))
        if value.isascii() and value.isprintable():
            return value
        if allowed is not None and not allowed(value):
            raise ValueError(said("wrong.control_character"))
        return unicodedata.normalize("NFC", value)

    return check


_MEANINGS = {
    "Currency": "wrong.currency",
    "Country": "wrong.country",
    "Language": "wrong.language",
    "Amount": "wrong.amount",
    "SignedAmount": "wrong.signed_amount",
}
"""What a shape of the schema demands, in words; one that is not named here shows its own description."""


def _pattern_check(rule: Mapping[str, Any], shape: str) -> Check:
    fits, meaning = re.compile(rule["pattern"]).fullmatch, rule.get("description", rule["pattern"])
    wrong = said(_MEANINGS[shape]) if shape in _MEANINGS else said("wrong.pattern", meaning=meaning)

    def check(value: Any) -> str:
        if type(value) is not str or not fits(value):
            raise ValueError(wrong)
        return str(value)

    return check


def _day_check(_rule: Mapping[str, Any]) -> Check:
    def check(value: Any) -> date:
        if type(value) is not str:
            raise ValueError(said("wrong.not_a_day"))
        return _day(value)

    return check


@lru_cache(maxsize=4096)
def _day(text: str) -> date:
    if len(text) != 10 or text[4] != "-" or text[7] != "-" or not text.isascii():
        raise ValueError(said("wrong.not_a_day"))
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ValueError(said("wrong.no_such_day")) from None


def _whole_check(rule: Mapping[str, Any]) -> Check:
    least, most = rule["minimum"], rule["maximum"]

    def check(value: Any) -> int:
        if type(value) is not int:
            raise ValueError(said("wrong.not_whole"))
        if not least <= value <= most:
            raise ValueError(said("wrong.out_of_range", least=least, most=most))
        return value

    return check


def _choice_check(rule: Mapping[str, Any]) -> Check:
    choices = frozenset(rule["enum"])

    def check(value: Any) -> str:
        if type(value) is not str or value not in choices:
            raise ValueError(said("wrong.not_one_of", choices=", ".join(rule["enum"])))
        return value

    return check


def _flag_check(_rule: Mapping[str, Any]) -> Check:
    def check(value: Any) -> bool:
        if type(value) is not bool:
            raise ValueError(said("wrong.not_a_flag"))
        return value

    return check


def _list_check(rule: Mapping[str, Any]) -> Check:
    item, most, unique = _compiled(rule["items"]), rule["maxItems"], rule.get("uniqueItems", False)

    def check(value: Any) -> tuple[str, ...]:
        if type(value) is not list or len(value) > most:
            raise ValueError(said("wrong.list_length", most=most))
        checked = tuple(item(one) for one in value)
        if unique and len(set(checked)) != len(checked):
            raise ValueError(said("wrong.same_twice"))
        return checked

    return check


def _compiled(rule: Mapping[str, Any], shape: str = "") -> Check:
    """Return the check that a property's schema describes; *shape* is its name there, if it has one. A keyword that is not known here stops the start."""
    if "$ref" in rule:
        shape = rule["$ref"].rpartition("/")[2]
        return _compiled(schema()["$defs"][shape], shape)
    if "enum" in rule:
        return _choice_check(rule)
    if rule.get("format") == "date":
        return _day_check(rule)
    if rule["type"] == "string" and "maxLength" not in rule:
        return _pattern_check(rule, shape)
    makers = {"string": _text_check, "integer": _whole_check, "boolean": _flag_check, "array": _list_check}
    return makers[rule["type"]](rule)


# --- readers, one per type -------------------------------------------------------------------------------------------


class _Reader:
    """Reads the objects of one type."""

    def __init__(self, shape: Mapping[str, Any]) -> None:
        properties = {name: rule for name, rule in shape["properties"].items() if name != "type"}
        self.checks = {name: _compiled(rule) for name, rule in properties.items()}
        self.required = ("external_id", *shape["required"])
        self.entry = EntryKind(shape["x-entry"]) if "x-entry" in shape else None
        self.sign: int = shape.get("x-sign", 1)

    def read(self, value: dict[str, Any]) -> LedgerRecord:
        faults: list[Fault] = []
        checks, values = self.checks, {}
        for name, raw in value.items():
            check = checks.get(name)
            if check is None:
                if name != "type":
                    faults.append(Fault(_shown(name), said("wrong.unknown_field"), _shown(raw)))
                continue
            try:
                values[name] = check(raw)
            except ValueError as error:
                faults.append(_fault(name, error, raw))
        faults += [Fault(name, said("wrong.missing"), "") for name in self.required if name not in value]
        if self.entry is not None:
            self._count(value, values, faults)
        if faults:
            raise RecordRejected(faults)
        return self._made(values)

    def _count(self, value: Mapping[str, Any], values: dict[str, Any], faults: list[Fault]) -> None:
        """Turn the amount into signed minor units."""
        if ("amount" in value) == ("amount_minor" in value):
            faults.append(Fault("amount", said("wrong.amount_once"), ""))
        elif "amount" in values and "currency" in values:
            try:
                values["amount_minor"] = parse_minor(values.pop("amount"), values["currency"])
            except DecodeError as error:
                faults.append(Fault("amount", error.reason, error.value))

    def _made(self, values: dict[str, Any]) -> LedgerRecord:
        if self.entry is None:
            if "entries" in values:
                return LinkRecord(**values)
            kind = values.pop("kind", None)
            return CustomerRecord(kind=CustomerKind(kind) if kind else None, **values)
        if "order_status" in values:
            values["order_status"] = _STATUSES[values["order_status"]]
        amount_minor = values.pop("amount_minor") * self.sign
        return EntryRecord(
            kind=self.entry, customer_external_id=values.pop("customer"), amount_minor=amount_minor, **values
        )


_STATUSES = {status.value: status for status in OrderStatus}


def _fault(name: str, error: ValueError, raw: object) -> Fault:
    reason = said("wrong.fraction") if isinstance(raw, _Fraction) else error.args[0]
    return Fault(name, reason, "***" if name == "national_id" else _shown(raw))


@cache
def _readers() -> Mapping[str, _Reader]:
    shapes = [shape for shape in schema()["$defs"].values() if "properties" in shape]
    return {shape["properties"]["type"]["const"]: _Reader(shape) for shape in shapes}
