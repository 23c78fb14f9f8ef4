"""The other end: Lowell to practise with. It takes a company without organisation number, and tells money through its bank (R-CD-04, R-PM-06)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from plugins.lowell import assignment
from plugins.lowell.assignment_sandbox import Assignments
from plugins.sls_sandbox import AgreementFacts, SandboxAgency

SCHEMA = Path(__file__).with_name("kravport-sls-1.xsd")


def make_sandbox(root: Path, agreement_facts: Mapping[str, Any]) -> SandboxAgency | Assignments:
    """Return the sandbox agency that lives in *root* (upload, download, state.sqlite), or of its API (download, api.sqlite).

    Args:
        root: its folder; made when it is not there, taken up again when it is.
        agreement_facts: fields of `AgreementFacts`; client_number, ledger_id, currency and country
            are needed. With ``layout`` lowell-fi-assignment-1 those of `Assignments`.
    """
    if agreement_facts.get("layout") == assignment.LAYOUT.name:
        return Assignments(root, agreement_facts)
    intake = {"agency_name": "Lowell"}
    return SandboxAgency(root, AgreementFacts(**{**intake, **agreement_facts}), SCHEMA)
