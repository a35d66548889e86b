"""What `deploy/consul` ships, as somebody installs it."""

import re
from pathlib import Path
from typing import Any

import yaml

from bridge.testing.ports import free_port
from tests.envoy.certificates import Authority

HOME = Path(__file__).parents[3] / "deploy" / "consul"

READ = ("service_prefix", "node_prefix")
"""The rights of the policy for reading, one by one."""


def rules(policy: str, without: str = "") -> str:
    """A policy, as it is or without one right."""
    text = (HOME / f"{policy}.hcl").read_text("utf-8")
    if not without:
        return text
    fewer, gone = re.subn(rf'^{without} "[^"]*" {{.*?^}}\n', "", text, flags=re.MULTILINE | re.DOTALL)
    assert gone, f"{policy}.hcl grants no {without}"
    return fewer


def configuration() -> dict[str, Any]:
    """The bridge's."""
    made: dict[str, Any] = yaml.safe_load((HOME / "bridge.yaml").read_text("utf-8"))
    return made


def install(folder: Path, token: str, url: str) -> dict[str, Any]:
    """Put beside the configuration what it names; the configuration, which asks the Consul at `url`."""
    made = configuration()
    (folder / "consul-token").write_text(token)
    Authority().install(folder / "tls")
    made["registries"][0]["url"] = url
    made["probes"] = {"listen": f"127.0.0.1:{free_port()}"}
    return made
