"""The profiles that come with the installed plugins: files in the folder ``profiles`` beside each plugin's code."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path

GROUP = "kravport.agencies"
"""The entry-point group of agency plugins; stated here again because this package lies below the hooks."""


def shipped() -> Mapping[str, Path]:
    """Return the profiles of every installed plugin by name. No plugin is run for it, and a broken one is passed over."""
    found: dict[str, Path] = {}
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        try:
            spec = find_spec(entry.module)
        except (ImportError, ValueError):  # its package is not there: the page of plugins says so
            continue
        if spec is not None and spec.origin:
            folder = Path(spec.origin).parent / "profiles"
            found |= {path.stem: path for path in sorted(folder.glob("*.toml"))}
    return found
