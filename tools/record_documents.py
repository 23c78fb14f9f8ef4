"""The pages under ``docs/formats``: every column of every fixed-width record, from the declarations the readers use."""

from __future__ import annotations

import inspect
from importlib import import_module
from pathlib import Path
from types import ModuleType

from gateway import formats
from gateway.formats.record import columns


def pages(folder: Path) -> dict[Path, str]:
    """Return path and content of one page for each ``gateway/formats/*_layout.py``."""
    names = sorted(path.stem for path in Path(formats.__path__[0]).glob("*_layout.py"))
    modules = {name.removesuffix("_layout"): import_module(f"gateway.formats.{name}") for name in names}
    return {folder / f"{name}.md": page(name, module) for name, module in modules.items()}


def page(name: str, module: ModuleType) -> str:
    """Return the page of one layout; positions are 1-based and inclusive, as the specifications print them."""
    lines = [
        f"# {name}",
        "",
        inspect.getdoc(module) or "",
        "",
        f"Printed from `gateway/formats/{name}_layout.py` by `make docs`.",
    ]
    for kind in module.RECORDS:
        lines += ["", f"## {kind.__name__}", "", inspect.getdoc(kind) or "", ""]
        lines += ["| position | field | what belongs there |", "| --- | --- | --- |"]
        for field, column in columns(kind):
            place = f"{column.start}-{column.stop}" if column.width > 1 else str(column.start)
            lines.append(f"| {place} | {field.replace('_', ' ')} | {column.demand.removeprefix('must be ')} |")
    return "\n".join(lines) + "\n"
