"""HTTPS to an agency's API: verified TLS, tokens, and each call that changes something noted before it is made (ADR 0029)."""

from __future__ import annotations

import json
import re
import ssl
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import chain
from typing import Any, BinaryIO, NoReturn, Protocol
from urllib.parse import urlsplit

import requests
from requests.auth import AuthBase
from urllib3.exceptions import ConnectTimeoutError, MaxRetryError, NewConnectionError, SSLError

from gateway.domain.calls import Answer, Found, Request
from gateway.domain.transport import Waiting
from gateway.errors import DataError, DeliveryError, DeliveryInDoubt
from gateway.whole_answers import TimedAdapter, body_of

CONNECT_SECONDS, ANSWER_SECONDS = 10.0, 30.0
RENEW_SECONDS = 60
"""A token is renewed this long before its end."""
TOKEN_SECONDS = 3600
"""Life of a token whose server names none."""
TOKEN_SECONDS_MAX = 24 * 3600
KEY_CHARACTERS_MAX = 120
WAIT_SECONDS_MAX, WAITS_MAX = 20.0, 3
"""A wait the agency asks for is kept on the spot when it is short; after a longer one the file goes on where it stopped."""
_RETRY_SECONDS_MAX = 24 * 3600
_METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE"})
_KEPT_HEADERS = ("content-type", "link", "location", "retry-after", "x-total-count")
_NOTHING_DONE = frozenset({429, 503})
_PERHAPS_DONE = frozenset({408, 425})
"""Beside all from 500: what stands between us and the agency gave up, or wants to be asked again."""
_CONFLICT = 409
"""It has something already that the call does not go with: what it has decides."""
_HEADER_NAME, _HEADER_VALUE = re.compile(r"[!#-'*+.^_`|~0-9A-Za-z-]+"), re.compile(r"([\x21-\x7e][\x20-\x7e]*)?")


class Journal(Protocol):
    """What is known of the calls of one envelope; each method is a transaction of its own."""

    def begin(self, key: str, request: Request) -> Answer | None:
        """Note that a call is about to be made; its answer, where it was made before.

        Raises:
            CallOpen: it was begun before and never answered.
            DeliveryError: this delivery has lasted long enough, the call is made in the next.
        """

    def known(self, key: str) -> Answer | None:
        """Return the noted answer of a call."""

    def renewed(self, key: str, request: Request) -> None:
        """Note that a call was under way until now: what is looked for at the agency is given time from here on."""

    def answered(self, key: str, request: Request, answer: Answer) -> None:
        """Note the answer of a call, also where its beginning was forgotten meanwhile."""

    def undone(self, key: str) -> None:
        """Forget a call that nothing became of."""

    def open_for(self, key: str) -> timedelta:
        """Return how long ago a call that has no answer was begun, or last under way."""


def check_settings(settings: Mapping[str, Any]) -> None:
    """Raise ``DataError`` naming the setting of an agreement's ``transport`` that `open_calls` would not take."""
    open_calls(settings, {"api_client_secret": "-", "api_token": "-"})


class CallOpen(Exception):
    """A call was begun before, and nobody knows what became of it."""


def is_api(transport: Mapping[str, Any] | None) -> bool:
    """Whether an agreement's ``transport`` leads to an API instead of a mailbox."""
    return bool(transport) and transport is not None and transport.get("kind") == "https"


def open_calls(settings: Mapping[str, Any], secrets: Mapping[str, str], journal: Journal | None = None) -> HttpsCalls:
    """Return the way to an API.

    Args:
        settings: an agreement's ``transport``: ``{"kind": "https", "base_url", "ca", "auth": {"kind": "oauth2",
            "token_url", "client_id", "audience", "scope"}}``; *ca* is the PEM of the only root trusted, and may be missing.
            Other kinds of *auth* are ``bearer`` and ``header`` (the token as it is).
        secrets: ``api_client_secret`` for OAuth2, else ``api_token``.
        journal: of the envelope that is delivered; without one only `ask` works.

    Raises:
        DataError: a setting is missing or wrong; nothing was contacted.
    """
    return HttpsCalls(settings, secrets, journal)


SETTLE_SECONDS = 2 * ANSWER_SECONDS
"""A search right after a call broke off may miss what the far side is still at; before this long none is believed."""


