"""Who a bridge is to a ZooKeeper that knows people, and a record that it writes there."""

from contextlib import aclosing
from pathlib import Path

from adapters.zookeeper.settings import Settings
from bridge.adapter import Holding, Put, Sink
from bridge.kit import Kit
from bridge.kit.mark import Mark
from bridge.model import Endpoint, Port, Service, ServiceName
from bridge.runtime.clock import SystemClock


def digest(folder: Path, who: str, scheme: str = "digest") -> dict[str, str]:
    """What a configuration says of us who are known as `user:password`."""
    path = folder / "zk-auth"
    path.write_text(who)
    return {"scheme": scheme, "file": str(path)}


async def write_one(hosts: str, root: str, auth: dict[str, str]) -> None:
    """Write a record of shop/web below a root, as who is known so."""
    export = {"path": f"{root}/{{name}}", "dialect": "nerve", "services": ["shop/*"], "from": ["vms"]}
    said = {"name": "zk", "kind": "zookeeper", "hosts": hosts, "auth": auth, "export": [export]}
    made = Settings.model_validate(said).open(Kit("zk", SystemClock(), Mark("prod", "one")))
    assert isinstance(made, Sink)
    async with aclosing(made.observe()) as views:
        (target,) = (await anext(views)).held
        web = Service.of(ServiceName("shop", "web"), [Endpoint("10.0.0.1", (Port("http", 8080),))])
        records, _ = made.fit(target, web, Holding())
        await made.apply(target, Put(records[0], None))
