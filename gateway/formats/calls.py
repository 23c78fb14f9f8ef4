"""What an agency with an API is sent and answers, as files: one call a line, one answer a line (ADR 0029).

Kravport's own form, never an agency's: the bodies in it are. A line is JSON in one spelling only, so that a file read back
is compared byte for byte. Amounts are decimals written from minor units; a binary float is refused.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from decimal import Decimal
from functools import lru_cache
from json.encoder import encode_basestring
from typing import Any, BinaryIO, NamedTuple, NoReturn

from gateway.domain.calls import Answer
from gateway.domain.exchange import InboundFile, ObjectReceipt, Receipt, Totals
from gateway.domain.reasons import said
from gateway.errors import DecodeError, DeliveryError, DeliveryInDoubt, EncodeError

CALLS, ANSWERS = "kravport-calls-1", "kravport-answers-1"
MEDIA_TYPE = "application/x-ndjson"
LINE_BYTES_MAX = 16 << 20
"""An answer of the largest size, in base64, with what stands around it."""
FAILURES_MAX = 3
"""So many calls in a row that fail mean that the agency is not there."""
PAUSE_SECONDS = 60
"""An agency that asks for a longer pause gets it at once."""
_DEPTH_MAX = 20
_DIGITS_MAX = 30
_SHOWN_BYTES = 100
_HALF = re.compile("[\ud800-\udfff]")
_WORDS = {None: "null", True: "true", False: "false"}
_LISTS = (list, tuple)
_NAME_MAX = 60
"""Characters of a name of a field that is kept for the next line."""
_HEAD_KEYS = {"format", "agency", "layout", "kind", "sequence", "file_id", "currency", "is_test"}
_CALL_KEYS = {"key", "call", "body", "private", "totals"}


class Head(NamedTuple):
    """What a file of calls says about itself; the file of their answers repeats it."""

    agency: str
    layout: str
    kind: str
    sequence: int
    file_id: str
    currency: str
    is_test: bool


class Planned(NamedTuple):
    """One call to be made.

    *object_type* and *object_id* are those of `ObjectReceipt`; *call* is the plugin's word for it. *totals* are what the
    call tells of claims and items, for the control totals. *private* names values to be masked wherever it is kept.
    """

    object_type: str
    object_id: str
    call: str
    body: Mapping[str, Any]
    totals: Totals = Totals()
    private: tuple[str, ...] = ()

    def key(self, step: str = "") -> str:
        """Return the key for ``Calls.once``: of the call itself, or of one *step* of several it takes."""
        return f"{self.object_type}:{self.object_id}:{step or self.call}"


def encoded(value: object) -> bytes:
    """Return *value* as JSON in Kravport's one spelling: no blanks, UTF-8, keys in their order, decimals in plain digits.

    Raises:
        EncodeError: a float, or a value JSON has no form for.
    """
    return _json(value, 0).encode()


def decoded(content: bytes) -> Any:
    """Return what an API answered in JSON: numbers with a point as decimals, no float anywhere.

    Raises:
        DecodeError: it is no JSON, or holds a number that nothing we deal in comes near.
    """
    try:
        return json.loads(content, parse_float=_decimal, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise DecodeError(said("wrong.not_json"), value=content[:_SHOWN_BYTES].decode(errors="replace")) from None


def write_calls(stream: BinaryIO, head: Head, planned: Iterable[Planned]) -> Totals:
    """Write a file of calls as they come; return its totals."""
    stream.write(encoded({"format": CALLS, **head._asdict()}) + b"\n")
    count, sums = 0, list(Totals())
    for one in planned:
        count += 1
        sums = [had + more for had, more in zip(sums, one.totals, strict=True)]
        line = {"key": one.key(), "call": one.call, "body": one.body, "private": one.private, "totals": one.totals}
        stream.write(encoded(line) + b"\n")
    stream.write(encoded({"calls": count, "totals": sums}) + b"\n")
    return Totals(*sums)


class CallFile:
    """A file of calls, read strictly: *head* at once, the calls by iterating, *totals* after the last of them.

    Raises:
        DecodeError: a line is not as this module writes it, stands twice, or the totals differ; names the line.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._lines = _lines(stream)
        self.head, self.totals = _head(next(self._lines, (1, {})), CALLS), Totals()

    def __iter__(self) -> Iterator[Planned]:
        seen, sums, last = set[str](), list(Totals()), None
        for number, line in self._lines:
            if last is not None:
                raise DecodeError(said("wrong.behind_the_end"), line=number)
            if set(line) == {"calls", "totals"}:
                last = line
                continue
            one = _planned(number, line)
            if one.key() in seen:
                raise DecodeError(said("wrong.stands_twice"), line=number, field="key", value=one.key())
            seen.add(one.key())
            sums = [had + more for had, more in zip(sums, one.totals, strict=True)]
            yield one
        if last != {"calls": len(seen), "totals": sums}:
            raise DecodeError(said("wrong.totals_of_lines"), field="totals", value=str(last))
        self.totals = Totals(*sums)


