"""Which language a page is in: the person's choice, else this browser's, else Norwegian."""

from __future__ import annotations

from flask import g, has_request_context, request, session
from flask_security import current_user

from admin.texts import LANGUAGES

SESSION_KEY = "language"
_ACCEPTED = {"nb": "nb", "no": "nb", "nn": "nb", "sv": "sv", "en": "en"}


def language() -> str:
    """Return ``nb``, ``sv`` or ``en``; the same throughout one request."""
    if not has_request_context():
        return LANGUAGES[0]
    if "panel_language" not in g:
        g.panel_language = _find()
    return str(g.panel_language)


def _find() -> str:
    if current_user.is_authenticated and current_user.language in LANGUAGES:
        return str(current_user.language)
    if session.get(SESSION_KEY) in LANGUAGES:
        return str(session[SESSION_KEY])
    best = request.accept_languages.best_match(list(_ACCEPTED), default="nb")
    return _ACCEPTED[str(best)]
