"""Draft the next migration from what the mapped tables have and the last schema has not: ``make migration``."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from gateway.db import schema
from gateway.db.uow import Database

with tempfile.TemporaryDirectory() as folder:
    database = Database(f"sqlite:///{Path(folder) / 'draft.sqlite'}")
    schema.upgrade(database)
    print(schema.draft(database, sys.argv[1], sys.argv[2]))
    database.close()
