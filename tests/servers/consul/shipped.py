"""What `deploy/consul` ships, as somebody installs it."""

import re
from pathlib import Path
from typing import Any

import yaml

from bridge.testing.ports import free_port
from tests.envoy.certificates import Authority

HOME = Path(__file__).parents[3] / "deploy" / "consul"

READ = ('service_prefix ""', 'node_prefix ""')
"""The rights of the policy for reading without which nothing is read, one by one."""

CLAIMS = 'key_prefix "registry-bridge/claims/"'
"""The one without which nobody knows which bridges are no more."""


def rules(policy: str, without: str = "") -> str:
    """A policy, as it is or without one right, such as `node "vm-1"`."""
    text = (HOME / f"{policy}.hcl").read_text("utf-8")
    if not without:
        return text
    fewer, gone = re.subn(rf"^{re.escape(without)} {{.*?^}}\n", "", text, flags=re.MULTILINE | re.DOTALL)
    assert gone == 1, f"{policy}.hcl grants no {without}"
    return fewer


def configuration(which: str = "") -> dict[str, Any]:
    """The bridge's, or that in a folder beside it."""
    made: dict[str, Any] = yaml.safe_load((HOME / which / "bridge.yaml").read_text("utf-8"))
    return made


def install(folder: Path, token: str, url: str, which: str = "") -> dict[str, Any]:
    """Put beside a configuration what it names; the configuration, which asks the Consul at `url`."""
    made = configuration(which)
    (folder / "consul-token").write_text(token)
    Authority().install(folder / "tls")
    made["registries"][0]["url"] = url
    made["probes"] = {"listen": f"127.0.0.1:{free_port()}"}
    return made
