"""Lists and searches, page by page: newest first, on with ``after`` while the header names a next page."""

from __future__ import annotations

import re
from collections.abc import Iterator

from gateway.domain.calls import Answer, Calls, Request
from gateway.domain.exchange import Agreement
from gateway.errors import DecodeError, DeliveryError
from plugins.intrum.ophelos.objects import objects_of, why_refused
from plugins.intrum.ophelos.terms import headers_of

PAGE_ROWS = 100
"""Asked for; how many a page may have is not published, and fewer do no harm."""
_NEXT = re.compile(r"""rel=["']?next\b""")


def search_path(agreement: Agreement, path: str) -> str:
    """Return where a list is searched: Ophelos' SDK and its manual name different addresses."""
    return path if agreement.settings.get("search_address") == "list" else f"{path}/search"


def page(calls: Calls, agreement: Agreement, path: str, query: str = "", after: str = "") -> tuple[Answer, str]:
    """Return one page, and the id after which the next begins, empty after the last.

    Raises:
        DeliveryError: Ophelos does not show it; a refusal may be mended there, and nothing was done.
        DecodeError: it cannot be read.
    """
    named = (("query", query), ("limit", str(PAGE_ROWS)), ("after", after))
    asked = tuple((name, value) for name, value in named if value)
    answer = calls.ask(Request("GET", path, asked, headers=headers_of(agreement)))
    if not answer.is_accepted:
        raise DeliveryError(f"Ophelos does not show {path}: {': '.join(why_refused(answer))}")
    *_, last = None, *objects_of(answer)
    if not _NEXT.search(answer.headers.get("link", "")):
        return answer, ""
    if last is None or last.id() == after:
        raise DecodeError("names a next page and does not lead to it", field="link", value=answer.headers["link"])
    return answer, last.id()


def listed(calls: Calls, agreement: Agreement, path: str, query: str = "") -> Iterator[Answer]:
    """Yield the pages of a list, as far as they are asked for."""
    after, is_first = "", True
    while after or is_first:
        answer, after = page(calls, agreement, path, query, after)
        is_first = False
        yield answer
