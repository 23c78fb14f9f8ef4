"""The other end: an Ophelos to practise with, written from its published pages and sharing nothing with the client."""

from plugins.intrum.ophelos_sandbox.agency import OphelosSandbox

__all__ = ["OphelosSandbox"]
