"""Marks the creditor's own UBL invoice or credit note as assigned to a factor (factoring-peppol.md sections 1 to 3).

Three things make it so, together: the clause in the document's one note, the factor as payee, and the factor's account with
the reference it prescribes. Nothing else is touched: the bytes around them stay, and that is proven before they are handed on.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple
from xml.sax.saxutils import escape, quoteattr

from gateway.errors import EncodeError
from gateway.formats.xmltree import feed, safe_parser
from plugins.factoring.ubl_places import AGGREGATE, BASIC, Place, Places, places_of

CREDIT_TRANSFER = "30"
"""Code of the payment means that a document gets which has none: a credit transfer (UNCL 4461)."""
_TRANSFERS = frozenset({"30", "31", "42", "58"})
"""Payment means that lead money to an account which can be another's; a card or a direct debit cannot be led elsewhere."""
_FACTORED = {"380": "393", "381": "396"}
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_BEHIND_MEANS = frozenset({
    "PaymentTerms", "PrepaidPayment", "AllowanceCharge", "TaxExchangeRate", "PricingExchangeRate", "PaymentExchangeRate",
    "PaymentAlternativeExchangeRate", "TaxTotal", "WithholdingTaxTotal", "LegalMonetaryTotal",
})  # fmt: skip
_BEHIND_REFERENCE = frozenset({
    "CardAccount", "PayerFinancialAccount", "PayeeFinancialAccount", "CreditAccount", "PaymentMandate", "TradeFinancing",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Factor:
    """Who must be paid, and what the document says of it.

    *party_id* is the factor's organisation number with its ICD *scheme*; *reference* that of the payment, empty where the
    document's own stays. *is_coded*: the type of the document says it, too (393, 396). *drops_signature*: a digital signature,
    which the marked document no longer fits, is taken out instead of refused.
    """

    name: str
    account: str
    clause: str
    party_id: str = ""
    scheme: str = "0192"
    reference: str = ""
    is_coded: bool = False
    drops_signature: bool = False


class Marked(NamedTuple):
    """A marked document, and the SHA-256 of its bytes before and after, in hex."""

    content: bytes
    sha256_before: str
    sha256_after: str


class _Edit(NamedTuple):
    """Bytes *start* to *end* of the document become *text*."""

    start: int
    end: int
    text: str


def mark(content: bytes, factor: Factor) -> Marked:
    """Return *content* marked as assigned to *factor*; a document that is marked so already comes back as it is.

    Raises:
        DecodeError: *content* is no UBL invoice or credit note that can be read without entities and network.
        EncodeError: it may not be marked: another payee, several notes, a way to pay that leads no money to an account, a
            signature, a type that has no assigned form; or the factor is the seller itself.
    """
    missing = [name for name in ("name", "account", "clause") if not getattr(factor, name).strip()]
    if missing:
        raise EncodeError(f"the factor has no {', '.join(missing)} to mark a document with")
    texts = (factor.name, factor.account, factor.clause, factor.party_id, factor.scheme, factor.reference)
    if _NO_XML.search("".join(texts)):
        raise EncodeError("name, account, clause or number of the factor has a sign that no document can hold")
    places = places_of(content)
    _refuse_own(places.root, factor)
    made = (_signature(places.root, factor), _type(places.root, factor), _note(places, factor), _payee(places, factor),
            _means(places, factor))  # fmt: skip
    edits = sorted(chain.from_iterable(made), key=lambda edit: edit[:2])  # stable: at one place they stay in this order
    marked, has_means = _spliced(places, edits), bool(places.root.every(_MEANS))
    if _rest(content, has_means=has_means) != _rest(marked, has_means=has_means):
        raise EncodeError("marking would change more of the document than it may")
    return Marked(marked, hashlib.sha256(content).hexdigest(), hashlib.sha256(marked).hexdigest())


def is_marked(content: bytes, factor: Factor) -> bool:
    """Return whether the document in *content* is marked as `mark` marks it."""
    try:
        return mark(content, factor).content == content
    except EncodeError:
        return False


def _spliced(places: Places, edits: list[_Edit]) -> bytes:
    """Return the document with *edits*; what its charset lacks is written as a character reference, which any has room for."""
    parts, here = list[bytes](), 0
    for edit in edits:
        parts += [places.content[here : edit.start], edit.text.encode(places.encoding, "xmlcharrefreplace")]
        here = edit.end
    return b"".join((*parts, places.content[here:]))


# --- what is refused -------------------------------------------------------------------------------------------------


def _refuse_own(root: Place, factor: Factor) -> None:
    """The payee is somebody else than the seller, by name and by number (BR-17)."""
    seller = ("AccountingSupplierParty", "Party")
    names = {one.text.casefold() for path in (("PartyName", "Name"), ("PartyLegalEntity", "RegistrationName"))
             for one in root.under(*seller, *path)}  # fmt: skip
    ids = {one.text for path in (("PartyIdentification", "ID"), ("PartyLegalEntity", "CompanyID"))
           for one in root.under(*seller, *path)}  # fmt: skip
    if factor.name.casefold() in names or (factor.party_id and factor.party_id in ids):
        raise EncodeError("the factor is the seller itself")


def _signature(root: Place, factor: Factor) -> Iterator[_Edit]:
    """A changed document no longer fits its signature: taken out where the agreement says so, else refused."""
    signed = [child for child in root.children if child.name == "Signature" or child.holds_signature()]
    if signed and not factor.drops_signature:
        raise EncodeError("the document is digitally signed; a mark would break the signature")
    for place in signed:
        inner = [one for one in place.children if one.holds_signature()]
        is_shared = place.name != "Signature" and len(inner) < len(place.children)
        yield from (_Edit(one.start, one.end, "") for one in (inner if is_shared else [place]))


# --- what is set -----------------------------------------------------------------------------------------------------


def _type(root: Place, factor: Factor) -> Iterator[_Edit]:
    code = _type_code(root)
    if not factor.is_coded or code.text in _FACTORED.values():
        return
    if code.text not in _FACTORED:
        raise EncodeError(f"a document of type {code.text!r} has no assigned form; only 380 and 381 have")
    yield _Edit(code.inner, code.close, _FACTORED[code.text])


def _type_code(root: Place) -> Place:
    name = f"{root.name}TypeCode"
    code = root.only(name)
    if code is None or not code.text:
        raise EncodeError(f"the document has no {name}")
    return code


def _note(places: Places, factor: Factor) -> Iterator[_Edit]:
    """One note on document level is allowed (PEPPOL-EN16931-R002): a text that is there and the clause share it."""
    root = places.root
    if len(notes := root.every("Note")) > 1:
        raise EncodeError("the document has several notes where one is allowed (PEPPOL-EN16931-R002)")
    if not notes or not notes[0].text:
        behind = _type_code(root).end
        start, end = (notes[0].start, notes[0].end) if notes else (behind, behind)
        yield _Edit(start, end, _element(places, "Note", escape(factor.clause)))
    elif factor.clause not in " ".join(notes[0].text.split()) and factor.clause not in notes[0].text:
        content = places.content[notes[0].inner : notes[0].close]
        yield _Edit(notes[0].inner + len(content.rstrip()), notes[0].close, f" {escape(factor.clause)}")


def _payee(places: Places, factor: Factor) -> Iterator[_Edit]:
    root = places.root
    buyer = root.only("AccountingCustomerParty")
    if buyer is None:
        raise EncodeError("the document has no AccountingCustomerParty")
    payee = root.only("PayeeParty")
    if payee is not None:
        _refuse_other(payee, factor)
        return
    parts = [("PartyIdentification", "ID", factor.party_id), ("PartyName", "Name", factor.name),
             ("PartyLegalEntity", "CompanyID", factor.party_id)]  # fmt: skip
    inside = "".join(_inner(places, *part, factor.scheme) for part in parts if part[2])
    yield _Edit(buyer.end, buyer.end, _element(places, "PayeeParty", inside, AGGREGATE))


def _inner(places: Places, holder: str, name: str, value: str, scheme: str) -> str:
    """Return one element of the payee; a number comes with the scheme it is of."""
    attributes = f" schemeID={quoteattr(scheme)}" if scheme and name != "Name" else ""
    made = _element(places, name, escape(value), attributes=attributes, is_inner=True)
    return _element(places, holder, made, AGGREGATE, is_inner=True)


def _refuse_other(payee: Place, factor: Factor) -> None:
    """A payee that is there must be this factor: by its number where both have one, else by its name."""
    ids = {one.text for path in (("PartyIdentification", "ID"), ("PartyLegalEntity", "CompanyID"))
           for one in payee.under(*path)} - {""}  # fmt: skip
    names = {one.text.casefold() for one in payee.under("PartyName", "Name")}
    is_ours = ids == {factor.party_id} if ids and factor.party_id else names == {factor.name.casefold()}
    if not is_ours:
        raise EncodeError(f"the document names another payee: {', '.join(sorted(names | ids))}")


def _means(places: Places, factor: Factor) -> Iterator[_Edit]:
    """Every way to pay leads to the factor's account; one is made where the document has none."""
    root, means = places.root, places.root.every("PaymentMeans")
    for one in means:
        code = one.only("PaymentMeansCode")
        if code is None or code.text not in _TRANSFERS:
            found = code.text if code else ""
            raise EncodeError(f"payment means {found!r} leads no money to an account; only credit transfers do")
        yield from _reference(places, one, factor)
        yield from _account(places, one, factor)
    if not means:
        place = next((child for child in root.children if child.name in _BEHIND_MEANS), None)
        if place is None:
            raise EncodeError("the document has no totals to stand behind the payment means")
        parts = _element(places, "PaymentMeansCode", CREDIT_TRANSFER, is_inner=True)
        if factor.reference:
            parts += _element(places, "PaymentID", escape(factor.reference), is_inner=True)
        made = _element(places, "PaymentMeans", parts + _account_of(places, factor, is_inner=True), AGGREGATE)
        yield _Edit(place.start, place.start, made)


def _reference(places: Places, means: Place, factor: Factor) -> Iterator[_Edit]:
    reference = means.only("PaymentID")
    if not factor.reference or (reference is not None and reference.text == factor.reference):
        return
    if reference is not None:
        start, end = reference.start, reference.end
    else:
        behind = next((child.start for child in means.children if child.name in _BEHIND_REFERENCE), means.close)
        start = end = behind
    yield _Edit(start, end, _element(places, "PaymentID", escape(factor.reference)))


def _account(places: Places, means: Place, factor: Factor) -> Iterator[_Edit]:
    """The whole account is the factor's: a name or a bank that stood beside the seller's would be wrong beside it."""
    account = means.only("PayeeFinancialAccount")
    if account is not None:
        if [child.name for child in account.children] != ["ID"] or account.children[0].text != factor.account:
            yield _Edit(account.start, account.end, _account_of(places, factor))
        return
    names = ("CreditAccount", "PaymentMandate", "TradeFinancing")
    start = next((child.start for child in means.children if child.name in names), means.close)
    yield _Edit(start, start, _account_of(places, factor))


def _account_of(places: Places, factor: Factor, *, is_inner: bool = False) -> str:
    ident = _element(places, "ID", escape(factor.account), is_inner=True)
    return _element(places, "PayeeFinancialAccount", ident, AGGREGATE, is_inner=is_inner)


def _element(
    places: Places, name: str, content: str, namespace: str = BASIC, attributes: str = "", *, is_inner: bool = False
) -> str:
    """Return an element with the document's own prefixes; where they are not sure, one that declares them itself."""
    prefixes, declared = places.prefixes, ""
    if not places.is_plain or AGGREGATE not in prefixes or BASIC not in prefixes:
        prefixes = {AGGREGATE: "cac", BASIC: "cbc"}
        if not is_inner:
            declared = "".join(f' xmlns:{prefix}="{space}"' for space, prefix in prefixes.items())
    tag = f"{prefixes[namespace]}:{name}"
    return f"<{tag}{declared}{attributes}>{content}</{tag}>"


# --- what must stay --------------------------------------------------------------------------------------------------

_MARKS = frozenset({"Note", "InvoiceTypeCode", "CreditNoteTypeCode", "PayeeParty", "Signature", "UBLExtensions"})
_MEANS, _MEANS_MARKS = "PaymentMeans", frozenset({"PaymentID", "PayeeFinancialAccount"})


def _rest(content: bytes, *, has_means: bool) -> bytes:
    """Return a digest of all that a mark may not change: line items, totals, parties, dates, everything but the marks.

    Where the document has no payment means of its own, one is made, and is a mark as a whole.
    """
    parser, rest = safe_parser(), _Rest(_MARKS if has_means else _MARKS | {_MEANS})
    parser.StartElementHandler, parser.EndElementHandler = rest.start, rest.end
    parser.CharacterDataHandler = rest.pieces.append
    for _ in feed(parser, io.BytesIO(content)):
        rest.digest_kept()
    return rest.digest.digest()


class _Rest:
    """Takes the elements and texts of a document into a digest, but for its *marks*, whatever pieces a text comes in."""

    def __init__(self, marks: frozenset[str]) -> None:
        self.digest, self.pieces = hashlib.sha256(), list[str]()
        self._marks, self._path, self._skipped = marks, list[str](), 0
        self._kept: list[object] = []

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if self.pieces:
            self._end_text()
        path, local = self._path, name.rpartition(" ")[2]
        is_mark = (len(path) == 1 and local in self._marks) or (path[1:] == [_MEANS] and local in _MEANS_MARKS)
        path.append(local)
        if self._skipped or is_mark:
            self._skipped += 1
        else:
            self._kept.append((name, sorted(attributes.items()) if attributes else ()))

    def end(self, _: str) -> None:
        if self.pieces:
            self._end_text()
        self._path.pop()
        if self._skipped:
            self._skipped -= 1
        else:
            self._kept.append(None)

    def digest_kept(self) -> None:
        self.digest.update("".join(map(repr, self._kept)).encode())
        self._kept.clear()

    def _end_text(self) -> None:
        text = "".join(self.pieces)
        self.pieces.clear()
        if not (self._skipped or text.isspace()):
            self._kept.append(text)