def totals_of(stream: BinaryIO) -> Totals:
    """Return the totals found in a file of calls, read strictly to its end; raises ``DecodeError``."""
    file = CallFile(stream)
    for _ in file:
        pass
    return file.totals


def each_once(stream: BinaryIO, hand_over: Callable[[Planned], object]) -> None:
    """Hand over the calls of a file one by one; one that fails keeps none of the others back, until several do in a row.

    Args:
        stream: the sealed file.
        hand_over: makes a planned call by ``Calls.once``.

    Raises:
        DeliveryError: the first failure. It comes before any doubt, because the next delivery looks into that as well.
        DeliveryInDoubt: the first doubt, where nothing else is left to do.
    """
    failure: DeliveryError | None = None
    doubt: DeliveryInDoubt | None = None
    in_a_row = 0
    for planned in CallFile(stream):
        try:
            hand_over(planned)
        except DeliveryInDoubt as error:
            doubt = doubt or error
        except DeliveryError as error:
            failure, in_a_row = failure or error, in_a_row + 1
            if in_a_row == FAILURES_MAX or error.retry_after > PAUSE_SECONDS:
                raise
            continue
        in_a_row = 0
    if outcome := failure or doubt:
        raise outcome


# --- answers ---------------------------------------------------------------------------------------------------------


def write_answers(stream: BinaryIO, head: Head, answers: Iterable[tuple[str, Answer]]) -> None:
    """Write what was answered to the calls of one file, by their keys."""
    stream.write(encoded({"format": ANSWERS, **head._asdict()}) + b"\n")
    for key, answer in answers:
        headers = {"headers": answer.headers} if answer.headers else {}
        stream.write(encoded({"key": key, "status": answer.status, **headers, **_body_of(answer.body)}) + b"\n")


def answers_head(head: bytes) -> Head | None:
    """Return what a file of answers says about itself, from its first bytes; None where it is none."""
    line = head.split(b"\n", 1)[0]
    if ANSWERS.encode() not in line[:64]:
        return None
    try:
        return _head((1, _object(1, line)), ANSWERS)
    except DecodeError:
        return None


def read_answers(stream: BinaryIO) -> Iterator[tuple[str, Answer]]:
    """Yield the answers of a file, by the keys of their calls; raises ``DecodeError``."""
    lines = _lines(stream)
    _head(next(lines, (1, {})), ANSWERS)
    for number, line in lines:
        key, status, headers = line.get("key"), line.get("status"), line.get("headers", {})
        is_sound = isinstance(key, str) and key.count(":") >= 2 and type(status) is int and isinstance(headers, dict)
        if not is_sound or not all(isinstance(value, str) for value in headers.values()):
            raise DecodeError(said("wrong.own_form"), line=number)
        yield str(key), Answer(int(str(status)), _bytes_of(number, line), headers)


def receipt(
    file: InboundFile,
    case_number: Callable[[str, Answer], str],
    reason: Callable[[Answer], tuple[str, str]],
    note: Callable[[Answer], str] = lambda _answer: "",
) -> Receipt:
    """Return the receipt that a file of answers is.

    An object is accepted when all its calls were. Several steps of one object may name its case; the last that does holds.

    Args:
        file: what came back.
        case_number: finds the agency's number in the answer to a step (the part of the key after the object).
        reason: code and text of an answer that refuses.
        note: what a person is to know of one that accepts.
    """
    head = answers_head(file.head)
    if head is None:
        raise DecodeError(said("wrong.own_form"))
    found: dict[tuple[str, str], ObjectReceipt] = {}
    with file.open() as stream:
        for key, answer in read_answers(stream):
            kind, rest = key.split(":", 1)
            object_id, step = rest.rsplit(":", 1)
            before = found.get((kind, object_id), ObjectReceipt(kind, object_id, is_accepted=True))
            if answer.is_accepted:
                number = case_number(step, answer) if answer.status else ""
                text = note(answer) or before.reason_text
                found[kind, object_id] = before._replace(case_number=number or before.case_number, reason_text=text)
            else:
                code, text = reason(answer)
                found[kind, object_id] = before._replace(is_accepted=False, reason_code=code, reason_text=text)
    objects = tuple(found.values())
    refused = sum(not one.is_accepted for one in objects)
    status = "accepted" if not refused else "partly"
    return Receipt(head.kind, head.sequence, head.file_id, status, "", "", objects)


# --- small print -----------------------------------------------------------------------------------------------------


