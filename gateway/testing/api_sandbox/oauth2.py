"""Who may call a sandbox: OAuth2 client credentials, bearer tokens, and the answers to those who may not."""

from __future__ import annotations

import json
import secrets
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from hmac import compare_digest
from typing import TYPE_CHECKING, Any

from flask import Request, Response, request

if TYPE_CHECKING:
    from gateway.testing.api_sandbox.sandbox import ApiSandbox


@dataclass(frozen=True, slots=True)
class OAuth2:
    """The token endpoint of a sandbox (RFC 6749 section 4.4).

    *clients* maps ids to secrets. A request may ask for any of *scopes*, and where *audience* is set must name it. A token
    ends after *seconds*.
    """

    clients: Mapping[str, str]
    path: str = "/oauth/token"
    seconds: int = 3600
    scopes: frozenset[str] = frozenset()
    audience: str = ""


def token_answer(sandbox: ApiSandbox, oauth2: OAuth2) -> Response:
    """Answer a request for a token: RFC 6749 sections 4.4 and 5; the audience as of RFC 8707."""
    form, given = request.form, request.authorization
    basic = given if given and given.type == "basic" else None
    if any(len(form.getlist(name)) > 1 for name in form) or not form.get("grant_type"):
        return refusal(400, "invalid_request")
    if form["grant_type"] != "client_credentials":
        return refusal(400, "unsupported_grant_type")
    client = (basic.username if basic else form.get("client_id")) or ""
    secret = (basic.password if basic else form.get("client_secret")) or ""
    if client not in oauth2.clients or not same(secret, oauth2.clients[client]):
        return refusal(401, "invalid_client", 'Basic realm="sandbox"' if basic else "")
    if oauth2.audience and form.get("audience") != oauth2.audience:
        return refusal(400, "invalid_target")
    scope = form.get("scope", "")
    if not oauth2.scopes.issuperset(scope.split()):
        return refusal(400, "invalid_scope")
    token = secrets.token_urlsafe(24)
    with sandbox.transaction() as connection:
        ends = (sandbox.now() + timedelta(seconds=oauth2.seconds)).isoformat()
        connection.execute("INSERT INTO api_token VALUES (?, ?, ?, ?)", (token, client, scope, ends))
    told = {"access_token": token, "token_type": "Bearer", "expires_in": oauth2.seconds}
    return _json(200, told | ({"scope": scope} if scope else {}))


def bearer(asked: Request) -> str:
    """Return the bearer token of a request, empty when it has none."""
    kind, _, token = asked.headers.get("Authorization", "").partition(" ")
    return token if kind.lower() == "bearer" else ""


def client_of(connection: sqlite3.Connection, token: str, now: datetime) -> sqlite3.Row | None:
    """Return what is known of a token that has not ended."""
    row: sqlite3.Row | None = connection.execute("SELECT * FROM api_token WHERE token = ?", (token,)).fetchone()
    return row if row and now < datetime.fromisoformat(row["ends"]) else None


def bearer_fault(sandbox: ApiSandbox, scope: str) -> Response | None:
    """Return why a call is refused, None when its token is good (RFC 6750 section 3)."""
    token = bearer(request)
    with sandbox.transaction() as connection:
        known = client_of(connection, token, sandbox.now())
    if known is None:
        return refusal(401, "invalid_token", 'Bearer error="invalid_token"' if token else "Bearer")
    if scope and scope not in known["scope"].split():
        return refusal(403, "insufficient_scope", f'Bearer error="insufficient_scope", scope="{scope}"')
    return None


def refusal(status: int, error: str, challenge: str = "") -> Response:
    """Return an answer that refuses, with the body of RFC 6749 section 5.2."""
    answer = _json(status, {"error": error})
    if challenge:
        answer.headers["WWW-Authenticate"] = challenge
    return answer


def _json(status: int, content: Mapping[str, Any]) -> Response:
    headers = {"Cache-Control": "no-store"}
    return Response(json.dumps(content), status, headers, content_type="application/json")


def same(one: str, other: str) -> bool:
    """Whether two secrets are equal, in a time that tells nothing."""
    return compare_digest(one.encode(), other.encode())
