import os
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from bridge.errors import ConfigError
from bridge.kit import files


def test_what_is_read_is_what_is_there(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"x" * 3_000_000)
    content = files.read(path, "a")
    assert content is not None
    assert content.data == path.read_bytes()
    assert content.stamp == files.stamp(path)


def test_another_content_has_another_digest_and_another_file_another_stamp(tmp_path: Path) -> None:
    path, other = tmp_path / "a", tmp_path / "b"
    path.write_bytes(b"one")
    other.write_bytes(b"one")
    first, second = files.read(path, "a"), files.read(other, "b")
    assert first is not None
    assert second is not None
    assert first.digest == second.digest
    assert first.stamp != second.stamp
    path.write_bytes(b"two")
    third = files.read(path, "a")
    assert third is not None
    assert third.digest != first.digest


@pytest.mark.promise("R-22")
def test_what_cannot_be_read_says_why_and_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "dangling").symlink_to("nowhere")
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "big").write_bytes(b"x" * 2000)
    for name, what in {
        "missing": "is not there",
        "dangling": "is not there",
        "loop": "leads back to itself",
        "fifo": "is not a regular file",
        "": "is not a regular file",
        "big": "split it",
        "a\0b": "cannot be read",
    }.items():
        with pytest.raises(ConfigError, match="where: ") as caught:
            files.read(Path(f"{tmp_path}/{name}"), "where", limit=1000)
        assert what in str(caught.value) or name == "a\0b"


@pytest.mark.promise("R-22")
def test_a_file_that_may_not_be_read_says_for_whom() -> None:
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        path = Path(folder) / "a"
        path.write_bytes(b"x")
        path.chmod(0)
        root = os.geteuid() == 0
        if root:
            os.seteuid(65534)  # root may read everything
        try:
            with pytest.raises(ConfigError, match=f"a: may not be read by user {os.geteuid()}; change its owner"):
                files.read(path, "a")
        finally:
            if root:
                os.seteuid(0)


def test_a_state_of_nothing_is_none(tmp_path: Path) -> None:
    assert files.stamp(tmp_path / "missing") is None


def test_text_is_strict_utf_8_and_a_byte_order_mark_is_no_text() -> None:
    assert files.text(b"\xef\xbb\xbfa: \xc3\xa4", "x") == "a: ä"
    with pytest.raises(ConfigError, match="x:3: is not UTF-8"):
        files.text(b"a\nb\n\xe4\n", "x")


@pytest.mark.promise("R-31")
def test_a_replacement_is_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "state"
    path.write_text("old")

    def broken() -> object:
        yield b"half"
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        files.replace(path, broken())  # type: ignore[arg-type]
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
    files.replace(path, [b"ne", b"w"])
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]
