"""For any WSGI server: ``waitress-serve wsgi:app``."""

from gateway.app import create_app

app = create_app()