def _json(value: object, depth: int) -> str:
    """Return *value* as JSON; asked in the order in which kinds of value are frequent."""
    if depth > _DEPTH_MAX:
        raise EncodeError("a body is nested too deeply")
    if isinstance(value, str):
        return encode_basestring(value if value.isascii() else _sound(value))
    if value is None or isinstance(value, bool):
        return _WORDS[value]
    if isinstance(value, int):
        return int.__repr__(value)
    if isinstance(value, Decimal) and value.is_finite():
        return format(value, "f")
    if isinstance(value, _LISTS):
        return "[" + ",".join([_json(one, depth + 1) for one in value]) + "]"
    if isinstance(value, Mapping):
        return "{" + ",".join([_name(key) + _json(one, depth + 1) for key, one in value.items()]) + "}"
    raise EncodeError(f"{type(value).__name__} has no place in a call: {value!r}")


def _name(key: object) -> str:
    """Return the name of a field as it stands before its value."""
    if not isinstance(key, str):
        raise EncodeError(f"{key!r} is no name of a field")
    return _known_name(key) if len(key) <= _NAME_MAX else _json(key, 0) + ":"


@lru_cache(maxsize=1024)
def _known_name(key: str) -> str:
    """A plugin writes the same few in every line."""
    return _json(key, 0) + ":"


def _sound(value: str) -> str:
    if _HALF.search(value):
        raise EncodeError(f"{value!r} holds half a character")
    return value


def _lines(stream: BinaryIO) -> Iterator[tuple[int, dict[str, Any]]]:
    number = 0
    while line := stream.readline(LINE_BYTES_MAX + 1):
        number += 1
        if not line.endswith(b"\n"):
            raise DecodeError(_endless(line), line=number)
        yield number, _object(number, line[:-1])


def _object(number: int, line: bytes) -> dict[str, Any]:
    try:
        found = json.loads(line, parse_float=Decimal, parse_constant=_no_constant)
        is_ours = isinstance(found, dict) and encoded(found) == line
    except (ValueError, RecursionError, EncodeError):
        is_ours = False
    if not is_ours:
        raise DecodeError(said("wrong.own_form"), line=number)
    assert isinstance(found, dict)
    return found


def _decimal(text: str) -> Decimal:
    value = Decimal(text)
    if abs(value.adjusted()) > _DIGITS_MAX:
        raise ValueError(text)
    return value


def _endless(line: bytes) -> str:
    is_short = len(line) <= LINE_BYTES_MAX
    return said("wrong.cut_off") if is_short else said("wrong.line_too_long", most=LINE_BYTES_MAX)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _head(first: tuple[int, dict[str, Any]], expected: str) -> Head:
    number, line = first
    if line.get("format") != expected or set(line) != _HEAD_KEYS:
        raise DecodeError(said("wrong.other_head"), line=number)
    rest = {name: value for name, value in line.items() if name != "format"}
    kinds = {"sequence": int, "is_test": bool}
    for name, value in rest.items():
        if type(value) is not kinds.get(name, str):
            raise DecodeError(said("wrong.own_form"), line=number, field=name, value=str(value))
    return Head(**rest)


def _planned(number: int, line: dict[str, Any]) -> Planned:
    if set(line) != _CALL_KEYS:
        raise DecodeError(said("wrong.own_form"), line=number)
    key, call, body, private, totals = (line[name] for name in ("key", "call", "body", "private", "totals"))
    parts = key.split(":", 1) if isinstance(key, str) else []
    fits = (
        len(parts) == 2
        and isinstance(call, str)
        and parts[1].endswith(f":{call}")
        and isinstance(body, dict)
        and isinstance(private, list)
        and all(isinstance(one, str) for one in private)
        and isinstance(totals, list)
        and len(totals) == len(Totals())
        and all(type(one) is int and one >= 0 for one in totals)
    )
    if not fits:
        raise DecodeError(said("wrong.own_form"), line=number, field="key", value=str(key))
    object_id = parts[1].removesuffix(f":{call}")
    return Planned(parts[0], object_id, call, body, Totals(*totals), tuple(private))


def _body_of(body: bytes) -> dict[str, str]:
    """Return a body as a person can read it; one that is no text, or much longer in JSON, in its shortest form."""
    with suppress(UnicodeDecodeError):
        text = body.decode()
        if len(encoded(text)) <= LINE_BYTES_MAX // 2:
            return {"body": text}
    return {"base64": base64.b64encode(body).decode()}


def _bytes_of(number: int, line: dict[str, Any]) -> bytes:
    try:
        if isinstance(line.get("body"), str):
            return str(line["body"]).encode()
        return base64.b64decode(line["base64"], validate=True)
    except (KeyError, TypeError, binascii.Error):
        raise DecodeError(said("wrong.own_form"), line=number) from None
