"""Certificates of a sandbox: an authority of its own, and the three its server may show."""

from __future__ import annotations

import ipaddress
import os
import ssl
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from gateway import clock

CA_FILE = "ca.pem"
_HERE = (x509.IPAddress(ipaddress.IPv4Address("127.0.0.1")), x509.DNSName("localhost"))
_ELSEWHERE = (x509.DNSName("elsewhere.example"),)
_VALID_BEFORE, _VALID_FOR = timedelta(days=400), timedelta(days=4000)
"""Wide, because a client checks with its machine's clock and the sandbox may live in a simulated one."""


class _Signer(NamedTuple):
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def contexts(folder: Path) -> Mapping[str, ssl.SSLContext]:
    """Return a server's TLS contexts by what they show: ``right``, of a ``stranger``, for an ``other_name``.

    Certificates are made once and kept in *folder*, keys readable by their owner only; ``ca.pem`` there is the root that
    clients need.
    """
    if not (folder / CA_FILE).exists():
        _make(folder)
    made = {}
    for name in ("right", "stranger", "other_name"):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(folder / f"{name}.pem", folder / f"{name}.key")
        made[name] = context
    return made


def _make(folder: Path) -> None:
    """Make all files; the root comes last, so that a folder with a root is whole."""
    folder.mkdir(parents=True, exist_ok=True)
    ours, nobodys = _authority("Kravport sandbox CA"), _authority("A CA that nobody knows")
    for name, signer, names in (
        ("right", ours, _HERE),
        ("stranger", nobodys, _HERE),
        ("other_name", ours, _ELSEWHERE),
    ):
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = _certificate(names, key.public_key(), signer)
        (folder / f"{name}.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        _write_key(folder / f"{name}.key", key)
    fresh = folder / f"{CA_FILE}.part"
    fresh.write_bytes(ours.certificate.public_bytes(serialization.Encoding.PEM))
    fresh.replace(folder / CA_FILE)


def _authority(name: str) -> _Signer:
    key = ec.generate_private_key(ec.SECP256R1())
    usage = x509.KeyUsage(
        digital_signature=False, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    builder = _builder(name, name, key.public_key()).add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
    return _Signer(builder.add_extension(usage, True).sign(key, hashes.SHA256()), key)


def _certificate(
    names: tuple[x509.GeneralName, ...], key: ec.EllipticCurvePublicKey, signer: _Signer
) -> x509.Certificate:
    issuer = signer.certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value
    builder = _builder("Kravport sandbox", str(issuer), key)
    for extension, is_critical in (
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (x509.SubjectAlternativeName(names), False),
        (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False),
        (x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.key.public_key()), False),
    ):
        builder = builder.add_extension(extension, is_critical)
    return builder.sign(signer.key, hashes.SHA256())


def _builder(subject: str, issuer: str, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    begins = clock.now() - _VALID_BEFORE
    named = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]) for name in (subject, issuer)]
    builder = x509.CertificateBuilder(named[1], named[0], key, x509.random_serial_number(), begins, begins + _VALID_FOR)
    return builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)


def _write_key(file: Path, key: ec.EllipticCurvePrivateKey) -> None:
    content = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as opened:
        opened.write(content)
