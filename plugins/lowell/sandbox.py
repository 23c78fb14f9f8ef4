"""The other end: Lowell to practise with. It takes a company without organisation number, and tells money through its bank (R-CD-04, R-PM-06)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from plugins.sls_sandbox import AgreementFacts, SandboxAgency

SCHEMA = Path(__file__).with_name("kravport-sls-1.xsd")


def make_sandbox(root: Path, agreement_facts: Mapping[str, Any]) -> SandboxAgency:
    """Return the sandbox agency that lives in *root* (upload, download, state.sqlite).

    Args:
        root: its folder; made when it is not there, taken up again when it is.
        agreement_facts: fields of `AgreementFacts`; client_number, ledger_id, currency and country
            are needed.
    """
    intake = {"agency_name": "Lowell"}
    return SandboxAgency(root, AgreementFacts(**{**intake, **agreement_facts}), SCHEMA)
