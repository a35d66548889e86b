"""The configuration of `deploy/zookeeper` on a real server, in the layouts of SmartStack, Curator and Finagle."""

from pathlib import Path
from typing import Any

import yaml

from tests.builders import endpoint
from tests.servers.zookeeper.hand import Hand
from tests.servers.zookeeper.natives import NATIVES
from tests.servers.zookeeper.server import ZooKeeper
from tests.whole import Whole

SHIPPED = Path(__file__).parents[3] / "deploy" / "zookeeper"


async def test_the_default_layouts_are_read_and_smartstack_has_what_else_there_is(
    own: ZooKeeper, tmp_path: Path
) -> None:
    said: dict[str, Any] = yaml.safe_load((SHIPPED / "bridge.yaml").read_text("utf-8"))
    said["registries"][0]["hosts"] = said["leader"]["hosts"] = own.hosts
    said["registries"][1]["files"] = [str(SHIPPED / "vms.yaml")]
    async with Hand(own.hosts) as hand:
        for dialect, root, number in (
            ("nerve", "/nerve/services/web/services", 1),
            ("curator", "/services/web", 2),
            ("serverset", "/twitter/service/shop/prod/web", 3),
        ):
            native = NATIVES[dialect]("web", endpoint(f"10.60.0.{number}:8080"))
            await hand.make(f"{root}/{native.name}", native.data, sequence=native.sequential)
        async with Whole(tmp_path / "bridge", said) as bridge:
            assert {"10.60.0.1:8080", "10.60.0.2:8080", "10.60.0.3:8080"} == set(await addresses(bridge, "shop/web"))
            while len(await hand.names("/nerve/services/ledger/services")) < 2:
                assert "error" not in bridge.log()


async def addresses(bridge: Whole, service: str) -> list[str]:
    _, said = await bridge.get(f"/api/v1/endpoints?service={service}")
    return [one["endpoint"] for one in said["endpoints"]]
