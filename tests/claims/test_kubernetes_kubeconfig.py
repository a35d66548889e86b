"""What a kubeconfig says, and each flaw of one with its line and a way out."""

import base64
import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from adapters.kubernetes.kubeconfig import Chosen, choose
from bridge.errors import ConfigError
from bridge.kit.document import load

SECRET = "hunter2-is-a-secret"
GOOD: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Config",
    "current-context": "eu1",
    "clusters": [
        {
            "name": "eu1",
            "cluster": {
                "server": "https://10.0.0.1:6443/",
                "certificate-authority-data": base64.b64encode(b"PEM").decode(),
            },
        },
        {"name": "us1", "cluster": {"server": "https://us1.example:6443"}},
    ],
    "users": [{"name": "bridge", "user": {"token": SECRET}}, {"name": "nobody", "user": None}],
    "contexts": [
        {"name": "eu1", "context": {"cluster": "eu1", "user": "bridge", "namespace": "tools"}},
        {"name": "us1", "context": {"cluster": "us1", "user": "nobody"}},
    ],
}


def chosen(config: Any, context: str | None = None, folder: Path = Path()) -> Chosen:
    return choose(load(yaml.safe_dump(config, sort_keys=False), "kubeconfig"), folder, context)


def refused(config: Any, context: str | None = None) -> str:
    with pytest.raises(ConfigError) as caught:
        chosen(config, context)
    assert SECRET not in str(caught.value)
    return str(caught.value)


def changed(*at: str | int, value: Any) -> dict[str, Any]:
    """The good one with another value there; None takes it away."""
    config = copy.deepcopy(GOOD)
    inner: Any = config
    for part in at[:-1]:
        inner = inner[part]
    inner[at[-1]] = value
    if value is None:
        del inner[at[-1]]
    return config


USER = ("users", 0, "user")
EXEC = {"apiVersion": "client.authentication.k8s.io/v1", "command": "sh"}


def test_the_current_context_counts_unless_another_is_named() -> None:
    eu1 = chosen(GOOD)
    assert (eu1.server, eu1.authority, eu1.namespace, eu1.name) == ("https://10.0.0.1:6443", b"PEM", "tools", "bridge")
    us1 = chosen(GOOD, "us1")
    assert (us1.server, us1.authority, us1.namespace, us1.user) == ("https://us1.example:6443", b"", "default", {})


def test_without_a_context_it_is_told_which_there_are() -> None:
    assert refused(changed("current-context", value=None)) == (
        "kubeconfig: has no current-context; name one with `context:` (there are: eu1, us1), "
        "or run `kubectl config use-context`"
    )


def test_a_context_that_is_not_there_is_told_with_those_that_are() -> None:
    assert refused(GOOD, "eu2") == (
        "kubeconfig:18: contexts: has no context 'eu2'; there are: eu1, us1; correct `context:`"
    )


@pytest.mark.parametrize(
    ("config", "what"),
    [
        ([], "kubeconfig: is not a kubeconfig; write one"),
        (changed("clusters", value=[]), "clusters: has no cluster 'eu1'; there are: none"),
        (changed("clusters", value={}), "clusters: must be a list"),
        (changed("users", value=[]), "users: has no user 'bridge'; there are: none"),
        (changed("contexts", 0, "context", "cluster", value=None), "names no cluster"),
        (changed("contexts", 0, "context", "user", value=7), "contexts[0].context.user: must be text"),
        (changed("clusters", 0, "cluster", "server", value=None), "'' is not the URL of an API server"),
        (changed("clusters", 0, "cluster", "server", value="10.0.0.1:6443"), "is not the URL of an API server"),
        (changed("clusters", 0, "cluster", "server", value="https://h:99999"), "is not the URL of an API server"),
        (changed("clusters", 0, "cluster", "server", value="http://h:80"), "sent credentials in plain text"),
        (changed("clusters", 0, "cluster", "certificate-authority-data", value="%%"), "is not base64"),
        (changed(*USER, value=SECRET), "users[0].user: must be a mapping of keys"),
        (changed(*USER, "as", value="root"), "users[0].user.as: is not done here"),
        (changed(*USER, "exec", value=[SECRET]), "users[0].user.exec: must be a mapping of keys"),
        (changed(*USER, "exec", value={**EXEC, "apiVersion": "v1alpha1"}), "'v1alpha1' is none of client.auth"),
        (changed(*USER, "exec", value={**EXEC, "command": "no-such"}), "'no-such' is not installed here; install it"),
        (
            changed(*USER, "exec", value={**EXEC, "command": "no-such", "installHint": "get it\nthere"}),
            "'no-such' is not installed here; get it there",
        ),
        (changed(*USER, "exec", value={**EXEC, "interactiveMode": "Always"}), "nobody is here"),
        (changed(*USER, "exec", value={**EXEC, "env": [{"name": "A", "value": 1}]}), "exec.env[0]: must have a `name`"),
        (changed(*USER, "exec", value={**EXEC, "args": [1]}), "exec.args[0]: must be text; put it into quotes"),
    ],
)  # fmt: skip
def test_every_flaw_has_its_place_and_a_way_out(config: Any, what: str) -> None:
    said = refused(config)
    assert what in said
    assert "\n" not in said


def test_an_authority_in_a_file_is_taken_from_beside_the_kubeconfig(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_bytes(b"PEM of a file")
    config = changed("clusters", 0, "cluster", value={"server": "https://h", "certificate-authority": "ca.pem"})
    assert chosen(config, folder=tmp_path).authority == b"PEM of a file"
    (tmp_path / "ca.pem").unlink()
    with pytest.raises(ConfigError, match=r"kubeconfig:8: clusters\[0\].*certificate-authority: ca.pem: is not there"):
        chosen(config, folder=tmp_path)


def test_a_plugin_is_found_as_kubectl_finds_it(tmp_path: Path) -> None:
    plugin = chosen(changed(*USER, "exec", value={**EXEC, "args": ["-c", "true"]})).plugin
    assert plugin is not None
    assert Path(plugin.command).name == "sh"
    assert plugin.arguments == ("-c", "true")
    assert plugin.place == "kubeconfig:18: users[0].user.exec.command"
    (tmp_path / "login").write_text("")
    beside = chosen(changed(*USER, "exec", value={**EXEC, "command": "./login"}), folder=tmp_path).plugin
    assert beside is not None
    assert Path(beside.command) == tmp_path / "login"
