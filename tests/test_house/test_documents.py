"""Documents that state what the code states are printed from it, and current (S17)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tools import documents

ROOT = documents.ROOT


@pytest.mark.parametrize("path", documents.generated(), ids=lambda path: path.name)
def test_generated_documents_are_current(path):
    assert path.read_text() == documents.generated()[path], "run: make docs"


@pytest.mark.parametrize("path", sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]), ids=lambda p: p.name)
def test_links_between_documents_lead_somewhere(path):
    for target in re.findall(r"\]\(([^)#\s]+)", path.read_text()):
        if not target.startswith(("http://", "https://", "mailto:")):
            assert (path.parent / target).exists(), target


def test_the_readme_names_both_commands_and_production():
    text = (ROOT / "README.md").read_text()
    for needed in ("make demo", "make test", "KRAVPORT_DATABASE_URL", "KRAVPORT_REDIS_URL", "kravport run"):
        assert needed in text


def test_every_make_target_explains_itself():
    text = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z]+):(?!=)", text, re.MULTILINE)) - {"browser"}
    assert {"demo", "run", "test", "check", "bench", "clean", "lock", "screenshots"} <= targets
    assert [name for name in targets if not re.search(rf"^{name}:.*## ", text, re.MULTILINE)] == []


def test_no_lock_file_names_a_place_to_download_from():
    for path in Path(ROOT, "requirements").glob("*.txt"):
        assert "--index-url" not in path.read_text()
        assert "http" not in path.read_text()
