"""Log-in: who comes in, who is kept out, and that an answer tells nothing it should not."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest
from flask import Flask

from admin import register_panel
from gateway.db.tables import User
from gateway.errors import ConfigurationError, DataError, NotFound
from gateway.services import people
from tests.admin.office import PASSWORD, SECRET_KEY, make_app, token

EMAIL = "kari@example.test"


@pytest.fixture
def app(sqlite_house):
    people.add_user(sqlite_house, EMAIL, PASSWORD, ["admin"], [], "sv", "test")
    return make_app(sqlite_house)


def attempt(app, password, email=EMAIL):
    client = app.test_client()
    return client.post("/login", data={"email": email, "password": password, "csrf_token": token(client)})


def test_the_right_password_opens_the_panel_in_the_persons_language(app):
    client = app.test_client()
    answer = client.post("/login", data={"email": EMAIL.upper(), "password": PASSWORD, "csrf_token": token(client)})
    assert answer.location == "/panel/"
    page = client.get("/panel/").text
    assert '<html lang="sv"' in page


def test_wrong_password_unknown_address_and_locked_account_get_the_same_answer(app, sqlite_house):
    wrong, unknown = attempt(app, "wrong"), attempt(app, PASSWORD, "nobody@example.test")
    for _ in range(people.FAILURES_BEFORE_LOCK):
        attempt(app, "wrong")
    locked = attempt(app, PASSWORD)

    def said(answer):
        return answer.text.split('role="alert"')[1].split("</div>")[0], answer.status_code

    assert said(wrong) == said(unknown) == said(locked)
    assert "Passord" in wrong.text
    assert EMAIL not in unknown.text


def test_five_failures_lock_for_a_quarter_of_an_hour(app, clock):
    for _ in range(people.FAILURES_BEFORE_LOCK):
        assert attempt(app, "wrong").status_code == 200
    assert attempt(app, PASSWORD).status_code == 200, "a locked account opened"
    clock.advance(minutes=14, seconds=59)
    assert attempt(app, PASSWORD).status_code == 200, "the lock ended too early"
    clock.advance(seconds=2)
    assert attempt(app, PASSWORD).status_code == 302


def test_four_failures_do_not_lock_and_a_success_forgets_them(app):
    for _ in range(2):
        for _ in range(people.FAILURES_BEFORE_LOCK - 1):
            attempt(app, "wrong")
        assert attempt(app, PASSWORD).status_code == 302


def test_trying_while_locked_does_not_prolong_the_lock(app, clock):
    for _ in range(people.FAILURES_BEFORE_LOCK):
        attempt(app, "wrong")
    clock.advance(minutes=14)
    attempt(app, "wrong")
    clock.advance(minutes=1, seconds=1)
    assert attempt(app, PASSWORD).status_code == 302


def test_guessing_at_once_from_many_places_counts_every_guess(house):
    user_id = people.add_user(house, EMAIL, PASSWORD, ["admin"], [], "nb", "test")
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: people.authenticate(house, EMAIL, "wrong"), range(people.FAILURES_BEFORE_LOCK)))
    with house.database.session() as session:
        assert session.get(User, user_id).locked_until is not None


def test_passwords_are_kept_as_argon2id_only(house):
    user_id = people.add_user(house, EMAIL, PASSWORD, ["admin"], [], "nb", "test")
    with house.database.session() as session:
        stored = session.get(User, user_id).password
    assert stored.startswith("$argon2id$")
    assert PASSWORD not in stored


def test_cookies_cannot_be_read_by_scripts_nor_sent_from_other_sites(app):
    client = app.test_client()
    cookie = client.get("/login").headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Secure" not in cookie


def test_over_https_cookies_are_sent_on_nothing_else(sqlite_house):
    app = Flask("https", static_folder=None)
    register_panel(app, sqlite_house, secret_key=SECRET_KEY, is_https=True)
    answer = app.test_client().get("/login", base_url="https://localhost")
    cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith("__Host-")
    assert "Secure" in cookie
    assert "Path=/" in cookie
    assert "Domain" not in cookie
    assert "max-age" in answer.headers["Strict-Transport-Security"]


def test_logging_out_is_a_post_with_a_token(app):
    client = app.test_client()
    client.post("/login", data={"email": EMAIL, "password": PASSWORD, "csrf_token": token(client)})
    assert client.get("/logout").status_code == 405
    assert client.post("/logout").status_code == 400
    assert client.get("/panel/").status_code == 200, "a forged log-out worked"
    client.post("/logout", data={"csrf_token": token(client, "/panel/")})
    assert client.get("/panel/").status_code == 302


def test_a_person_shut_out_is_out_with_the_next_request(app, sqlite_house):
    client = app.test_client()
    client.post("/login", data={"email": EMAIL, "password": PASSWORD, "csrf_token": token(client)})
    people.set_active(sqlite_house, 1, active=False, actor="test")
    assert client.get("/panel/").status_code == 302
    assert attempt(app, PASSWORD).status_code == 200


def test_a_new_password_ends_every_session(app, sqlite_house):
    client = app.test_client()
    client.post("/login", data={"email": EMAIL, "password": PASSWORD, "csrf_token": token(client)})
    people.set_password(sqlite_house, 1, "another long password", "test")
    assert client.get("/panel/").status_code == 302
    assert attempt(app, "another long password").status_code == 302


@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example", "/\\evil.example"])
def test_the_login_leads_nowhere_else(app, target):
    client = app.test_client()
    form = {"email": EMAIL, "password": PASSWORD, "csrf_token": token(client)}
    answer = client.post(f"/login?next={target}", data=form)
    assert not urlsplit(answer.location or "").netloc
    assert not (answer.location or "").startswith(("//", "/\\"))


def test_no_token_in_the_address_or_header_logs_in(app):
    client = app.test_client()
    assert client.get("/panel/?auth_token=x", headers={"Authentication-Token": "x"}).status_code == 302


def test_a_stranger_may_choose_the_language_of_the_login(app):
    client = app.test_client()
    client.post("/panel/language", data={"value": "en", "csrf_token": token(client)})
    assert "Log in" in client.get("/login").text
    assert client.post("/panel/language", data={"value": "xx", "csrf_token": token(client)}).status_code == 400


def test_a_short_secret_key_is_refused(sqlite_house):
    with pytest.raises(ConfigurationError):
        register_panel(Flask("short"), sqlite_house, secret_key="short")


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"email": "not an address"}, DataError),
        ({"email": "@"}, DataError),
        ({"password": "short"}, DataError),
        ({"roles": ["king"]}, DataError),
        ({"language": "xx"}, DataError),
        ({"creditor_ids": [99]}, NotFound),
    ],
)
def test_people_who_cannot_be_added(house, change, error):
    facts = {"email": EMAIL, "password": PASSWORD, "roles": ["admin"], "creditor_ids": [], "language": "nb"} | change
    with pytest.raises(error):
        people.add_user(house, **facts, actor="test")


def test_an_address_is_a_user_once(house):
    people.add_user(house, EMAIL, PASSWORD, ["admin"], [], "nb", "test")
    with pytest.raises(DataError):
        people.add_user(house, EMAIL.upper(), PASSWORD, ["admin"], [], "nb", "test")