class HttpsCalls:
    """An agency's API (`Calls`)."""

    def __init__(self, settings: Mapping[str, Any], secrets: Mapping[str, str], journal: Journal | None) -> None:
        self._base = _https(settings.get("base_url"), "base_url")
        self._journal, self._session = journal, requests.Session()
        self._session.trust_env = False  # a proxy or password of this machine's user is nobody's business
        self._root = _root_file(settings.get("ca"))
        self._session.mount("https://", TimedAdapter())
        self._session.verify = self._root.name if self._root else True
        weakref.finalize(self, _close, self._session, self._root)
        self._token = _token_of(settings.get("auth"), secrets, self._session)

    def ask(self, request: Request) -> Answer:
        """Make a call that changes nothing (`Calls.ask`)."""
        if request.method != "GET":
            raise DataError(f"{request.name} changes something and is made once")
        try:
            answer = self._made(request)
        except DeliveryInDoubt as error:
            raise DeliveryError(str(error)) from error  # nothing to be in doubt about
        if _may_be_done(answer):
            raise DeliveryError(_told(request, answer))
        return answer

    def known(self, key: str) -> Answer | None:
        """Return the noted answer of a call (`Calls.known`)."""
        return self._journal.known(key) if self._journal else None

    def once(self, key: str, request: Request, found: Found | None = None) -> Answer:
        """Make a call that changes something, once (`Calls.once`)."""
        if self._journal is None:
            raise DataError("a call that changes something is made while an envelope is delivered")
        if not 0 < len(key) <= KEY_CHARACTERS_MAX:
            raise DataError(f"{key[:40]!r} is no key of a call")
        try:
            known = self._journal.begin(key, request)
        except CallOpen:
            known = self._found(key, request, found)
        return known if known is not None else self._first(key, request, found)

    def _first(self, key: str, request: Request, found: Found | None) -> Answer:
        journal = self._journal
        assert journal is not None
        try:
            answer = self._made(request, lambda: journal.renewed(key, request))
            if _may_be_done(answer):
                raise DeliveryInDoubt(_told(request, answer))
        except (DeliveryError, DataError):
            journal.undone(key)
            raise
        except DeliveryInDoubt:
            journal.renewed(key, request)
            raise
        if answer.status == _CONFLICT and found is not None:
            answer = found() or answer
        journal.answered(key, request, answer)
        return answer

    def _found(self, key: str, request: Request, found: Found | None) -> Answer | None:
        """Return what the agency has of a call that was begun, None where it has nothing and the call may be made."""
        assert self._journal is not None
        if found is None:
            raise DeliveryInDoubt(f"{request.name}: begun and not answered; the agency cannot be asked")
        rest = SETTLE_SECONDS - self._journal.open_for(key).total_seconds()
        if rest > 0:
            raise DeliveryError(f"{request.name}: not answered, looked for later", retry_after=rest)
        answer = found()
        if answer is not None:
            self._journal.answered(key, request, answer)
        else:  # it begins anew: a search after it must wait as long as after the first
            self._journal.undone(key)
            self._journal.begin(key, request)
        return answer

    def _made(self, request: Request, under_way: Callable[[], None] = lambda: None) -> Answer:
        """Return the answer to one request; a token that is refused is replaced once, a short wait asked for is kept.

        Args:
            request: what is sent.
            under_way: called before each send but a first one that nothing delays.

        Raises:
            DeliveryError: nothing was done.
            DeliveryInDoubt: no answer, or not all of it, or one that says too little.
        """
        answer = self._sent(request, under_way if self._token.is_wanting() else None)
        if answer.status == 401 and self._token.may_be_renewed():
            answer = self._sent(request, under_way)
        for _ in range(WAITS_MAX):
            wait = _retry_after(answer)
            if answer.status not in _NOTHING_DONE or not 0 < wait <= WAIT_SECONDS_MAX:
                break
            time.sleep(wait)
            answer = self._sent(request, under_way)
        if answer.status in _NOTHING_DONE or answer.status == 401:
            raise DeliveryError(_told(request, answer), retry_after=_retry_after(answer))
        if 300 <= answer.status < 400:  # many answer so what they have done: see there
            raise DeliveryInDoubt(f"{_told(request, answer)}, redirected, which is not followed")
        return answer

    def _sent(self, request: Request, under_way: Callable[[], None] | None) -> Answer:
        headers = {"Content-Type": request.media_type, "Accept": "application/json", **dict(request.headers)}
        _refuse_unsendable(request, headers)
        if not request.body:
            del headers["Content-Type"]
        if under_way:
            self._token.fetch()
            under_way()
        try:
            with self._session.request(
                request.method, self._base + request.path, params=request.query, data=request.body or None,
                headers=headers, auth=self._token, timeout=(CONNECT_SECONDS, ANSWER_SECONDS), allow_redirects=False,
                stream=True,
            ) as response:  # fmt: skip
                return Answer(response.status_code, body_of(response), _headers(response))
        except requests.RequestException as error:
            what = f"{request.name} at {urlsplit(self._base).netloc}: {_reason(error)}"
            raise (DeliveryError(what) if _is_unsent(error) else DeliveryInDoubt(what)) from error


