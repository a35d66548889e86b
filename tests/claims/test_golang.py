"""Servers of the tests are found where they are, and why they are not is said."""

from pathlib import Path

import pytest

from tests.golang import NoProgramError, build
from tests.servers.kubernetes.binaries import PROGRAMS, find


def programs(folder: Path) -> Path:
    folder.mkdir()
    for name in PROGRAMS:
        (folder / name).write_text("#!/bin/sh\n")
        (folder / name).chmod(0o755)
    return folder


@pytest.fixture(autouse=True)
def nothing_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)


def test_kubebuilder_assets_win_over_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on_path, assets = programs(tmp_path / "path"), programs(tmp_path / "assets")
    assert find().etcd == on_path / "etcd"
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(assets))
    assert find() == (assets / "etcd", assets / "kube-apiserver")


def test_without_go_it_is_said_what_to_install() -> None:
    with pytest.raises(NoProgramError, match=r"etcd: there is no `go` on the PATH .* install Go"):
        find()


def test_what_was_built_is_not_built_again_until_its_pins_change(tmp_path: Path) -> None:
    module = tmp_path / "module"
    module.mkdir()
    (module / "go.mod").write_text("module one\n")
    (module / "go.sum").write_text("")
    with pytest.raises(NoProgramError):
        build(module, {"it": "one"})
    (home,) = (tmp_path / "cache" / "registry-bridge").iterdir()
    (home / "it").write_text("built")
    assert build(module, {"it": "one"}) == {"it": home / "it"}
    (module / "go.mod").write_text("module two\n")
    with pytest.raises(NoProgramError):
        build(module, {"it": "two"})
