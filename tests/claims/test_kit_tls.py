"""Whom a client of TLS believes: what will not do is named, all of it at once, and how to mend it."""

from pathlib import Path

import pytest

from bridge.errors import ConfigError
from bridge.kit.offline import lacking
from bridge.kit.tls import TlsSettings
from tests.envoy.certificates import Authority

AUTHORITY = Authority()
PAIR, OTHER = AUTHORITY.pair("bridge"), AUTHORITY.pair("other")


@pytest.fixture
def settings(tmp_path: Path) -> TlsSettings:
    made = TlsSettings(ca=tmp_path / "ca.pem", cert=tmp_path / "us.pem", key=tmp_path / "us.key")
    (tmp_path / "ca.pem").write_bytes(AUTHORITY.pem)
    PAIR.write(tmp_path / "us.pem", tmp_path / "us.key")
    return made


def told(settings: TlsSettings) -> list[str]:
    with pytest.raises(ConfigError) as raised:
        settings.context()
    return str(raised.value).split("\n")


def test_what_is_there_will_do(settings: TlsSettings) -> None:
    assert settings.context().check_hostname


def test_all_files_that_are_missing_are_named_and_each_is_a_problem_of_the_check(
    settings: TlsSettings, tmp_path: Path
) -> None:
    for name in ("ca.pem", "us.pem", "us.key"):
        (tmp_path / name).unlink()
    missing = "is read from here: No such file or directory; put it there, or correct the path"
    assert told(settings) == [
        f"{tmp_path}/ca.pem: `tls.ca` {missing}",
        f"{tmp_path}/us.pem: `tls.cert` {missing}",
        f"{tmp_path}/us.key: `tls.key` {missing}",
    ]
    problems = lacking([settings.context])
    assert [one.where for one in problems] == [f"{tmp_path}/{name}" for name in ("ca.pem", "us.pem", "us.key")]
    assert {one.what.partition("` ")[2] for one in problems} == {missing}


def test_what_is_no_pem_is_named_beside_what_is_missing(settings: TlsSettings, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("hello")
    (tmp_path / "us.key").unlink()
    first, second = told(settings)
    assert first == f"{tmp_path}/ca.pem: `tls.ca` is read from here: holds no certificate in PEM; write it anew"
    assert second.startswith(f"{tmp_path}/us.key: `tls.key` is read from here: No such file")


@pytest.mark.parametrize(("name", "why"), [("us.key", "key values mismatch"), ("us.pem", "key values mismatch")])
def test_a_certificate_and_the_key_of_another_are_no_pair(
    settings: TlsSettings, tmp_path: Path, name: str, why: str
) -> None:
    OTHER.write(tmp_path / "other.pem", tmp_path / "other.key")
    (tmp_path / name).write_bytes((tmp_path / f"other{name[2:]}").read_bytes())
    (said,) = told(settings)
    pair = f"makes no pair with {tmp_path}/us.key ({why}); write both anew, in PEM and without a password"
    assert said == f"{tmp_path}/us.pem: `tls.cert` is read from here: {pair}"
