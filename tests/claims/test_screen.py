from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.model import Endpoint, Locality, Port, Service, ServiceName, Services
from bridge.screen import screen
from bridge.table import Table, share
from tests.builders import endpoint, hosts, service, services
from tests.engines import BOUNDS, policy

WEB = ServiceName("shop", "web")


def told(said: Services, **how: object) -> list[str]:
    return [str(one) for one in screen(said, policy(**how), None).problems]  # type: ignore[arg-type]


def of(*endpoints: Endpoint | str, metadata: tuple[tuple[str, str], ...] = ()) -> Services:
    return services(service("shop/web", *endpoints, metadata=metadata))


def test_what_is_allowed_passes_as_the_same_objects() -> None:
    said = of("10.0.0.1:80", "[2001:db8::1]:80")
    screened = screen(said, policy(), None)
    assert screened.problems == ()
    assert screened.services[WEB] is said[WEB]


@pytest.mark.promise("law-9", "R-23")
def test_one_bad_endpoint_among_ten_thousand_is_one_problem_and_costs_one_endpoint() -> None:
    good = hosts(9_999)
    screened = screen(of(*good, "169.254.1.1:80"), policy(), None)
    assert len(screened.services[WEB].endpoints) == 9_999
    assert len(screened.problems) == 1
    assert "169.254.1.1" in str(screened.problems[0])
    assert screened.problems[0].service == WEB


@pytest.mark.promise("S-01")
@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254",
        "::ffff:169.254.169.254",
        "::ffff:a9fe:a9fe",
        "0:0:0:0:0:ffff:a9fe:a9fe",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b::169.254.169.254",
        "fd00:ec2::254",
        "FD00:0EC2:0::0254",
        "169.254.43518",
        "2852039166",
        "0xa9fea9fe",
        "0251.0376.0251.0376",
        "::169.254.169.254",
        "2002:a9fe:a9fe::1",
    ],
)
def test_the_metadata_address_is_refused_in_all_its_spellings(address: str) -> None:
    screened = screen(of("10.0.0.1:80", Endpoint(address, (Port("", 80),))), policy(), None)
    assert [one.address for one in screened.services[WEB].endpoints] == ["10.0.0.1"]
    assert [one.kind for one in screened.problems] == ["address"]


@pytest.mark.promise("S-02")
@pytest.mark.parametrize("address", ["127.0.0.1", "127.9.9.9", "::1", "0.0.0.0", "::", "::ffff:127.0.0.1"])
def test_loopback_and_unspecified_are_refused(address: str) -> None:
    screened = screen(of(Endpoint(address, (Port("", 80),))), policy(), None)
    assert screened.services[WEB].endpoints == ()
    assert len(screened.problems) == 1


@pytest.mark.promise("S-02")
def test_loopback_is_admitted_when_the_operator_says_so_and_unspecified_never() -> None:
    screened = screen(of("127.0.0.1:80", "0.0.0.0:80"), policy(allow_loopback=True), None)
    assert [one.address for one in screened.services[WEB].endpoints] == ["127.0.0.1"]


def test_a_mapped_address_is_the_address_that_it_stands_for() -> None:
    screened = screen(of(Endpoint("::ffff:10.0.0.1", (Port("", 80),))), policy(), None)
    assert [one.address for one in screened.services[WEB].endpoints] == ["10.0.0.1"]
    twice = screen(of("10.0.0.1:80", Endpoint("::ffff:10.0.0.1", (Port("", 80),))), policy(), None)
    assert [one.kind for one in twice.problems] == ["duplicate"]
    assert len(twice.services[WEB].endpoints) == 1


def test_an_endpoint_outside_the_allow_list_is_a_problem() -> None:
    screened = screen(of("10.20.0.1:80", "10.30.0.1:80"), policy("10.20.0.0/16"), None)
    assert [one.address for one in screened.services[WEB].endpoints] == ["10.20.0.1"]
    assert "10.30.0.1 is in none of the networks of `addresses:`" in str(screened.problems[0])


@pytest.mark.promise("S-03")
def test_a_registry_fills_only_the_namespaces_it_may() -> None:
    said = services(service("shop/web", "10.0.0.1:80"), service("kube-system/dns", "10.0.0.2:80"))
    assert list(screen(said, policy(), None).services) == [WEB]
    (problem,) = told(said)
    assert problem == (
        "kube-system/dns: the namespace kube-system must be named under `namespaces:` to be filled; "
        "the service is left out"
    )
    named = screen(said, policy(namespaces=["kube-system"]), None)
    assert [str(name) for name in named.services] == ["kube-system/dns"]
    assert "shop is not one of `namespaces:`" in str(named.problems[0])


@pytest.mark.promise("S-03")
@pytest.mark.parametrize(
    "bad",
    [
        ServiceName("Shop", "web"),
        ServiceName("shop", "../web"),
        ServiceName("shop", "a" * 64),
        ServiceName("shop", "-web"),
        ServiceName("shop", "web\r\nx"),
        ServiceName("", "web"),
        ServiceName("shop", "wéb"),
        ServiceName("shop", "a/b"),
    ],
)
def test_a_name_that_is_no_dns_label_costs_its_service(bad: ServiceName) -> None:
    said = Table({bad: Service(bad), WEB: service("shop/web", "10.0.0.1:80")})
    screened = screen(said, policy(), None)
    assert list(screened.services) == [WEB]
    assert [one.kind for one in screened.problems] == ["name"]
    assert str(screened.problems[0]).isprintable()


