"""Dubbo's documents beside what they are about, on a real ZooKeeper."""

import secrets
from urllib.parse import quote_plus

from bridge.model import Endpoint, Health, Port
from tests.servers.zookeeper.hand import Hand
from tests.servers.zookeeper.natives import NATIVES
from tests.servers.zookeeper.observing import Observing, observing, settings, tree
from tests.servers.zookeeper.server import ZooKeeper

FOO = "com.ex.Foo"
ONE, TWO = "10.20.0.1:20880", "10.20.0.2:20880"


def said(seen: Observing) -> dict[str, tuple[int, bool]]:
    """Of each endpoint its weight, and whether it is not to be used."""
    return {str(one.id): (one.weight, one.health is Health.DRAINING) for one in seen.endpoints("foo")}


AS_IT_WAS = {ONE: (1, False), TWO: (1, False)}


async def test_who_is_disabled_by_a_document_is_draining_until_the_document_is_gone(
    standing: ZooKeeper, hand: Hand
) -> None:
    root = f"/dubbo-{secrets.token_hex(4)}"
    for where in (ONE, TWO):
        url = f"dubbo://{where}/{FOO}?interface={FOO}&side=provider&version=1.0.0"
        await hand.make(f"{root}/{FOO}/providers/{quote_plus(url)}")
    document = f"{root}/config/dubbo/{FOO}:1.0.0:.configurators"
    head = f"configVersion: v2.7\nscope: service\nkey: {FOO}:1.0.0\nenabled: true\nconfigs:\n"
    async with observing(settings(standing.hosts, tree(root, "dubbo", names={FOO: "shop/foo"}))) as seen:
        await seen.until(lambda: said(seen) == AS_IT_WAS)
        one = f"- side: consumer\n  providerAddresses: ['{ONE}']\n  parameters:\n    "
        await hand.make(document, f"{head}{one}disabled: true\n".encode())
        await seen.until(lambda: said(seen) == {ONE: (1, True), TWO: (1, False)})
        await hand.write(document, f"{head}{one}weight: 300\n".encode())
        await seen.until(lambda: said(seen) == {ONE: (3, False), TWO: (1, False)})
        await hand.write(document, b"not: [yaml")
        await seen.until(lambda: any(one.startswith(f"{document}: ") for one in seen.problems))
        assert said(seen) == {ONE: (3, False), TWO: (1, False)}
        await hand.remove(document)
        await seen.until(lambda: said(seen) == AS_IT_WAS and not seen.problems)


async def test_the_document_of_an_application_is_about_its_instances_and_may_be_closed_to_us(
    standing: ZooKeeper, hand: Hand
) -> None:
    root = f"/services-{secrets.token_hex(4)}"
    for where in (ONE, TWO):
        address, _, port = where.partition(":")
        native = NATIVES["dubbo-app"]("foo", Endpoint(address, (Port("dubbo", int(port)),)))
        await hand.make(f"{root}/foo/{native.name}", native.data)
    folder = f"{root}-dubbo/config/dubbo"
    entry = f"{{side: provider, addresses: ['{ONE}'], parameters: {{disabled: true}}}}"
    await hand.make(f"{folder}/foo.configurators", f"scope: application\nkey: foo\nconfigs: [{entry}]".encode())
    await hand.keep(folder)
    read = tree(root, "dubbo-app", dubbo={"root": f"{root}-dubbo"})
    async with observing(settings(standing.hosts, read)) as seen:
        await seen.until(lambda: said(seen) == AS_IT_WAS)
        assert any(one.startswith(f"{folder}: may not be read by us; give us `r` there") for one in seen.problems)
        assert not seen.unread, "all else counts"
        await hand.share(folder)
        await seen.until(lambda: said(seen) == {ONE: (1, True), TWO: (1, False)} and not seen.problems)
