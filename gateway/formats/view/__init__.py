"""A payment file as a bookkeeper can read it: each record under a ruler or in a tree, each field named in words.

`view_of` shows the records of any format the gateway reads; `words` are the names, stated once in ``words.toml``.
"""

from gateway.formats.view.model import FIRST, Field, FindingTold, Record, View
from gateway.formats.view.read import view_of

__all__ = ["FIRST", "Field", "FindingTold", "Record", "View", "view_of"]
