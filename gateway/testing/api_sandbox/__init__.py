"""The other end of an agency with an API: state that survives kill -9, OAuth2, real TLS, webhooks, and trouble on request.

A plugin's ``sandbox.py`` subclasses `ApiSandbox` or keeps one as its attribute ``api``, and registers the agency's calls on
``api.app``. `serving` runs it over HTTPS in a test; ``kravport sandbox`` runs it beside the SFTP server.
"""

from gateway.testing.api_sandbox.calls import Call
from gateway.testing.api_sandbox.oauth2 import OAuth2
from gateway.testing.api_sandbox.pushes import Push, Pusher
from gateway.testing.api_sandbox.sandbox import ApiSandbox
from gateway.testing.api_sandbox.serving import Served, serving

__all__ = ["ApiSandbox", "Call", "OAuth2", "Push", "Pusher", "Served", "serving"]
