"""Generated pages of the documentation are those the code would generate now."""

from __future__ import annotations

import importlib.util
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def load(name: str):
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_rules_covered_is_current():
    made = load("rules_covered")
    assert made.PAGE.read_text(encoding="utf-8") == made.page(), "run: python tools/rules_covered.py"


def test_every_rule_of_the_rules_is_in_the_table(shared):
    """The table of titles lists exactly the rules that exist."""
    import re
    import tomllib

    text = (shared / "domain" / "rules.md").read_text(encoding="utf-8")
    exist = set(re.findall(r"^\*\*(R-[A-Z]{2}-\d\d) ", text, re.MULTILINE))
    groups = tomllib.loads(load("rules_covered").TITLES.read_text(encoding="utf-8"))
    assert {f"{group}-{n}" for group, rows in groups.items() for n in rows if n != "name"} == exist
    assert len(exist) > 200
