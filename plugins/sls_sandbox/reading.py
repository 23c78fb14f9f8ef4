"""Strict reading of what the client delivered: well-formed, valid, ours, and equal to its own ``Control``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from lxml import etree

from plugins.sls_sandbox.state import AgreementFacts

NAMESPACE = "urn:kravport:sls:1"
_LONGEST_NUMBER = 24
"""Characters of a count or total that can be true: sixteen digits, a dot, two decimals, and some leading zeros."""
_LONGEST_TEXT = 500
"""Characters of a reason text (Text500); ours may quote the file, and is cut: it is an explanation, no datum."""
_LOWERS = {"Payment", "CreditNote"}
_ITEMS = {"Payment", "CreditNote", "Disbursement", "VoucherLine", "Charge", "Unlink"}
_CANNOT_FOLLOW = {"Invoice": {"Invoice", "Customer", "Control"}, "Customer": {"Customer", "Control"}}
_HARMLESS = {"no_network": True, "load_dtd": False}
"""Not ``resolve_entities=False``: together with a schema, lxml 6.1 then takes a cut-off document for a whole one. There
is no entity to resolve, because a DOCTYPE is refused at the first tag."""


class Refusal(Exception):
    """A whole file is refused: reason code of B.9 and a sentence."""

    def __init__(self, code: str, text: str) -> None:
        self.code, self.text = code, "".join(sign if sign.isprintable() else " " for sign in text)[:_LONGEST_TEXT]
        super().__init__(f"{code}: {text}")


def minor(text: str) -> int:
    """Return ``4600.00`` as 460000; the schema has seen to the form."""
    whole, _, cents = text.strip().partition(".")
    return int(whole + cents)


def local(element: etree._Element) -> str:
    """Return the name of *element* without its namespace."""
    return str(etree.QName(element).localname)


def said(element: etree._Element, name: str) -> str:
    """Return the attribute *name* of *element*, empty when it is left out."""
    return str(element.get(name) or "")


def effect(element: etree._Element) -> int:
    """Return by how much an item changes the open amount (B.7): minus lowers it."""
    name, amount = local(element), minor(said(element, "amount"))
    if name == "Charge":
        return 0
    lowers = name in _LOWERS or element.get("direction") == "credit"
    return -amount if lowers else amount


class Delivery:
    """One delivered file under examination; *head* holds what is known of ``Identification`` even when it is refused."""

    def __init__(self, path: Path, name: str) -> None:
        self._path = path
        self.message, _, number = name.partition(".")
        self.head: dict[str, str] = {"fileSequence": number}

    @property
    def sequence(self) -> int:
        """The number in the file, or, where that cannot be read, in its name."""
        return int(self.head["fileSequence"])

    def examine(self, schema: etree.XMLSchema, facts: AgreementFacts) -> None:
        """Check schema, addressee and ``Control``, in this order.

        Raises:
            Refusal: with the code of the first of them that fails.
        """
        tally, control = self._pass_through(schema)
        self._check_addressee(facts)
        for name, counted in tally.items():
            if len(control[name]) > _LONGEST_NUMBER or minor(control[name]) != counted:
                raise Refusal("CONTROL_TOTAL", f"{name} says {control[name]}, found {counted}")

    def customers(self) -> Iterator[etree._Element]:
        """Yield each ``Customer`` element whole; it is emptied when the next one is asked for."""
        with self._path.open("rb") as stream:
            for _, element in etree.iterparse(stream, tag=f"{{{NAMESPACE}}}Customer", **_HARMLESS):
                yield element
                _drop(element)

    def _pass_through(self, schema: etree.XMLSchema) -> tuple[Counter[str], dict[str, str]]:
        counting = _Counting(self)
        try:
            with self._path.open("rb") as stream:
                for event, element in etree.iterparse(stream, events=("start", "end"), schema=schema, **_HARMLESS):
                    if event == "start":
                        counting.start(element)
                    elif local(element) == "Customer":
                        _drop(element)
        except etree.XMLSyntaxError as error:
            raise Refusal("SCHEMA" if self._is_well_formed() else "NOT_WELL_FORMED", str(error)) from error
        if counting.fault:
            raise Refusal("SCHEMA", counting.fault)
        return counting.tally, counting.control

    def _is_well_formed(self) -> bool:
        """Return whether the file is XML at all; with a schema, lxml does not say which of the two is the trouble."""
        try:
            with self._path.open("rb") as stream:
                for _, element in etree.iterparse(stream, **_HARMLESS):
                    _drop(element)
        except etree.XMLSyntaxError:
            return False
        return True

    def _check_addressee(self, facts: AgreementFacts) -> None:
        head = self.head
        if head["senderId"] != facts.client_number or head["receiverId"] != facts.agency_id:
            raise Refusal("WRONG_CLIENT", f"client {head['senderId']} of {head['receiverId']} is unknown")
        if head["ledgerId"] != facts.ledger_id or head["currency"] != facts.currency:
            raise Refusal("WRONG_LEDGER", f"ledger {head['ledgerId']} in {head['currency']} is unknown")
        if (head["test"] in {"true", "1"}) is not facts.is_test:
            raise Refusal("WRONG_MODE", "test file in production or the other way round")


class _Counting:
    """What stands in the file, counted at start tags. Before the end nothing is known to be valid: no key is certain."""

    def __init__(self, delivery: Delivery) -> None:
        self._delivery = delivery
        names = "invoiceCount invoiceTotal itemCount creditTotal debitTotal chargeTotal instructionCount"
        self.tally = Counter(dict.fromkeys(names.split(), 0))
        self.control: dict[str, str] = {}
        self.fault = ""
        self._previous = ""

    def start(self, element: etree._Element) -> None:
        name, parent = local(element), element.getparent()
        if parent is None:
            self._root(element, name)
        if name in _ITEMS:
            self._item(element, name)
        elif name == "InvoiceHeader":
            self.tally["invoiceTotal"] += _minor_or_zero(said(element, "originalAmount"))
        elif name == "Invoice":
            self.tally["invoiceCount"] += 1
        elif name == "Instruction":
            self.tally["instructionCount"] += 1
        elif name in {"Identification", "Ledger"}:
            self._head(element, name)
        elif name == "Control":
            self.control = {str(key): str(value) for key, value in element.attrib.items()}
        self._watch_empty(name)

    def _root(self, element: etree._Element, name: str) -> None:
        if element.getroottree().docinfo.internalDTD is not None:
            raise Refusal("NOT_WELL_FORMED", "a DOCTYPE is not allowed")
        if etree.QName(element).namespace != NAMESPACE:
            raise Refusal("WRONG_PROFILE", f"namespace {etree.QName(element).namespace}")
        if name.lower() != self._delivery.message:
            self.fault = f"{name} in a file called {self._delivery.message}"

    def _head(self, element: etree._Element, name: str) -> None:
        named = self._delivery.head["fileSequence"]
        attributes = {str(key): str(value) for key, value in element.attrib.items()}
        agrees = (attributes.get("fileSequence"), attributes.get("message")) == (named, self._delivery.message)
        if name == "Identification" and not agrees:
            self.fault = "message or fileSequence does not agree with the file name"
            attributes.pop("fileSequence", None)
        self._delivery.head |= attributes

    def _item(self, element: etree._Element, name: str) -> None:
        amount = _minor_or_zero(said(element, "amount"))
        self.tally["itemCount"] += 1
        if name == "Charge":
            self.tally["chargeTotal"] += amount
        elif name in _LOWERS or element.get("direction") == "credit":
            self.tally["creditTotal"] += amount
        else:
            self.tally["debitTotal"] += amount

    def _watch_empty(self, name: str) -> None:
        """An ``Invoice`` or ``Customer`` without children is an error the schema cannot see (B.6)."""
        if name in _CANNOT_FOLLOW.get(self._previous, ()):
            self.fault = f"{self._previous} without children"
        self._previous = name


def _drop(element: etree._Element) -> None:
    """Free *element* and what stood before it: a file of any length needs the memory of one customer."""
    element.clear()
    parent = element.getparent()
    while parent is not None and element.getprevious() is not None:
        del parent[0]


def _minor_or_zero(text: str) -> int:
    """Return the amount, or 0 for what cannot be one: the schema refuses the file at its end anyway."""
    digits = text.strip().replace(".", "", 1)
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 20 else 0
