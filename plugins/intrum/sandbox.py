"""The other end: Intrum to practise with, and Ophelos where the agreement is for its API."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from plugins.intrum.norway_sandbox import NorwegianDesk
from plugins.intrum.ophelos_sandbox import OphelosSandbox
from plugins.sls_sandbox import AgreementFacts, SandboxAgency

SCHEMA = Path(__file__).with_name("kravport-sls-1.xsd")
LAYOUT = "layout"
"""Name of the fact that tells under which layout the agreement is; without it, the files'."""


def make_sandbox(root: Path, agreement_facts: Mapping[str, Any]) -> SandboxAgency | OphelosSandbox:
    """Return the sandbox agency that lives in *root*.

    For files (``upload``, ``download``) it insists on organisation number and national id (R-CD-04).

    Args:
        root: its folder; made when it is not there, taken up again when it is.
        agreement_facts: with a `LAYOUT` that begins with "ophelos" those of `OphelosSandbox`; else fields of
            `AgreementFacts`: client_number, ledger_id, currency and country are needed. With the layout
            kravport-no-flow-1 the files are those of the Norwegian process.
    """
    facts = dict(agreement_facts)
    layout = str(facts.pop(LAYOUT, ""))
    if layout.startswith("ophelos"):
        return OphelosSandbox(root, facts)
    intake = {"needs_national_id": True, "needs_organisation_number": True, "agency_name": "Intrum Justitia"}
    maker = NorwegianDesk if layout == "kravport-no-flow-1" else SandboxAgency
    return maker(root, AgreementFacts(**{**intake, **facts}), SCHEMA)
