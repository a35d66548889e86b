"""A bridge as a process that writes what another registry has into a Consul, and what an operator sees of it."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.servers.consul.hand import Hand
from tests.servers.consul.server import ROOT
from tests.servers.exporting import LIMITS, QUICK, Exporting


class Exporter(Exporting):
    """Its registries are `vms`, an inventory file, and `consul`, which is written; it reads of it what is in `shop`.

    `vms` is another registry in the place of the file, `consul` further keys of the other one, `more` further sections
    of the configuration; `state` names the folder of its snapshot.
    """

    registry = "consul"

    def __init__(
        self,
        folder: Path,
        url: str,
        hand: Hand,
        *,
        owner: str = "prod",
        state: str = "state",
        vms: Mapping[str, Any] | None = None,
        consul: Mapping[str, Any] | None = None,
        **more: Any,
    ) -> None:
        super().__init__(folder, "", state)
        self.hand = hand
        self.owner = owner
        self.token = folder / f"token-{state}"
        self._url = url
        self._vms = vms or {"kind": "static", "files": ["vms.yaml"]}
        self._consul = consul or {}
        self._more = more

    @property
    def node(self) -> str:
        """What its node is called."""
        return f"registry-bridge-{self.owner}"

    def configure(self, text: str) -> None:
        if not self.token.exists():
            self.token.write_text(ROOT)
        super().configure(text)

    def further(self) -> dict[str, Any]:
        return {"owner": self.owner, **self._more}

    def registries(self) -> list[dict[str, Any]]:
        return [
            {"name": "vms", "removals": QUICK, **self._vms},
            {
                "name": "consul", "kind": "consul", "url": self._url, "token_file": str(self.token), "timeout": "4s",
                "import": {"namespace": "shop"}, "export": [{"services": ["shop/*"], "from": ["vms"], **LIMITS}],
                **self._consul,
            },
        ]  # fmt: skip

    def forget(self) -> None:
        """Lose all that its state folder has but the name of its deployment."""
        for one in (self.folder / self.state).iterdir():
            if one.name != "deployment":
                one.unlink()

    async def addresses(self, service: str = "web") -> Counter[str]:
        """Every address of a service on its node, and how often it stands there."""
        found = await self.hand.get(f"catalog/service/{service}")
        return Counter(one["ServiceAddress"] for one in found if one["Node"] == self.node)

    async def until_in_step(self) -> None:
        """Wait until it has seen everything that it wrote."""
        await self.until_state("in step")
