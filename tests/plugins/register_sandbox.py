"""A small agency with an API; it stands alone so that a process that is to be killed starts quickly."""

from __future__ import annotations

import os
import signal

from flask import Response, request

from gateway.testing.api_sandbox import ApiSandbox, OAuth2

LOGIN = {"grant_type": "client_credentials", "client_id": "fjord", "client_secret": "s3cret"}


class Register(ApiSandbox):
    """Opens a case for whatever it is asked to, as often as it is asked."""

    orders = frozenset({"opened"})

    def __init__(self, root, **options):
        oauth2 = OAuth2({"fjord": "s3cret"}, seconds=3600, scopes=frozenset({"cases", "money"}))
        tables = "CREATE TABLE IF NOT EXISTS opened (invoice TEXT NOT NULL);"
        super().__init__(
            root, tables, oauth2, lambda push, moment: {"Signed": f"{push.number} {moment:%H:%M}"}, **options
        )
        self.app.post("/cases")(self.needs_bearer("cases")(self.open_case))
        self.app.get("/fixed")(self.needs_header("Authorization", "key-of-ours")(self.look_in))
        self.app.post("/hook")(self.take)

    def open_case(self):
        invoice = request.get_json()["invoice"]
        with self.transaction() as connection:
            connection.execute("INSERT INTO opened VALUES (?)", (invoice,))
        self.created("case", invoice)
        if invoice.startswith("refuse"):
            return Response("no", 422)
        if invoice == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        return {"case": f"K{invoice}"}, 201

    def look_in(self):
        return "in"

    def take(self):
        return "", 204

    def opened(self):
        with self.transaction() as connection:
            return [row["invoice"] for row in connection.execute("SELECT invoice FROM opened")]


def token(client, **changes):
    answer = client.post("/oauth/token", data={"scope": "cases", **LOGIN, **changes})
    return answer.status_code, answer.get_json()


def bearer(client, **changes):
    return {"Authorization": f"Bearer {token(client, **changes)[1]['access_token']}"}