class NoMailbox:
    """Stands where a plugin would find a mailbox, for an agency that has none (`Transport`)."""

    def put(self, filename: str, content: BinaryIO, size: int) -> str:  # noqa: ARG002  # the protocol's
        """Refuse."""
        _no_mailbox()

    def waiting(self) -> Sequence[Waiting]:
        """Refuse."""
        _no_mailbox()

    def get(self, filename: str, into: BinaryIO) -> None:  # noqa: ARG002  # the protocol's
        """Refuse."""
        _no_mailbox()

    def remove(self, filename: str) -> None:  # noqa: ARG002  # the protocol's
        """Refuse."""
        _no_mailbox()

    def read_back(self, filename: str, into: BinaryIO) -> bool:  # noqa: ARG002  # the protocol's
        """Refuse."""
        _no_mailbox()


def _no_mailbox() -> NoReturn:
    raise DataError("the agreement's transport is an API, which has no mailbox")


# --- tokens ----------------------------------------------------------------------------------------------------------


class _Fixed(AuthBase):
    """A token that does not end."""

    def __init__(self, header: str) -> None:
        self._header = header

    def __call__(self, prepared: requests.PreparedRequest) -> requests.PreparedRequest:
        prepared.headers["Authorization"] = self._header
        return prepared

    def is_wanting(self) -> bool:
        """No."""
        return False

    def fetch(self) -> None:
        """Nothing to fetch."""

    def may_be_renewed(self) -> bool:
        """No."""
        return False


