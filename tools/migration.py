"""Draft the next migration from what the mapped tables have and the last schema has not: ``make migration``.

Number 0001 replaces the first schema, which is right until the first release: it also makes the source of ids, which is no
mapped table.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from gateway.db import schema
from gateway.db.uow import Database

FIRST = "0001"


def main(number: str, message: str) -> None:
    """Write the draft and print its path."""
    with tempfile.TemporaryDirectory() as folder:
        database = Database(f"sqlite:///{Path(folder) / 'draft.sqlite'}")
        if number == FIRST:
            for old in (schema.MIGRATIONS / "versions").glob(f"{FIRST}_*.py"):
                old.unlink()
        else:
            schema.upgrade(database)
        path = Path(schema.draft(database, number, message))
        database.close()
    if number == FIRST:
        _add_id_source(path)
    print(path)


def _add_id_source(path: Path) -> None:
    text = path.read_text().rstrip()
    head, names = "import gateway.db.tables.base\n", "create_id_source, drop_id_source"
    text = text.replace(head, f"{head}from gateway.db.schema import {names}\n", 1)
    up = "def upgrade() -> None:\n"
    text = text.replace(up, f"{up}    create_id_source(op.get_bind())\n", 1)
    path.write_text(f"{text}\n    drop_id_source(op.get_bind())\n")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
