"""Documents that stand beside a tree of znodes and say something of the services in it."""

import pytest

from adapters.zookeeper.dialects.dubbo import Dubbo
from adapters.zookeeper.dialects.dubbo_url import encode
from adapters.zookeeper.documents import Documents
from adapters.zookeeper.mirror import Mirror
from adapters.zookeeper.operations import Get
from adapters.zookeeper.paths import Mapped, Tree
from bridge.model import Endpoint, Health
from tests.builders import name
from tests.claims.test_zookeeper_mirror import Seen, asked
from tests.znodes import Znodes

FOLDER = "/dubbo/config/dubbo"
FOO = f"{FOLDER}/com.ex.Foo::.configurators"
SHOP = f"{FOLDER}/shop.configurators"


@pytest.fixture
def znodes() -> Znodes:
    """An application that provides two interfaces, and another one that provides a third."""
    made = Znodes()
    for interface, application in (("Foo", "shop"), ("Bar", "shop"), ("Baz", "other")):
        url = f"dubbo://10.0.0.1:20880/com.ex.{interface}?application={application}"
        made.make(f"/dubbo/com.ex.{interface}/providers/{encode(url)}")
    return made


def seen(znodes: Znodes) -> Seen:
    """What was read of it for the first time."""
    tree, documents = Mirror(Tree.of("/dubbo/{name}", Mapped("shop")), Dubbo()), Documents(FOLDER)
    tree.again()
    documents.mirror.again()
    made = Seen(znodes, tree, documents=documents)
    made.look()
    asked(znodes)
    return made


def service(entry: str) -> bytes:
    return f"scope: service\nkey: com.ex.Foo\nconfigs: [{{side: consumer, {entry}}}]".encode()


def application(entry: str) -> bytes:
    return f"scope: application\nkey: shop\nconfigs: [{{side: provider, {entry}}}]".encode()


OUT = "parameters: {disabled: true}"


def out(of: Seen) -> list[str]:
    """The interfaces whose provider is not to be used."""
    of.look()
    found: dict[str, Endpoint] = {each.name: one for each, said in of.whole.services.items() for one in said.endpoints}
    assert len(found) == 3, "nobody is ever removed"
    return sorted(each.removeprefix("com-ex-") for each, one in found.items() if one.health is Health.DRAINING)


def test_a_document_concerns_its_service_alone_and_one_of_an_application_what_it_provides(znodes: Znodes) -> None:
    znodes.make(SHOP, application(OUT))
    made = seen(znodes)
    assert out(made) == ["bar", "foo"]
    before = made.whole.services
    znodes.make(FOO, service("parameters: {disabled: false}"))
    assert out(made) == ["bar"]
    assert made.whole.services[name("shop/com-ex-bar")] is before[name("shop/com-ex-bar")]
    assert [one for one in asked(znodes) if isinstance(one, Get)] == [Get(FOO, watch=True)], "no more is read again"
    znodes.write(FOO, service(OUT))
    assert out(made) == ["bar", "foo"]
    assert asked(znodes) == [Get(FOO, watch=True)]
    znodes.remove(SHOP)
    assert out(made) == ["foo"]
    znodes.remove("/dubbo/config")
    assert out(made) == []


def test_documents_may_come_later_and_so_may_who_heeds_them(znodes: Znodes) -> None:
    made = seen(znodes)
    assert out(made) == []
    znodes.make(SHOP, application(OUT))
    assert out(made) == ["bar", "foo"]
    znodes.remove("/dubbo/com.ex.Baz/providers")
    znodes.make("/dubbo/com.ex.Baz/providers/" + encode("dubbo://10.0.0.1:20880/com.ex.Baz?application=shop"))
    assert out(made) == ["bar", "baz", "foo"]
    znodes.remove("/dubbo/com.ex.Bar")
    znodes.write(SHOP, application("parameters: {disabled: false}"))
    made.look()
    assert {one.health for said in made.whole.services.values() for one in said.endpoints} == {None}


@pytest.mark.promise("R-23", "law-9")
def test_a_document_that_cannot_be_understood_is_one_problem_and_what_it_said_last_stands(znodes: Znodes) -> None:
    znodes.make(FOO, service(OUT))
    znodes.make(SHOP, application("parameters: {weight: much}"))
    made = seen(znodes)
    assert out(made) == ["foo"]
    (shop,) = made.problems
    assert shop.startswith(f"{SHOP}: configs[0]: weight 'much'")
    assert shop.endswith("; nothing of it is applied")
    znodes.write(FOO, b"not: [yaml")
    assert out(made) == ["foo"]
    foo, _ = made.problems
    assert foo.startswith(f"{FOO}: ")
    assert foo.endswith("; what it said last stands")
    assert [one.service for one in made.whole.problems()] == [name("shop/com-ex-foo"), None]
    znodes.remove(FOO)
    znodes.make(FOO, b"not: [yaml")
    assert out(made) == []
    znodes.write(FOO, service(OUT))
    znodes.write(SHOP, application(OUT))
    assert out(made) == ["bar", "foo"]
    assert not made.problems


def test_what_nobody_heeds_is_nobodys_problem(znodes: Znodes) -> None:
    znodes.make(f"{FOLDER}/com.ex.Gone::.configurators", b"not: [yaml")
    znodes.make(f"{FOLDER}/shop.condition-router", b"not: [yaml")
    znodes.make(SHOP, application("parameters: {weight: 300}, match: {app: {oneof: [{exact: shop}]}}"))
    made = seen(znodes)
    assert out(made) == []
    (problem,) = made.problems
    assert problem.startswith(f"{SHOP}: configs[0].match: ")
    assert not [one for one in asked(znodes) if "router" in str(one)]


def test_documents_that_may_not_be_read_keep_nobody_from_being_read(znodes: Znodes) -> None:
    znodes.make(FOO, service(OUT))
    znodes.closed.add(FOLDER)
    made = seen(znodes)
    assert out(made) == []
    znodes.closed.clear()
    for mirror in made.mirrors:
        mirror.retry()
    assert out(made) == ["foo"]
    znodes.closed.add(FOO)
    znodes.write(FOO, b"")
    assert out(made) == ["foo"], "what it said last stands"
