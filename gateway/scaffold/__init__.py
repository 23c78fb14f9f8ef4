"""The beginning of an agency plugin: a package of its own that installs, passes conformance, and is then rewritten.

The files under ``files`` are what `new_plugin` writes, with a few names put in.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterator, Mapping
from importlib import resources
from pathlib import Path
from string import Template

from gateway.domain.exchange import Service
from gateway.errors import DataError
from gateway.hookspecs import API_VERSION

KEY = re.compile(r"[a-z][a-z0-9_]{1,18}[a-z0-9]")
KINDS: Mapping[str, tuple[str, ...]] = {
    "records": ("layout.py", "outgoing.py", "incoming.py"),
    "profile": ("incoming.py", "profiles/{layout}.toml"),
    "api": ("planning.py", "calling.py", "looking.py"),
}
"""How the agency is reached, to the modules of such a plugin beside its profile and hooks: files of records that are declared in
Python, files by a layout profile in TOML, an API."""
_TITLE_CHARACTERS = 60


def new_plugin(
    folder: Path, key: str, *, kind: str, title: str, market: str, currency: str, service: Service
) -> list[Path]:
    """Write a complete plugin package and return its files.

    Args:
        folder: where the package's own folder is made.
        key: how the agency is called in settings and addresses: small letters, digits, ``_``.
        kind: how it is reached, of `KINDS`.
        title: the agency's name as people read it.
        market: ISO 3166-1 alpha-2 of its country.
        currency: ISO 4217.
        service: what creditors buy of it.

    Raises:
        DataError: a name that cannot be, or the package's folder exists.
    """
    names = _names(key, title, market, currency, service)
    root = folder / names["distribution"]
    if root.exists():
        raise DataError(f"{root} is there already; nothing was written")
    written = []
    for source, target in _files(kind):
        text = resources.files(__package__).joinpath("files", source).read_text(encoding="utf-8")
        path = root / target.format(**names)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(Template(text).substitute(names), encoding="utf-8")
        written.append(path)
    return written


def _files(kind: str) -> Iterator[tuple[str, str]]:
    """Yield template and target of each file; an agency of either kind of files is played by the same other end."""
    yield "pyproject.toml.txt", "pyproject.toml"
    yield f"{kind}/README.md.txt", "README.md"
    yield f"{kind}/init.py.txt", "src/{package}/__init__.py"
    for name in KINDS[kind]:
        yield f"{kind}/{name.format(layout='layout').rpartition('/')[2]}.txt", f"src/{{package}}/{name}"
    yield f"{'api' if kind == 'api' else 'records'}/sandbox.py.txt", "src/{package}/sandbox.py"
    yield f"{kind}/test.py.txt", "tests/test_{key}.py"


def _names(key: str, title: str, market: str, currency: str, service: Service) -> Mapping[str, str]:
    if not KEY.fullmatch(key) or keyword.iskeyword(key):
        raise DataError(f"{key!r} is no name for a plugin: 3 to 20 small letters, digits and _, a letter first")
    if not title.strip() or len(title) > _TITLE_CHARACTERS or not title.isprintable() or set(title) & set("\"\\'{}$"):
        raise DataError(f"{title!r} is no title: 1 to {_TITLE_CHARACTERS} printable characters, no quotes or braces")
    for name, value, length in (("country", market, 2), ("currency", currency, 3)):
        if not re.fullmatch(f"[A-Z]{{{length}}}", value):
            raise DataError(f"{value!r} is no {name}: {length} capital letters")
    return {
        "key": key,
        "layout": f"{key.replace('_', '-')}-1",
        "title": title,
        "package": f"kravport_{key}",
        "distribution": f"kravport-{key.replace('_', '-')}",
        "class_name": "".join(part.capitalize() for part in key.split("_")),
        "market": market,
        "currency": currency,
        "service": service.name,
        "api_version": API_VERSION,
    }
