"""The one base of every panel page: closed unless a row of `admin.access` opens it, and never writing by itself.

Flask-Admin answers "yes" to everything by default (create, edit, delete, actions, lookups) and registers a route for
each. Here those routes do not exist at all; what a page can change it says with `act`, which takes POST only, needs the
token (application-wide), a role, and calls one service.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast
from urllib.parse import urlsplit

from flask import Response, abort, flash, redirect, request, url_for
from flask_admin import BaseView, expose
from flask_admin.model import BaseModelView
from flask_security import current_user
from flask_wtf import FlaskForm
from werkzeug.wrappers import Response as BaseResponse

from admin.access import may, may_open
from admin.language import language
from admin.paging import PAGE_ROWS
from admin.texts import counted, text
from gateway.db.tables import Base
from gateway.domain.reasons import remedy, sentence, told
from gateway.errors import Busy, DataError, NotFound, Refused
from gateway.services.house import House

View = TypeVar("View", bound=Callable[..., Any])

ENDPOINT_PREFIX = "panel_"


def page(url: str) -> Callable[[View], View]:
    """Register a page that only shows."""
    return cast("Callable[[View], View]", expose(url, methods=("GET",)))


def act(url: str, name: str) -> Callable[[View], View]:
    """Register a change: POST only, for roles of act *name*; what the rules refuse becomes a message on the page."""

    def register(function: View) -> View:
        @wraps(function)
        def guarded(self: Any, *args: Any, **kwargs: Any) -> Any:
            try:
                return function(self, *args, **kwargs)
            except NotFound:
                abort(404)
            except Refused as error:
                flash(refusal(error), "danger")
            except Busy:
                flash(text(language(), "error.busy"), "danger")
            except DataError as error:
                flash(
                    text(language(), "error.refused", why=told(error.args[0] if error.args else "", language())),
                    "danger",
                )
            return go_back(self)

        guarded._panel_act = name  # type: ignore[attr-defined]  # noqa: SLF001  # read by _Closed._handle_view
        return cast("View", expose(url, methods=("POST",))(guarded))

    return register


def refusal(error: Refused) -> str:
    """Return why something was refused, in the reader's language, and that nothing has changed."""
    said = [sentence(error.code, language(), error.values), remedy(error.code, language(), error.values)]
    return " ".join([*filter(None, said), text(language(), "error.unchanged")])


def done(key: str, n: int | None = None, **values: object) -> None:
    """Say on the next page what was done."""
    flash(text(language(), key, **values) if n is None else counted(language(), key, n, **values), "success")


def go_back(view: Any) -> BaseResponse:
    """Redirect to where the form said it came from, if that is one of our pages; else to the view's first page."""
    target = request.form.get("back", "")
    parts = urlsplit(target)
    is_ours = target.startswith("/panel/") and not (parts.scheme or parts.netloc) and "\\" not in target
    return redirect(target if is_ours else url_for(f"{view.endpoint}.index_view"))


def chosen_ids(name: str = "rowid", limit: int = 500) -> list[int]:
    """Return the ids ticked in a list; 400 for anything else than numbers, or more than a page holds."""
    found = request.form.getlist(name)
    if len(found) > limit or not all(value.isdecimal() and len(value) < 19 for value in found):
        abort(400)
    return list(dict.fromkeys(int(value) for value in found))


class _Closed:
    """Deny everything that `admin.access` does not allow."""

    house: House
    key = ""
    """Name of the page in `admin.access.READERS`."""

    def is_accessible(self) -> bool:
        """Open to active people with a role of this page, to nobody else."""
        return may_open(self.key)

    def is_visible(self) -> bool:
        """Shown in the menu to those who may open it."""
        return self.is_accessible()

    def inaccessible_callback(self, _name: str, /, **_kwargs: Any) -> BaseResponse:
        """Send strangers to the log-in page; tell others that the page is not theirs."""
        if not current_user.is_authenticated:
            return redirect(url_for("security.login", next=request.full_path if request.method == "GET" else None))
        return abort(403)

    def _handle_view(self, name: str, /, **kwargs: Any) -> BaseResponse | None:
        if not self.is_accessible():
            return self.inaccessible_callback(name, **kwargs)
        act_name = getattr(getattr(type(self), name), "_panel_act", None)
        if request.method not in {"GET", "HEAD", "OPTIONS"} and (act_name is None or not may(act_name)):
            abort(403)
        return None


class PanelView(_Closed, BaseView):  # type: ignore[misc]  # the library has no types
    """A page that is not one table's list."""

    def __init__(self, house: House) -> None:
        self.house = house
        super().__init__(name=self.key, endpoint=ENDPOINT_PREFIX + self.key, url=self.key)


class TableView(_Closed, BaseModelView):  # type: ignore[misc]  # the library has no types
    """A list of one mapped table. Read only: Flask-Admin's own changing routes are taken away, not merely refused.

    It derives from Flask-Admin's neutral model view, not from the one for Flask-SQLAlchemy: that one wants a session of
    its own that commits, pages by offset and imports a package we do not need (docs/adr/0020-login.md).
    """

    model_class: type[Base]
    form = FlaskForm
    can_create = can_edit = can_delete = can_view_details = can_export = can_set_page_size = False
    simple_list_pager = True
    page_size = PAGE_ROWS
    create_view = edit_view = details_view = delete_view = action_view = ajax_lookup = ajax_update = export = None

    def __init__(self, house: House) -> None:
        self.house = house
        super().__init__(self.model_class, name=self.key, endpoint=ENDPOINT_PREFIX + self.key, url=self.key)

    def scaffold_list_columns(self) -> list[str]:
        """Return the table's columns; lists have templates of their own and show what they choose."""
        return [column.name for column in self.model_class.__table__.columns]

    def scaffold_sortable_columns(self) -> dict[str, str]:
        """Return none: a list is ordered by its key, so that any page of it is one step down an index."""
        return {}

    def scaffold_form(self) -> type[FlaskForm]:
        """Return an empty form with a token: nothing is edited generically."""
        return cast("type[FlaskForm]", FlaskForm)

    def scaffold_list_form(self, *_args: Any, **_kwargs: Any) -> type[FlaskForm]:
        """Return an empty form: nothing is edited in the list generically."""
        return cast("type[FlaskForm]", FlaskForm)

    def init_search(self) -> bool:
        """Return False: each list searches by the indexes it has."""
        return False

    def get_pk_value(self, model: Any) -> Any:
        """Return the row's id."""
        return model.id

    def is_action_allowed(self, _name: str) -> bool:
        """Allow none of Flask-Admin's actions; changes are `act` routes."""
        return False

    def render_list(self, template: str, slice_: Any, **context: Any) -> str:
        """Render the list with its pager."""
        return str(self.render(template, slice=slice_, rows=slice_.rows, **context))


def not_found_unless(found: Any) -> Any:
    """Return *found*, or answer 404 where it is None."""
    if found is None:
        abort(404)
    return found


def download(response: Response, filename: str) -> Response:
    """Make *response* a download that no browser opens by itself."""
    plain = "".join(sign if sign.isascii() and (sign.isalnum() or sign in "._-") else "_" for sign in filename)
    response.headers["Content-Disposition"] = f'attachment; filename="{plain or "file"}"'
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response
