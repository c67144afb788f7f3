"""A real Kafka that takes only clients with a password over TLS, with a certificate authority of its own."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from confluent_kafka.admin import AdminClient, ScramCredentialInfo, ScramMechanism, UserScramCredentialUpsertion
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from towpath.broker import Broker
from towpath.broker.ports import HOST, free_port

USER = "towpath"
PASSWORDS = {"PLAIN": "plain-canary", "SCRAM-SHA-512": "scram-canary"}
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Secured:
    """Where it is, and the file of the authority that vouches for it; `unknown_ca` is of one that does not."""

    address: str
    ca: Path
    unknown_ca: Path


@contextmanager
def secured_kafka(folder: Path) -> Iterator[Secured]:
    """Give an embedded Kafka with a SASL_SSL listener that knows `USER` with a password for each mechanism; it ends with the context."""
    key, authority = _authority("the brokers' authority")
    ca, unknown, own = folder / "ca.pem", folder / "unknown.pem", folder / "broker.pem"
    ca.write_bytes(authority.public_bytes(Encoding.PEM))
    unknown.write_bytes(_authority("another")[1].public_bytes(Encoding.PEM))
    own.write_bytes(_broker_certificate(key, authority))
    port = free_port()
    controller, tls = free_port(unlike=port), free_port(unlike=port)
    broker = Broker.start(folder / "kafka", port, controller, die_with_parent=True, properties=_properties(port, controller, tls, own))
    try:
        _add_scram_user(broker.bootstrap_servers)
        _knows_user(f"{HOST}:{tls}", ca)
        yield Secured(f"{HOST}:{tls}", ca, unknown)
    finally:
        broker.stop()


def _properties(port: int, controller: int, tls: int, certificate: Path) -> dict[str, str]:
    outside = f"PLAINTEXT://{HOST}:{port},SASL_SSL://{HOST}:{tls}"
    login, listener = "org.apache.kafka.common.security", "listener.name.sasl_ssl"
    return {
        "listeners": f"{outside},CONTROLLER://{HOST}:{controller}",
        "advertised.listeners": outside,
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL_SSL:SASL_SSL",
        "sasl.enabled.mechanisms": ",".join(PASSWORDS),
        f"{listener}.plain.sasl.jaas.config": f'{login}.plain.PlainLoginModule required user_{USER}="{PASSWORDS["PLAIN"]}";',
        f"{listener}.scram-sha-512.sasl.jaas.config": f"{login}.scram.ScramLoginModule required;",
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(certificate),
    }


def _add_scram_user(address: str) -> None:
    admin = AdminClient({"bootstrap.servers": address})
    credential = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096)
    added = admin.alter_user_scram_credentials([UserScramCredentialUpsertion(USER, credential, PASSWORDS["SCRAM-SHA-512"].encode())])
    added[USER].result(20)


def _knows_user(address: str, ca: Path) -> None:
    """Return once the user is let in, which the broker learns from its log; its first handshake takes long besides."""
    user = {"sasl.mechanism": "SCRAM-SHA-512", "sasl.username": USER, "sasl.password": PASSWORDS["SCRAM-SHA-512"]}
    AdminClient({"bootstrap.servers": address, "security.protocol": "SASL_SSL", "ssl.ca.location": str(ca), **user}).list_topics(timeout=30)


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _certificate(subject: str, key: ec.EllipticCurvePrivateKey, issuer: x509.Name) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(issuer, _named(subject), key.public_key(), x509.random_serial_number())
    return builder.not_valid_before(now - DAY).not_valid_after(now + DAY)


def _authority(name: str) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    key = ec.generate_private_key(ec.SECP256R1())
    own = x509.BasicConstraints(ca=True, path_length=None)
    return key, _certificate(name, key, _named(name)).add_extension(own, critical=True).sign(key, SHA256())


def _broker_certificate(authority_key: ec.EllipticCurvePrivateKey, authority: x509.Certificate) -> bytes:
    """Return the key and the chain in one PEM, as Kafka wants it; valid for 127.0.0.1 and for no name."""
    key = ec.generate_private_key(ec.SECP256R1())
    at = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(HOST))])
    certificate = _certificate("broker", key, authority.subject).add_extension(at, critical=False).sign(authority_key, SHA256())
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return private + certificate.public_bytes(Encoding.PEM) + authority.public_bytes(Encoding.PEM)
