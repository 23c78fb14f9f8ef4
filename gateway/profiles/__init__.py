"""Layouts given as data: a TOML profile says what an agency's files look like, and compiles to the built-in machinery.

`load` reads a profile and refuses it with file, line and key. `ProfileFile` writes and reads one of its files record by
record, in constant memory; `export` writes a whole file from claims and `verify` reads it back;
`ProfilePayments`, `receipt` and `case_statuses` are what comes back; `layout_profile` is what a plugin puts into its
manifest. See ADR 0028 and docs/profiles.md.
"""

from gateway.profiles.checking import ClaimCheck
from gateway.profiles.declaration import FileLayout, Profile
from gateway.profiles.declare import load, loads
from gateway.profiles.exporting import carries, export, instructions
from gateway.profiles.files import FileWriter, ProfileFile
from gateway.profiles.importing import ProfilePayments, case_statuses, receipt
from gateway.profiles.lines import Row
from gateway.profiles.manifest import layout_profile
from gateway.profiles.source import Fault, ProfileError
from gateway.profiles.verifying import verify

__all__ = [
    "ClaimCheck", "Fault", "FileLayout", "FileWriter", "Profile", "ProfileError", "ProfileFile", "ProfilePayments", "Row", "carries",
    "case_statuses", "export",
    "instructions", "layout_profile", "load", "loads", "receipt", "verify",
]  # fmt: skip
