"""The settings of an agreement with a factor. One form serves every layout, so each title begins with whose it is.

What a layout must have its `LayoutProfile.settings` names: the host refuses an agreement without it.
"""

from __future__ import annotations

from plugins.factoring.k9409 import CUSTOMERS, FILENAMES, INVOICES
from plugins.factoring.kid import SCHEMES
from plugins.factoring.viite import FINNISH, LASKURAHA

_FILENAME = {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9_.-]{0,39}$"}

SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "kid_scheme": {
            "enum": sorted(SCHEMES),
            "examples": ["standard-15"],
            "title": "SG Finans, Peppol: KID scheme",
            "description": "The scheme that the factor prescribes for the KID on the invoice. FactoNor has one of its own.",
        },
        "org_number_fill": {
            "enum": ["zero", "blank"],
            "default": "zero",
            "title": "SG Finans: fill after the organisation number",
        },
        "comment": {
            "enum": ["none", "text"],
            "default": "none",
            "title": "SG Finans: comment field of an invoice",
        },
        "encoding": {"enum": ["iso-8859-1", "cp1252"], "default": "iso-8859-1", "title": "SG Finans: code page"},
        "invoice_filename": {
            **_FILENAME,
            "default": FILENAMES[INVOICES][1],
            "title": "SG Finans: name of the invoice file",
        },
        "customer_filename": {
            **_FILENAME,
            "default": FILENAMES[CUSTOMERS][1],
            "title": "SG Finans: name of the customer file",
        },
        "business_id": {
            "type": "string",
            "pattern": "^[0-9]{7}-?[0-9]$",
            "examples": ["1234567-1"],
            "title": "FALL: your own business id",
            "description": "As the financier has it, for example 1234567-1.",
        },
        "reference_scheme": {
            "enum": [FINNISH, LASKURAHA],
            "default": FINNISH,
            "title": "FALL: reference numbers",
            "description": "laskuraha: agreement number, 0, invoice number of eight digits, check digit. "
            "finnish: any reference whose check digit is right.",
        },
        "late_interest": {
            "type": "string",
            "pattern": "^[0-9]{4}$",
            "examples": ["1150"],
            "title": "FALL: late interest, per cent x 100",
            "description": "11.50 % is 1150, none is 0000. Not written for OP, and needed by the others.",
        },
        "shorten_text": {
            "type": "boolean",
            "default": False,
            "title": "FALL: shorten names and addresses that are too long",
            "description": "Agreed with the financier. Numbers, amounts and references are never shortened.",
        },
        "factor_party_id": {
            "type": "string",
            "pattern": "^[A-Za-z0-9:-]{1,50}$",
            "examples": ["999999999"],
            "title": "Peppol: the factor's organisation number",
            "description": "Stands in the document as payee. Name, account and clause are those of the factoring settings.",
        },
        "factor_scheme": {
            "type": "string",
            "pattern": "^[0-9]{4}$",
            "default": "0192",
            "title": "Peppol: scheme of that number",
            "description": "Norway 0192, Sweden 0007, Denmark 0184, Finland 0212.",
        },
        "type_code": {
            "enum": ["conservative", "factored"],
            "default": "conservative",
            "title": "Peppol: type of the document",
            "description": "conservative leaves 380 and 381; factored writes 393 and 396, which some receivers reject.",
        },
        "drop_signature": {
            "type": "boolean",
            "default": False,
            "title": "Peppol: take out a digital signature",
            "description": "A marked document no longer fits its signature. Otherwise a signed document is held.",
        },
    },
}
