"""Secrets and national ids at rest: encrypted with a key that lives outside the database (P19, P22)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.errors import ConfigurationError

_NONCE_BYTES = 12


class SecretBox:
    """Encrypts small values and makes keyed hashes of them.

    Args:
        key: the installation's secret, at least 32 characters (``KRAVPORT_SECRET_KEY``).

    Raises:
        ConfigurationError: the key is too short to be a secret.
    """

    def __init__(self, key: str) -> None:
        if len(key) < 32:
            raise ConfigurationError("KRAVPORT_SECRET_KEY needs at least 32 characters")
        self._cipher = AESGCM(hashlib.sha256(b"kravport encryption" + key.encode()).digest())
        self._mac = hashlib.sha256(b"kravport index" + key.encode()).digest()

    def encrypt(self, value: str) -> bytes:
        """Return *value* encrypted; twice the same value gives different bytes."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, value.encode(), None)

    def decrypt(self, encrypted: bytes) -> str:
        """Return the value; raises ``ConfigurationError`` when it was written under another key."""
        try:
            return self._cipher.decrypt(encrypted[:_NONCE_BYTES], encrypted[_NONCE_BYTES:], None).decode()
        except InvalidTag:
            raise ConfigurationError("a stored secret does not open with this KRAVPORT_SECRET_KEY") from None

    def keyed_hash(self, value: str) -> str:
        """Return a hash that finds equal values without showing them; useless without the key."""
        return base64.urlsafe_b64encode(hmac.digest(self._mac, value.encode(), "sha256")).decode()
