"""Reading the panel's pages in tests: rows, envelopes, forms."""

from __future__ import annotations

from tests.admin.office import token

TOOLTIP = {
    "sv": "Den här ordern kommer att skickas till factoring",
    "nb": "Denne ordren vil bli sendt til factoring",
    "en": "This order will be sent to factoring",
}


def speak(client, language):
    client.post("/panel/choices/language", data={"value": language, "csrf_token": token(client, "/panel/")})
    return client


def rows(text):
    """Return the rows of a list: id → the row's html."""
    return {int(part.split('"', 1)[0]): part.split("</tr>")[0] for part in text.split('data-row="')[1:]}


def with_envelope(text):
    return {row_id for row_id, row in rows(text).items() if 'class="env"' in row}


def send(client, path, page="/panel/", **form):
    return client.post(path, data=form | {"csrf_token": token(client, page), "back": page}, follow_redirects=True)
