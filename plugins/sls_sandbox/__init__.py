"""The other end of kravport-sls-1: an agency to practise with (intrum-sls.md B.14).

Several agencies need the same other end, and plugins may not import each other; so it lives here, beside them. It
shares nothing with the writer but the published schema, whose path is handed in: it has its own reader on lxml, its
own arithmetic and its own escaping, so that a mistake cannot hide on both sides.
"""

from plugins.sls_sandbox.agency import SandboxAgency
from plugins.sls_sandbox.state import AgreementFacts

__all__ = ["AgreementFacts", "SandboxAgency"]
