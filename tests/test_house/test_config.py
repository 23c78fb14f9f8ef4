"""Settings: read, refused, kept secret, documented."""

from __future__ import annotations

import stat
from dataclasses import fields
from pathlib import Path

import pytest

from gateway.config import _DEVELOPERS_OWN, Settings, as_markdown, unknown_variables
from gateway.errors import ConfigurationError

ROOT = Path(__file__).parents[2]


def test_the_default_needs_nothing(tmp_path):
    settings = Settings.from_environment({})
    assert settings.home == Path("var").absolute()
    assert settings.effective_database_url == f"sqlite:///{Path('var').absolute()}/kravport.sqlite"
    assert (settings.host, settings.port) == ("127.0.0.1", 8018)
    assert settings.https is False


def test_given_values_are_taken(tmp_path):
    settings = Settings.from_environment(
        {
            "KRAVPORT_HOME": str(tmp_path),
            "KRAVPORT_DATABASE_URL": "postgresql://u:p@h/d",
            "KRAVPORT_PORT": "9000",
            "KRAVPORT_TRUSTED_HOSTS": "a.example, b.example",
            "KRAVPORT_HTTPS": "yes",
        }
    )
    assert settings.effective_database_url == "postgresql://u:p@h/d"
    assert settings.port == 9000
    assert settings.trusted_hosts == ("a.example", "b.example")
    assert settings.https is True


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("KRAVPORT_PORT", "http"),
        ("KRAVPORT_PORT", "0"),
        ("KRAVPORT_PORT", "70000"),
        ("KRAVPORT_PORT", "-1"),
        ("KRAVPORT_WORKERS", "0"),
        ("KRAVPORT_HTTPS", "perhaps"),
        ("KRAVPORT_LOG_FORMAT", "xml"),
        ("KRAVPORT_MAX_UPLOAD_BYTES", "1"),
    ],
)
def test_a_wrong_value_is_named(name, value):
    with pytest.raises(ConfigurationError, match=name):
        Settings.from_environment({name: value})


def test_all_wrong_values_are_named_at_once():
    with pytest.raises(ConfigurationError, match=r"KRAVPORT_PORT.*KRAVPORT_WORKERS"):
        Settings.from_environment({"KRAVPORT_PORT": "x", "KRAVPORT_WORKERS": "x"})


def test_a_misspelt_setting_is_found():
    given = {"KRAVPORT_DATABSE_URL": "x", "KRAVPORT_PORT": "1", "KRAVPORT_TEST_PG_URL": "x", "HOME": "/"}
    assert unknown_variables(given) == ["KRAVPORT_DATABSE_URL"]


def test_the_embedded_key_is_made_once_and_readable_by_its_owner_only(tmp_path):
    settings = Settings.from_environment({"KRAVPORT_HOME": str(tmp_path / "home")})
    key = settings.effective_secret_key()
    assert len(key) >= 32
    assert settings.effective_secret_key() == key
    kept = tmp_path / "home" / "secret-key"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert [path.name for path in kept.parent.iterdir()] == ["secret-key"]


def test_production_must_be_given_its_key(tmp_path):
    settings = Settings.from_environment({"KRAVPORT_HOME": str(tmp_path), "KRAVPORT_DATABASE_URL": "postgresql://h/d"})
    with pytest.raises(ConfigurationError, match="KRAVPORT_SECRET_KEY must be set"):
        settings.effective_secret_key()


def test_a_short_key_is_no_key(tmp_path):
    settings = Settings.from_environment({"KRAVPORT_HOME": str(tmp_path), "KRAVPORT_SECRET_KEY": "x" * 31})
    with pytest.raises(ConfigurationError, match="32 characters"):
        settings.effective_secret_key()


def test_children_read_back_the_same_settings(tmp_path):
    settings = Settings.from_environment(
        {"KRAVPORT_HOME": str(tmp_path), "KRAVPORT_HTTPS": "1", "KRAVPORT_TRUSTED_HOSTS": "a,b", "KRAVPORT_PORT": "81"}
    )
    assert Settings.from_environment(settings.as_environment()) == settings


def test_every_setting_has_help_and_secrets_say_so():
    for setting in fields(Settings):
        assert setting.metadata["help"].endswith("."), setting.name
    secret = {setting.name for setting in fields(Settings) if setting.metadata["secret"]}
    assert secret == {"database_url", "redis_url", "secret_key", "metrics_token"}


def test_the_configuration_page_is_current():
    assert (ROOT / "docs" / "configuration.md").read_text() == as_markdown(), "run: kravport doctor --settings"


def test_nothing_of_the_house_reads_an_undocumented_variable():
    import re

    known = {setting.metadata["name"] for setting in fields(Settings)}
    used = set()
    for folder in ("gateway", "admin", "plugins"):
        for path in (ROOT / folder).rglob("*.py"):
            used |= set(re.findall(r"""["'](KRAVPORT_[A-Z_]+)["']""", path.read_text()))
    assert used - known - _DEVELOPERS_OWN - {"KRAVPORT_TEST_"} == set()