@pytest.mark.parametrize("port", [0, -1, 65_536, 99_999])
def test_a_port_out_of_range_costs_its_endpoint(port: int) -> None:
    screened = screen(of("10.0.0.1:80", f"10.0.0.2:{port}"), policy(), None)
    assert len(screened.services[WEB].endpoints) == 1
    assert f"port {port} is not between 1 and 65535" in str(screened.problems[0])


@pytest.mark.parametrize("bad", ["8080", "a b", "x\n", "-a", "a:b", "p" * 64])
def test_a_bad_name_of_a_port_costs_the_name(bad: str) -> None:
    screened = screen(of(endpoint("10.0.0.1:80", port=bad)), policy(), None)
    assert screened.services[WEB].endpoints[0].ports == (Port("", 80),)
    assert [one.kind for one in screened.problems] == ["port"]
    assert str(screened.problems[0]).isprintable()


@pytest.mark.promise("S-09")
def test_control_characters_get_neither_into_what_is_served_nor_into_what_is_shown() -> None:
    said = of(
        endpoint("10.0.0.1:80", network="a\r\nSet-Cookie: x"),
        endpoint("10.0.0.2:80", locality=Locality("eu\x1b[2J")),
        Endpoint("10.0.0.3\r\nx", (Port("", 80),)),
        endpoint("10.0.0.4:80", metadata=(("k\n", "v"), ("ok", "v"))),
    )
    screened = screen(said, policy(), None)
    assert [(one.address, one.metadata) for one in screened.services[WEB].endpoints] == [("10.0.0.4", (("ok", "v"),))]
    assert len(screened.problems) == 4
    assert all(str(one).isprintable() for one in screened.problems)


@pytest.mark.promise("S-06")
def test_oversized_metadata_costs_what_is_too_much_and_not_the_endpoint() -> None:
    long = endpoint("10.0.0.1:80", metadata=(("big", "x" * 1_000_000), ("small", "y")))
    many = endpoint("10.0.0.2:80", metadata=tuple((f"k{number:03}", "v") for number in range(100)))
    screened = screen(of(long, many), policy(), None)
    one, other = screened.services[WEB].endpoints
    assert one.metadata == ()  # over the sum already
    assert len(other.metadata) == BOUNDS.pairs
    assert [one.kind for one in screened.problems] == ["metadata", "metadata"]
    value = screen(of(endpoint("10.0.0.1:80", metadata=(("a", "x" * 300), ("b", "y")))), policy(), None)
    assert value.services[WEB].endpoints[0].metadata == (("b", "y"),)


@pytest.mark.promise("S-06")
def test_bounds_are_kept_in_a_decided_order_with_a_problem_each() -> None:
    bounds = replace(BOUNDS, services=3, endpoints=2, ports=1)
    said = services(
        *(service(f"shop/s{number}", *hosts(1 + number)) for number in range(5)),
        service("shop/p", endpoint("10.9.0.1:80", more=(Port("admin", 81),))),
    )
    screened = screen(said, policy(bounds=bounds), None)
    assert sorted(map(str, screened.services)) == ["shop/p", "shop/s0", "shop/s1"]
    assert [one.kind for one in screened.problems] == ["bound", "port"]
    assert screened.problems[0].count == 3
    assert screened.services[ServiceName("shop", "p")].endpoints[0].ports == (Port("http", 80),)
    crowd = screen(of(*hosts(5)), policy(bounds=bounds), None)
    assert [str(one.id) for one in crowd.services[WEB].endpoints] == ["10.0.0.1:80", "10.0.0.2:80"]


@pytest.mark.promise("S-06")
def test_problems_are_bounded_and_counted() -> None:
    said = services(*(service(f"shop/s{n}", *hosts(100, port=0)) for n in range(100)))
    problems = screen(said, policy(), None).problems
    assert len(problems) == 501
    assert sum(one.count for one in problems) == 10_000


def test_a_weight_out_of_range_is_brought_into_it() -> None:
    screened = screen(of(endpoint("10.0.0.1:80", weight=0), endpoint("10.0.0.2:80", weight=10**9)), policy(), None)
    assert [one.weight for one in screened.services[WEB].endpoints] == [1, BOUNDS.weight]
    assert [one.kind for one in screened.problems] == ["weight", "weight"]


addresses = st.sampled_from(["10.0.0.1", "10.0.0.2", "127.0.0.1", "::ffff:10.0.0.1", "nonsense", "10.0.0.3"])
endpoints = st.builds(
    lambda address, port, name, weight: Endpoint(address, (Port(name, port),), weight=weight),
    addresses,
    st.sampled_from([80, 81, 0]),
    st.sampled_from(["http", "80", ""]),
    st.sampled_from([1, 0, 7]),
)
views = st.dictionaries(
    st.sampled_from([ServiceName("shop", "a"), ServiceName("shop", "b"), ServiceName("kube-x", "c"), WEB]),
    st.lists(endpoints, max_size=4, unique_by=lambda one: one.id),
    max_size=4,
).map(lambda said: Table({name: Service.of(name, them) for name, them in said.items()}))


@given(st.lists(views, min_size=1, max_size=5), st.booleans())
def test_what_was_screened_before_changes_no_answer(said: list[Services], shared: bool) -> None:
    how = policy(bounds=replace(BOUNDS, services=3, endpoints=2))
    screened = None
    before: Services = Table()
    for view in said:
        before = share(before, view) if shared else view
        screened = screen(before, how, screened)
        afresh = screen(view, how, None)
        assert screened.services == afresh.services
        assert screened.problems == afresh.problems


def test_another_policy_judges_everything_anew() -> None:
    said = of("10.0.0.1:80", "127.0.0.1:80")
    first = screen(said, policy(allow_loopback=True), None)
    assert len(first.services[WEB].endpoints) == 2
    assert len(screen(said, policy(), first).services[WEB].endpoints) == 1
