"""The other end: Intrum to practise with. It insists on organisation number and national id (R-CD-04)."""

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
    intake = {"needs_national_id": True, "needs_organisation_number": True, "agency_name": "Intrum Justitia"}
    return SandboxAgency(root, AgreementFacts(**{**intake, **agreement_facts}), SCHEMA)
