"""Helpers for tests: of Kravport itself and of third-party plugins."""
