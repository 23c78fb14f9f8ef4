"""The shape of a transaction that pays by KID or with a text, which is all there is in most CREMUL files (payments.md 4.2)."""

from __future__ import annotations

import re
from functools import lru_cache

from gateway.formats.edifact import Service

KID = r"[0-9]{1,24}[0-9-]"
"""The form of a KID: digits, the last may be the sign of modulus 11."""


@lru_cache(maxsize=256)
def ordinary_transactions(service: Service, currency: str) -> re.Pattern[str]:
    """Return a pattern of one SEQ group with a KID, a text or neither, up to the segment that follows it.

    Groups: order date, payer account, order number, archive reference, amount, payer (NAD from its fourth
    element on), KID, text. It takes no released character, so each value stands as it was meant, and beyond ASCII
    only what names and addresses need; the amount of the document must be written as that of the transaction. Nothing in
    it is ever tried twice (``*+``, ``(?>...)``): what does not fit at once goes the thorough way. No group is made possessive:
    after one that fails, Python 3.11.2 goes on behind what it had read of it.
    """
    if set(service) & set(".,-"):  # an amount or a KID would hold a service character
        return re.compile("(?!)")
    part, whole, release, end = (re.escape(mark) for mark in service)
    texts = f"[^{whole}{release}{end}]*+"
    code, codes = f"[^{part}{whole}{release}{end}\\x80-\\xff]{{0,48}}+", f"[^{release}{end}\\x80-\\xff]*+"
    unit = f"(?>(?:{part}{re.escape(currency)})?){end}"
    return re.compile(
        f"SEQ{whole}{codes}{end}"
        f"(?>(?:DTM{whole}203{part}([0-9]{{8}}){part}102{end})?)"
        f"(?>(?:DTM{whole}193{part}[0-9]{{8}}{part}102{end})?)"
        f"(?>(?:FII{whole}OR(?>(?:{whole}([0-9]*+))?){end})?)"
        f"(?>(?:RFF{whole}AEK{part}({code}){end})?)"
        f"(?>(?:RFF{whole}ACD{part}({code}){end})?)"
        f"MOA{whole}(?:143|119|60){part}(?P<amount>[0-9]{{1,15}}+(?>(?:[.,][0-9]{{2}})?)){unit}"
        f"(?>(?:NAD{whole}PL{whole}{whole}([^{release}{end}]*+){end})?)"
        f"(?:(?>(?:PRC{whole}8{end})?)DOC{whole}999{whole}({KID}){end}MOA{whole}12{part}(?P=amount){unit}(?>(?:GIS{whole}37{end})?)"
        f"|(?>(?:PRC{whole}11{end})?)(?>(?:FTX{whole}PMD{whole}{whole}{whole}({texts}){end})?))"
        f"(?=(?:SEQ|LIN|CNT|UNT){whole})"
    )
