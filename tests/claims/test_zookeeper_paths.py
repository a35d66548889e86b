"""Paths of ZooKeeper that are services, and what their parts say."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.zookeeper.paths import Found, Mapped, Tree, distinct, safe
from bridge.model import Locality, ServiceName

SHOP = Mapped("shop")
FINAGLE = Mapped(
    "{role}",
    "{job}",
    frozenset({"shop", "payments"}),
    {"env": frozenset({"prod"})},
    Locality("eu", "{dc}"),
    ("env", "role"),
)
TWITTER = Tree.of("/twitter/service/{dc}/{role}/{env}/{job}", FINAGLE)
NERVE = Tree.of("/smartstack/services/{name}", SHOP)


def found(tree: Tree, *below: str) -> Found:
    one = tree.find(below)
    assert one is not None
    return one


def test_a_pattern_says_where_to_look_and_how_deep() -> None:
    assert (NERVE.root, NERVE.depth) == ("/smartstack/services", 1)
    assert (TWITTER.root, TWITTER.depth) == ("/twitter/service", 4)
    solr = Tree.of("/solr/live_nodes", Mapped("search", "solr"))
    assert (solr.root, solr.depth) == ("/solr/live_nodes", 0)
    assert found(solr).service == ServiceName("search", "solr")


def test_the_parts_of_a_path_are_names_places_and_labels() -> None:
    one = found(TWITTER, "dc1", "shop", "prod", "Cart_API")
    assert one == (
        "/twitter/service/dc1/shop/prod/Cart_API",
        ServiceName("shop", "cart-api"),
        "shop/Cart_API",
        Locality("eu", "dc1"),
        (("env", "prod"), ("role", "shop")),
    )
    assert one.node == "Cart_API"


def test_what_is_not_asked_for_is_not_read() -> None:
    assert TWITTER.admits(2, "prod")
    assert not TWITTER.admits(2, "test")
    assert TWITTER.find(("dc1", "shop", "test", "cart")) is None
    assert TWITTER.find(("dc1", "kube-system", "prod", "cart")) is None, "its namespace is not one of those to fill"


def test_a_last_star_is_the_name() -> None:
    assert Tree.of("/services/*", SHOP) == Tree.of("/services/{name}", SHOP)
    assert found(Tree.of("/*/{name}", SHOP), "any", "web").service == ServiceName("shop", "web")


@pytest.mark.promise("S-08")
@pytest.mark.parametrize(
    "part", ["", ".", "..", "a/b", "a%2Fb", "a%2fb", "%2e%2e", "a%00", "a\x00", "a\nb", "\udcff", "a\u2028b", "%5c"]
)
def test_a_part_that_leads_elsewhere_is_refused(part: str) -> None:
    with pytest.raises(ValueError):
        NERVE.find((part,))
    with pytest.raises(ValueError):
        safe(part)


@pytest.mark.promise("S-08")
@pytest.mark.parametrize("name", ["..", "a/b", "../../etc", "", "A", "a_b", "\udcff", "x" * 64])
def test_a_service_of_no_proper_name_is_written_nowhere(name: str) -> None:
    with pytest.raises(ValueError):
        NERVE.path(ServiceName("shop", name))
    with pytest.raises(ValueError):
        TWITTER.path(ServiceName(name, "web"))


def test_two_spellings_of_one_name_are_told_and_one_is_read() -> None:
    them = [found(NERVE, spelled) for spelled in ("Web_Shop", "web-shop", "web_shop", "other")]
    kept, problems = distinct(them)
    assert [one.node for one in kept] == ["other", "web-shop"]
    assert [problem.where for problem in problems] == [
        "/smartstack/services/Web_Shop",
        "/smartstack/services/web_shop",
    ]
    assert problems[0].service == ServiceName("shop", "web-shop")
    assert distinct(reversed(them)) == (kept, problems), "whatever the order in which they are listed"


def test_one_name_under_several_paths_is_one_service() -> None:
    them = [found(TWITTER, zone, "shop", "prod", "cart") for zone in ("dc1", "dc2")]
    kept, problems = distinct(them)
    assert len(kept) == 2
    assert not problems


def test_a_service_is_written_where_it_would_be_read() -> None:
    assert NERVE.path(ServiceName("shop", "web")) == "/smartstack/services/web"
    tree = Tree.of("/t/{role}/{env}/{job}", FINAGLE._replace(locality=Locality("eu")))
    assert tree.path(ServiceName("shop", "web")) == "/t/shop/prod/web"
    tree.writable()
    with pytest.raises(ValueError, match="say it under `where:`"):
        TWITTER.writable()
    with pytest.raises(ValueError, match="cannot be undone"):
        Tree.of("/t/{env}/{name}", Mapped("shop", "{name}-{env}")).writable()
    with pytest.raises(ValueError, match="does not have the namespace shop"):
        NERVE.path(ServiceName("base", "web"))


def test_names_that_operators_give_hold_in_both_directions() -> None:
    pay = ServiceName("shop", "payments")
    tree = Tree.of("/dubbo/{name}", Mapped("shop", names={"com.ex.Payments": pay}))
    assert found(tree, "com.ex.Payments").service == pay
    assert tree.path(pay) == "/dubbo/com.ex.Payments"
    assert found(tree, "com.ex.Other").service == ServiceName("shop", "com-ex-other")


@pytest.mark.parametrize(
    ("path", "mapped", "why"),
    [
        ("services/{name}", SHOP, "is not a path"),
        ("/", SHOP, "is not a path"),
        ("/a/../{name}", SHOP, "no part of a path"),
        ("/a//{name}", SHOP, "no part of a path"),
        ("/a/x-{name}", SHOP, "one {variable}"),
        ("/a/{name}/{name}", SHOP, "stands twice"),
        ("/a/{job}", SHOP, "asks for {name}"),
        ("/a/{env}/{name}", SHOP, "{env} of the path says nothing"),
        ("/a/{role}/{name}", Mapped("{role}"), "needs `namespaces:`"),
        ("/a/{name}", Mapped("shop", where={"env": frozenset({"prod"})}), "asks for {env}"),
        ("/a/{name}", Mapped(""), "needs `namespace:`"),
    ],
)
def test_a_pattern_that_cannot_be_meant_is_refused(path: str, mapped: Mapped, why: str) -> None:
    with pytest.raises(ValueError) as error:
        Tree.of(path, mapped)
    assert why in str(error.value)


label = st.from_regex(r"\A[a-z0-9](?:[-a-z0-9]{0,20}[a-z0-9])?\Z")


@given(label, label)
def test_every_service_that_is_written_is_found_under_its_name(namespace: str, name: str) -> None:
    tree = Tree.of("/x/{role}/{name}", Mapped("{role}", namespaces=frozenset({namespace})))
    service = ServiceName(namespace, name)
    path = tree.path(service)
    assert found(tree, *path.removeprefix("/x/").split("/")) == (path, service, str(service), Locality(), ())


@pytest.mark.promise("S-17")
@given(st.lists(st.text(max_size=20), min_size=4, max_size=4))
def test_no_path_raises_more_than_a_refusal(below: list[str]) -> None:
    one = None
    with contextlib.suppress(ValueError):
        one = TWITTER.find(below)
    assert one is None or one.path.count("/") == 6
