"""`check --sample` on a real ZooKeeper."""

import asyncio
import json
import secrets
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from bridge.testing.ports import free_port
from tests.builders import endpoint
from tests.servers.zookeeper.hand import Hand
from tests.servers.zookeeper.natives import NATIVES
from tests.servers.zookeeper.server import ZooKeeper

MEMBER = b'{"serviceEndpoint":{"host":"10.0.0.1","port":9000},"additionalEndpoints":{},"status":"ALIVE"}'


async def check(
    folder: Path, hosts: str, *trees: dict[str, Any], leads: Any = None, timeout: str = "30s", **more: Any
) -> tuple[int | None, list[str], str]:
    """The exit code of `check --sample --strict`, what it says of each tree, and what else."""
    config = folder / "bridge.yaml"
    registry = {"name": "zk", "kind": "zookeeper", "hosts": hosts, "namespace": "shop", "trees": trees, **more}
    vms = {"name": "vms", "kind": "static", "files": ["vms.yaml"]}
    (folder / "vms.yaml").write_text("services: []\n")
    leader = {"leader": leads} if leads is not None else {}
    config.write_text(json.dumps({"owner": "prod-eu1", "registries": [registry, vms], **leader}))
    command = [
        str(Path(sys.executable).with_name("registry-bridge")),
        "check",
        "--sample",
        "--strict",
        "--timeout",
        timeout,
        "-c",
        str(config),
    ]
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await process.communicate()
    lines = output.decode().splitlines()
    return process.returncode, [line.strip() for line in lines if line.startswith("  ")], "\n".join(lines)


async def test_a_few_records_say_which_dialect_they_look_like(standing: ZooKeeper, hand: Hand, tmp_path: Path) -> None:
    root = f"/sample-{secrets.token_hex(4)}"
    await hand.say("10.0.0.1:80", "10.0.0.2:80", root=f"{root}/curator")
    for role in ("shop", "admin"):
        for number in (1, 2, 3):
            await hand.make(f"{root}/twitter/{role}/prod/web/member_{number:010}", MEMBER)
    await hand.make(f"{root}/empty")
    code, said, whole = await check(
        tmp_path,
        standing.hosts,
        {"path": f"{root}/curator/{{name}}", "dialect": "curator"},
        {
            "path": f"{root}/twitter/{{role}}/{{env}}/{{name}}",
            "dialect": "nerve",
            "where": {"role": "shop", "env": "prod"},
        },
        {"path": f"{root}/empty/{{name}}", "dialect": "plain"},
        {"path": f"{root}/none/{{name}}", "dialect": "plain"},
        {"path": f"{root}/{{role}}/{{env}}/{{name}}", "dialect": "serverset", "where": {"role": "web", "env": "prod"}},
        {"path": f"{root}/twitter/{{env}}/{{name}}", "dialect": "serverset", "where": {"env": "shop"}},
    )
    assert code == 1
    assert said == [
        f"trees[0] ({root}/curator): of 2 records in 1 service 2 like curator, as the configuration says",
        f"trees[1] ({root}/twitter): of 3 records in 1 service 3 like serverset, and the configuration says nerve",
        f"trees[2] ({root}/empty): there are no records to look at",
        f"trees[3] ({root}/none): is not there; correct the path of the tree ({root} has curator, empty, twitter)",
        (
            f"trees[4] ({root}): there are no records to look at: {root} has curator, empty, twitter, and {{role}} is "
            "none of them"
        ),
        (
            f"trees[5] ({root}/twitter): none of 1 record in 1 service looks like any dialect that is known; the "
            "configuration says serverset; they have children: the path may end a level too early"
        ),
    ]
    assert whole.endswith("bridge.yaml: will do, but what was looked at does not fit it")


async def test_a_tree_that_we_make_ourselves_may_be_missing(standing: ZooKeeper, tmp_path: Path) -> None:
    path = f"/sample-{secrets.token_hex(4)}/{{name}}"
    tree = {"path": path, "dialect": "curator"}
    export = [{**tree, "services": ["*"], "from": ["vms"]}]
    code, (said,), whole = await check(tmp_path, standing.hosts, tree, export=export)
    assert code == 0, whole
    assert said.endswith("is not there yet; it is made with the first record that is exported")


