"""Drafts of new profiles: from a template of each kind, or like one that is shipped."""

from __future__ import annotations

import re
from importlib import resources

from gateway.errors import NotFound
from gateway.profiles.declaration import DELIMITED, FIXED, XML
from gateway.profiles.shipped import shipped

KINDS = (FIXED, DELIMITED, XML)
_NAME = re.compile(r'^name = "[^"]*"$', re.MULTILINE)
_SANDBOX_ONLY = re.compile(r"^sandbox_only = true\n", re.MULTILINE)
_TO_BE_NAMED = (
    "ask = [\n  \"Every name in this file is Kravport's, none the agency's: replace each from the agency's document, then"
    ' delete this.",\n]\n'
)


def draft(name: str, *, kind: str = FIXED, like: str = "") -> str:
    """Return the text of a new profile called *name*.

    Args:
        name: small letters, digits and hyphens.
        kind: which template, where *like* is empty.
        like: name of a shipped profile to begin with. What is nobody's layout is marked as still to be named.

    Raises:
        NotFound: no profile is called *like*.
    """
    if not like:
        text = resources.files(__package__).joinpath("templates", f"{kind}.toml").read_text(encoding="utf-8")
    elif like in (known := shipped()):
        text = known[like].read_text(encoding="utf-8")
    else:
        raise NotFound(f"no shipped profile {like!r}; there are {', '.join(sorted(known)) or 'none'}")
    return _SANDBOX_ONLY.sub(_TO_BE_NAMED, _NAME.sub(f'name = "{name}"', text, count=1), count=1)
