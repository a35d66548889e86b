"""Throw-away certificates."""

import datetime
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_USAGES = (
    "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
    "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
)  # fmt: skip


@dataclass(frozen=True)
class Pair:
    """A certificate with its key, both PEM."""

    cert: bytes
    key: bytes

    def write(self, cert: Path, key: Path) -> None:
        """Put both in place by renames, as tools that rotate certificates do."""
        for path, content in ((key, self.key), (cert, self.cert)):
            fresh = path.with_suffix(".new")
            fresh.write_bytes(content)
            fresh.replace(path)


class Authority:
    """Signs certificates for 127.0.0.1 and localhost."""

    def __init__(self, name: str = "tests") -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name(name)
        self.pem = _pem(self._sign(self._name, self._key, ca=True))

    def pair(self, name: str, *, host: str = "127.0.0.1") -> Pair:
        key = ec.generate_private_key(ec.SECP256R1())
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return Pair(_pem(self._sign(_name(name), key, host=host)), private)

    def install(self, folder: Path) -> None:
        """Make a folder that has what a server needs, by the names of a Secret of Kubernetes."""
        folder.mkdir()
        self.pair("bridge").write(folder / "tls.crt", folder / "tls.key")
        (folder / "ca.crt").write_bytes(self.pem)

    def credentials(self, pair: Pair | None = None) -> grpc.ChannelCredentials:
        """Those of a client that trusts this authority and shows `pair`."""
        return grpc.ssl_channel_credentials(
            self.pem, None if pair is None else pair.key, None if pair is None else pair.cert
        )

    def _sign(self, subject, key, *, ca=False, host="127.0.0.1"):
        now = datetime.datetime.now(datetime.UTC)
        names = [x509.DNSName("localhost"), x509.IPAddress(ip_address(host))]
        usage = dict.fromkeys(_USAGES, False) | {"key_cert_sign" if ca else "digital_signature": True}
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=2))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.KeyUsage(**usage), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
