"""What a linter cannot know, checked over syntax trees (architecture section 3, P19, P21)."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
CODE = ("gateway", "plugins", "admin")
CLOCK_READERS = {"gateway/clock.py"}
LINES_MAX = 500
COMPILES_ITS_DECLARATIONS = {"gateway/formats/record.py", "gateway/formats/record_line.py"}
"""Layouts declared once are turned into straight-line code (architecture section 5). Of layouts given as data nothing is in
that code but names of fields, and `record.made` refuses a name that is no lower-case word (ADR 0028)."""


def trees(*folders: str) -> Iterator[tuple[str, ast.Module]]:
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            if "migrations/versions" not in str(path):
                yield str(path.relative_to(ROOT)), ast.parse(path.read_text())


def calls(tree: ast.Module) -> Iterator[tuple[str, int]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node.lineno


def test_only_the_unit_of_work_commits():
    found = [
        f"{name}:{line}"
        for name, tree in trees(*CODE)
        for called, line in calls(tree)
        if called.rpartition(".")[2] in {"commit", "rollback"} and name != "gateway/db/uow.py"
    ]
    assert found == []


def test_only_the_clock_reads_the_clock():
    """`time.monotonic` measures waiting and is no clock; P21 is about what day it is."""
    forbidden = {
        "datetime.now",
        "datetime.utcnow",
        "datetime.today",
        "date.today",
        "time.time",
        "datetime.datetime.now",
    }
    found = [
        f"{name}:{line} {called}"
        for name, tree in trees(*CODE)
        for called, line in calls(tree)
        if called in forbidden and name not in CLOCK_READERS
    ]
    assert found == []


def test_no_float_near_money():
    found = []
    for name, tree in trees("gateway/domain", "gateway/formats", "gateway/accounting", "gateway/services", "plugins"):
        found += [f"{name}:{line}" for called, line in calls(tree) if called == "float"]
        found += [
            f"{name}:{node.lineno} {node.value}"
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant) and isinstance(node.value, float)
        ]
    assert found == []


def test_no_pickle_no_eval_no_shell():
    forbidden = {"pickle", "cPickle", "marshal", "shelve", "dill"}
    found = []
    for name, tree in trees(*CODE):
        for node in ast.walk(tree):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            found += [f"{name}:{node.lineno}" for module in names if module.split(".")[0] in forbidden]
            if isinstance(node, ast.Call):
                is_shell = any(k.arg == "shell" and ast.unparse(k.value) == "True" for k in node.keywords)
                runs_text = ast.unparse(node.func) in {"eval", "exec"} and name not in COMPILES_ITS_DECLARATIONS
                found += [f"{name}:{node.lineno}"] if is_shell or runs_text else []
    assert found == []


def test_no_group_of_a_pattern_is_possessive():
    """After one that fails, Python 3.11.2 goes on behind what it had read of it; an atomic group does the same rightly."""
    possessive = re.compile(r"\)(?:[?*+]|\{+[0-9,]+\}+)\+")
    texts = [
        (f"{name}:{node.lineno}", node.value)
        for name, tree in trees(*CODE)
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    assert possessive.search("(?:ab)?+")
    assert possessive.search("(ab){0,9}+")
    assert [place for place, text in texts if possessive.search(text)] == []


def test_tls_is_always_verified():
    found = [
        f"{name}:{node.lineno}"
        for name, tree in trees(*CODE)
        for node in ast.walk(tree)
        if isinstance(node, ast.keyword)
        and node.arg in {"verify", "known_hosts"}
        and ast.unparse(node.value) in {"False", "None"}
    ]
    assert found == []


def test_no_file_grows_past_five_hundred_lines():
    long = {
        name: count
        for folder in CODE
        for path in sorted((ROOT / folder).rglob("*.py"))
        if "migrations/versions" not in (name := str(path.relative_to(ROOT)))
        and (count := len(path.read_text().splitlines())) > LINES_MAX
    }
    assert long == {}


def test_nothing_is_left_unfinished():
    words = ("TO" + "DO", "FIX" + "ME", "X" * 3 + " ")
    found = [
        f"{path.relative_to(ROOT)}: {word}"
        for folder in (*CODE, "tests", "bench", "tools")
        for path in sorted((ROOT / folder).rglob("*.py"))
        for word in words
        if word in path.read_text()
    ]
    assert found == []
    empty_handlers = [
        f"{name}:{node.lineno}"
        for name, tree in trees(*CODE)
        for node in ast.walk(tree)
        if isinstance(node, ast.ExceptHandler)
        and ast.unparse(node.type or ast.Name("bare")) in {"Exception", "BaseException", "bare"}
        and all(isinstance(line, ast.Pass) for line in node.body)
    ]
    assert empty_handlers == []


def test_no_path_of_this_machine_stands_in_the_source():
    found = [
        str(path.relative_to(ROOT))
        for folder in (*CODE, "tests", "bench", "tools", "docs")
        for path in sorted((ROOT / folder).rglob("*"))
        if path.suffix in {".py", ".md", ".toml", ".html"}
        and any(p in path.read_text() for p in ("/ro" + "ot/", "/wo" + "rk/"))
    ]
    assert found == []
