"""Certificates that will not do are told by file and remedy, before any client meets them."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from bridge.errors import ConfigError
from bridge.xds.tls import Credentials, TlsFiles
from tests.envoy.certificates import Authority

AUTHORITY = Authority()
PAIR, OTHER = AUTHORITY.pair("bridge"), AUTHORITY.pair("other")


@pytest.fixture
def files(tmp_path: Path) -> TlsFiles:
    made = TlsFiles(tmp_path / "tls.crt", tmp_path / "tls.key", tmp_path / "ca.pem")
    PAIR.write(made.cert, made.key)
    (tmp_path / "ca.pem").write_bytes(AUTHORITY.pem)
    return made


def test_good_files_are_taken(files):
    said: list[str] = []
    assert Credentials(files, said.append).problem == ""
    assert said == []


@pytest.mark.parametrize("key", ["cert", "key", "client_ca"])
def test_a_missing_file_is_named(files, key):
    path: Path = getattr(files, key)
    path.unlink()
    with pytest.raises(ConfigError, match=rf"^xds\.tls\.{key}: {path}: No such file or directory; name a readable PEM"):
        Credentials(files, print)


@pytest.mark.parametrize("key", ["cert", "key", "client_ca"])
def test_an_unreadable_file_is_named(files, key):
    path: Path = getattr(files, key)
    path.unlink()
    path.mkdir()
    with pytest.raises(ConfigError, match=rf"^xds\.tls\.{key}: {path}: Is a directory; name a readable PEM"):
        Credentials(files, print)


@pytest.mark.parametrize(
    ("key", "what"), [("cert", "certificate"), ("key", "private key"), ("client_ca", "certificate")]
)
@pytest.mark.parametrize("content", [b"", b"\x00\xff\x00", b"hello\n"])
def test_a_file_that_is_not_pem_is_named(files, key, what, content):
    getattr(files, key).write_bytes(content)
    with pytest.raises(ConfigError, match=rf"^xds\.tls\.{key}: .*holds no {what}; a PEM file with BEGIN"):
        Credentials(files, print)


@pytest.mark.parametrize("key", ["cert", "client_ca"])
def test_a_broken_certificate_is_named(files, key):
    getattr(files, key).write_bytes(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    with pytest.raises(ConfigError, match=rf"^xds\.tls\.{key}: .*holds a certificate that cannot be read"):
        Credentials(files, print)


def test_a_certificate_with_bytes_that_are_no_text_is_named(files):
    files.cert.write_bytes(PAIR.cert + "ä".encode("latin-1"))
    with pytest.raises(ConfigError, match=r"^xds\.tls\.cert: .*is not PEM text"):
        Credentials(files, print)


def test_a_key_of_another_certificate_is_told(files):
    files.key.write_bytes(OTHER.key)
    with pytest.raises(ConfigError, match=rf"^xds\.tls\.key: .*does not belong to the certificate in {files.cert}"):
        Credentials(files, print)


def test_a_broken_key_is_named(files):
    files.key.write_bytes(b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
    with pytest.raises(ConfigError, match=r"^xds\.tls\.key: .*cannot be used with"):
        Credentials(files, print)


def test_an_encrypted_key_is_told(files):
    key = serialization.load_pem_private_key(PAIR.key, None)
    secret = serialization.BestAvailableEncryption(b"secret")
    form = serialization.PrivateFormat.PKCS8
    files.key.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, secret))
    with pytest.raises(ConfigError, match=r"^xds\.tls\.key: .*is encrypted with a passphrase; name a key file without"):
        Credentials(files, print)


@pytest.mark.promise("S-12")
def test_no_error_shows_what_a_key_file_holds(files):
    lines = PAIR.key.splitlines()
    files.key.write_bytes(b"\n".join([lines[0], b"CANARY" + lines[1], *lines[2:]]))
    with pytest.raises(ConfigError) as raised:
        Credentials(files, print)
    assert "CANARY" not in str(raised.value)
    assert lines[1].decode()[:20] not in str(raised.value)
