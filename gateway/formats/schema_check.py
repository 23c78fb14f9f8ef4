"""Checks a document on standard input against a schema: the second process of `schema_proof`.

    python -m gateway.formats.schema_check SCHEMA UNIT < FILE

ends with 0 when FILE is valid, and with 1 when it is not or its end never came.
"""

from __future__ import annotations

import sys

from gateway.errors import DecodeError
from gateway.formats.xmltree import XmlSchema


def main(schema_path: str, unit: str) -> int:
    """Check the bytes of standard input; *unit* as `XmlSchema.validate_stream` wants it."""
    try:
        XmlSchema(schema_path).validate_stream(sys.stdin.buffer, unit)
    except DecodeError:
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