@pytest.mark.parametrize("dialect", NATIVES)
async def test_what_registers_itself_looks_like_its_dialect(
    standing: ZooKeeper, hand: Hand, tmp_path: Path, dialect: str
) -> None:
    root = f"/sample-{secrets.token_hex(4)}"
    for service in ("api", "web"):
        for number in (1, 2):
            native = NATIVES[dialect](service, endpoint(f"10.0.0.{number}:80"))
            await hand.make(f"{root}/{service}/{native.name}", native.data, sequence=native.sequential)
    code, (said,), whole = await check(tmp_path, standing.hosts, {"path": f"{root}/{{name}}", "dialect": dialect})
    assert code == 0, whole
    assert said.endswith(f"like {dialect}, as the configuration says")
    assert whole.endswith("bridge.yaml: will do")


async def test_curators_spring_clouds_and_dubbos_share_a_root_and_each_tree_fits(
    standing: ZooKeeper, hand: Hand, tmp_path: Path
) -> None:
    root = f"/sample-{secrets.token_hex(4)}"
    for service, dialect in (("a", "spring"), ("b", "dubbo-app"), ("c", "dubbo-app"), ("d", "curator")):
        native = NATIVES[dialect](service, endpoint("10.0.0.1:80"))
        await hand.make(f"{root}/{service}/{native.name}", native.data)
    place = f"{root}/{{name}}"
    code, said, whole = await check(
        tmp_path, standing.hosts, {"path": place, "dialect": "spring"}, {"path": place, "dialect": "dubbo-app"}
    )
    assert code == 0, whole
    assert [one.rpartition("services ")[2] for one in said] == [
        "2 like dubbo-app, 2 like spring, as the configuration says"
    ] * 2
    code, (one,), _ = await check(tmp_path, standing.hosts, {"path": place, "dialect": "curator"})
    assert (code, one.endswith("2 like dubbo-app, 2 like spring, and the configuration says curator")) == (1, True)


async def test_what_has_no_records_is_told_as_far_as_it_was_looked_at(
    standing: ZooKeeper, hand: Hand, tmp_path: Path
) -> None:
    """Dubbo leaves many a service behind that nobody serves any more."""
    root = f"/sample-{secrets.token_hex(4)}"
    await hand.many((f"{root}/a{number:03}", b"") for number in range(201))
    await hand.say("10.0.0.1:80", service="web", root=root)
    _, (said,), _ = await check(tmp_path, standing.hosts, {"path": f"{root}/{{name}}", "dialect": "curator"})
    assert said.endswith("there are no records to look at in the first 200 znodes of a level")


async def test_a_chroot_that_is_not_there_and_a_tree_of_somebody_elses_are_told(
    standing: ZooKeeper, hand: Hand, tmp_path: Path
) -> None:
    services = {"path": "/services/{name}", "dialect": "curator"}
    _, (said,), _ = await check(tmp_path, f"{standing.hosts}/no/such", services)
    assert said.startswith("trees[0] (/services): is not there below the chroot /no/such; correct the chroot, or")
    assert said.endswith("(the chroot is not there)")
    root = f"/kafka-{secrets.token_hex(4)}"
    await hand.make(f"{root}/brokers/ids/1", b"{}")
    await hand.make(f"{root}/controller")
    _, (said,), _ = await check(tmp_path, f"{standing.hosts}{root}", services)
    assert said.endswith("correct the chroot, or the path of the tree (/ has brokers, controller)")


async def test_where_nobody_listens_that_is_one_line_however_long_one_would_wait(tmp_path: Path) -> None:
    port = free_port()
    hosts, tree = f"127.0.0.1:{port}", {"path": "/services/{name}", "dialect": "curator"}
    code, said, whole = await check(tmp_path, hosts, tree, leads={"kind": "zookeeper", "hosts": hosts}, timeout="1h")
    assert code == 1
    nobody = f"zookeeper {hosts}: nobody listens on that port; correct `hosts`, or see to the servers"
    assert said[0] == f"zk: {nobody}", whole
    assert said[1].startswith(f"leader: zookeeper {hosts}: /registry-bridge-leader/registry-bridge: nobody listens")


async def test_a_server_that_is_silent_is_waited_for_as_long_as_is_said(tmp_path: Path) -> None:
    async with listening() as hosts:
        tree = {"path": "/services/{name}", "dialect": "curator"}
        code, (said,), whole = await check(tmp_path, hosts, tree, session="60s", timeout="1s")
        assert (code, said) == (
            1, f"zk: zookeeper {hosts}: no server answers; correct `hosts`, or see to the servers"
        ), whole  # fmt: skip


@asynccontextmanager
async def listening() -> AsyncIterator[str]:
    """A port that takes connections, and says nothing."""
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", port := free_port())
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.close()
