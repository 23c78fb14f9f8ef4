"""Draft the next migration from what the mapped tables have and the last schema has not: ``make migration``.

Number 0001 replaces the first schema, which is right until the first release: it also makes the source of ids, which is no
mapped table, and tunes storage.
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
        _frame(path)
    print(path)


def _frame(path: Path) -> None:
    """Add what is no mapped table: the source of ids, and how PostgreSQL is to store the tables that change most."""
    text = path.read_text().rstrip()
    text = "\n".join(line for line in text.splitlines() if not line.strip().startswith("# ###"))
    # The draft is made on SQLite, where a truth value is a number; PostgreSQL takes none for one.
    for number, truth in (("1", "true"), ("0", "false")):
        text = text.replace(
            f"sa.Boolean(), server_default=sa.text('{number}')", f"sa.Boolean(), server_default=sa.{truth}()"
        )
    head, names = "import gateway.db.tables.base\n", "create_id_source, drop_id_source, tune_storage"
    text = text.replace(head, f"{head}from gateway.db.schema import {names}\n", 1)
    up, down = "def upgrade() -> None:\n", "def downgrade() -> None:\n"
    text = text.replace(up, f"{up}    create_id_source(op.get_bind())\n", 1)
    text = text.replace(down, f"@@{down}", 1)
    made, undone = text.split("@@")
    path.write_text(
        f"{made.rstrip()}\n    tune_storage(op.get_bind())\n\n\n{undone}\n    drop_id_source(op.get_bind())\n"
    )


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
