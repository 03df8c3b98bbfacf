"""Certificates and keys for a federation on one machine: TLS for its servers, a key of its own for every node.

They are made for each start in a temporary folder, and are valid for one day.
"""

import datetime
import ipaddress
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

HOST = "127.0.0.1"
VALID = datetime.timedelta(days=1)


class Tls(NamedTuple):
    """Paths of an authority's certificate, and of a certificate signed by it with its key."""

    authority: Path
    certificate: Path
    key: Path


class NodeKey(NamedTuple):
    """Paths of a node's private key, and of its public key, which is registered with the SuperLink."""

    private: Path
    public: Path


def make_tls(folder: Path) -> Tls:
    """Make a certificate authority, and a certificate for the servers on this machine."""
    authority_key, key = _new_key(), _new_key()
    authority_name, name = _name("alignsolve example authority"), _name(HOST)
    authority = (
        _certificate(authority_name, authority_name, authority_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(authority_key, hashes.SHA256())
    )
    addresses = [x509.IPAddress(ipaddress.ip_address(HOST)), x509.DNSName("localhost")]
    certificate = (
        _certificate(name, authority_name, key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(addresses), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    tls = Tls(folder / "authority.pem", folder / "server.pem", folder / "server.key")
    tls.authority.write_bytes(authority.public_bytes(serialization.Encoding.PEM))
    tls.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    _write_secret(tls.key, key, serialization.PrivateFormat.PKCS8)
    return tls


def make_node_key(folder: Path, number: int) -> NodeKey:
    """Make the key that identifies a registered node."""
    key = _new_key()
    paths = NodeKey(folder / f"node-{number}", folder / f"node-{number}.pub")
    _write_secret(paths.private, key, serialization.PrivateFormat.OpenSSH)
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    paths.public.write_bytes(public + b"\n")
    return paths


def _new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP384R1())


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _certificate(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + VALID)
    )


def _write_secret(path: Path, key: ec.EllipticCurvePrivateKey, form: serialization.PrivateFormat) -> None:
    path.touch(mode=0o600)
    path.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()))