@dataclass(slots=True)
class _Kept:
    """A token of one client at one server, for all that talk to it in this process."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    value: str = ""
    ends: float = 0.0


_tokens: dict[tuple[str, ...], _Kept] = {}


class _ClientCredentials(AuthBase):
    """OAuth 2.0 client credentials (RFC 6749 section 4.4)."""

    def __init__(self, auth: Mapping[str, Any], secret: str, session: requests.Session) -> None:
        self._url = _https(auth.get("token_url"), "auth.token_url")
        self._form = {
            "grant_type": "client_credentials",
            "client_id": _text(auth, "client_id"),
            "client_secret": secret,
        }
        self._form |= {name: str(auth[name]) for name in ("audience", "scope") if auth.get(name)}
        self._session, self._used = session, ""
        self._kept = _tokens.setdefault((self._url, *self._form.values()), _Kept())

    def __call__(self, prepared: requests.PreparedRequest) -> requests.PreparedRequest:
        self.fetch()
        prepared.headers["Authorization"] = f"Bearer {self._used}"
        return prepared

    def is_wanting(self) -> bool:
        """Whether a call would have to fetch a token first, which takes its time."""
        return time.monotonic() >= self._kept.ends

    def fetch(self) -> None:
        """See to it that there is a token."""
        kept = self._kept
        with kept.lock:
            if time.monotonic() >= kept.ends:
                kept.value, kept.ends = self._fetched()
            self._used = kept.value

    def may_be_renewed(self) -> bool:
        """Drop the token that was refused, unless somebody renewed it meanwhile."""
        with self._kept.lock:
            if self._kept.value == self._used:
                self._kept.ends = 0.0
        return True

    def _fetched(self) -> tuple[str, float]:
        begun = time.monotonic()
        try:
            with self._session.post(
                self._url,
                data=self._form,
                timeout=(CONNECT_SECONDS, ANSWER_SECONDS),
                allow_redirects=False,
                stream=True,
            ) as response:
                told = json.loads(body_of(response)) if response.ok else {}
        except (requests.RequestException, ValueError, RecursionError) as error:
            raise DeliveryError(f"no token from {urlsplit(self._url).netloc}: {_reason(error)}") from error
        token = told.get("access_token") if isinstance(told, dict) else None
        if not isinstance(token, str) or not token.isascii() or not token.isprintable():
            raise DeliveryError(
                f"no token from {urlsplit(self._url).netloc}: status {response.status_code}",
                retry_after=_seconds(response.headers.get("retry-after", "")),
            )
        life = told.get("expires_in")
        seconds = min(life, TOKEN_SECONDS_MAX) if isinstance(life, int | float) and life > 0 else TOKEN_SECONDS
        return token, begun + max(seconds - RENEW_SECONDS, seconds / 2)


def _token_of(auth: object, secrets: Mapping[str, str], session: requests.Session) -> _Fixed | _ClientCredentials:
    given = auth if isinstance(auth, Mapping) else {}
    kind = given.get("kind")
    name = "api_client_secret" if kind == "oauth2" else "api_token"
    secret = secrets.get(name, "")
    if kind not in {"oauth2", "bearer", "header"}:
        raise DataError(f"transport setting 'auth.kind' {kind!r} is neither 'oauth2', 'bearer' nor 'header'")
    if not secret or not secret.isascii() or not secret.isprintable():
        raise DataError(f"secret {name!r} is missing, or no token")
    if kind == "oauth2":
        return _ClientCredentials(given, secret, session)
    return _Fixed(f"Bearer {secret}" if kind == "bearer" else secret)


# --- small print -----------------------------------------------------------------------------------------------------


def _https(value: object, name: str) -> str:
    try:
        parts = urlsplit(value if isinstance(value, str) else "")
        host = (parts.hostname or "").encode("idna")
        is_way = parts.scheme == "https" and bool(host) and parts.port != 0
    except ValueError:  # a port or a host that is none
        is_way = False
    if not is_way or "@" in parts.netloc or parts.query or parts.fragment:
        raise DataError(f"transport setting {name!r} is not an https address")
    return parts.geturl().rstrip("/")


def _refuse_unsendable(request: Request, headers: Mapping[str, str]) -> None:
    """Find what would break while it is sent, as long as it is certain that nothing was."""
    if request.method not in _METHODS or not request.path.startswith("/") or ".." in request.path:
        raise DataError(f"{request.name} is no call of an API")
    try:
        "".join([request.path, *chain.from_iterable(request.query)]).encode()
    except UnicodeEncodeError:
        raise DataError(f"{request.name}: half a character cannot be sent") from None
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
            raise DataError(f"{request.name}: header {name!r} cannot be sent")


def _text(settings: Mapping[str, Any], name: str) -> str:
    value = settings.get(name)
    if not isinstance(value, str) or not value:
        raise DataError(f"transport setting {name!r} is missing")
    return value


def _root_file(pem: object) -> Any:
    """Return a file that holds the root and vanishes with its last user: requests takes roots by name only."""
    if not pem:
        return None
    if not isinstance(pem, str) or "BEGIN CERTIFICATE" not in pem:
        raise DataError("transport setting 'ca' is no certificate (PEM)")
    file = tempfile.NamedTemporaryFile(suffix=".pem")  # noqa: SIM115  # lives as long as the session
    file.write(pem.encode())
    file.flush()
    return file


def _close(session: requests.Session, root: Any) -> None:
    session.close()
    if root:
        root.close()


def _headers(response: requests.Response) -> dict[str, str]:
    return {name: response.headers[name] for name in _KEPT_HEADERS if name in response.headers}


def _is_unsent(error: requests.RequestException) -> bool:
    """Whether the far side cannot have seen the request: no connection was made, or not to the right door.

    Other failures of TLS may strike while the answer is read.
    """
    reason = _cause(error)
    if isinstance(reason, SSLError):
        return bool(reason.args) and isinstance(reason.args[0], ssl.SSLCertVerificationError)
    return isinstance(error, requests.ConnectTimeout) or isinstance(reason, NewConnectionError | ConnectTimeoutError)


def _reason(error: Exception) -> str:
    """Never the error's own text: it may hold the address with whatever stands in it."""
    cause = _cause(error)
    return type(error).__name__ + (f" ({type(cause).__name__})" if isinstance(cause, Exception) else "")


def _cause(error: Exception) -> object:
    """Return what requests and urllib3 wrapped."""
    cause = error.args[0] if error.args else None
    return cause.reason if isinstance(cause, MaxRetryError) else cause


def _may_be_done(answer: Answer) -> bool:
    return answer.status >= 500 or answer.status in _PERHAPS_DONE


def _told(request: Request, answer: Answer) -> str:
    return f"{request.name}: status {answer.status}"


def _retry_after(answer: Answer) -> float:
    return _seconds(answer.headers.get("retry-after", ""))


def _seconds(value: str) -> float:
    """Read Retry-After in seconds; its other form, a date, is worth no more than our own wait."""
    return float(min(int(value), _RETRY_SECONDS_MAX)) if value.isascii() and value.isdigit() and len(value) < 9 else 0.0
