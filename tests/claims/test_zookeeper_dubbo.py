"""Dubbo's providers of an interface, and what configurators say of them.

URLs as Dubbo 3.3 registers them (`URL.toFullString`, encoded by Java's URLEncoder), overrides as `Configurator` and
`AbstractConfigurator` apply them.
"""

from urllib.parse import unquote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.zookeeper.dialects.dialect import Child
from adapters.zookeeper.dialects.dubbo import Dubbo
from adapters.zookeeper.dialects.dubbo_url import Url, encode, value, value_of
from bridge.model import Endpoint, Health, Locality, Port
from tests.builders import endpoint
from tests.claims.znodes import OURS, child, fitted, made, poisons_nobody, said, tell
from tests.claims.zookeeper_records import DUBBO, DUBBO_NAME

DIALECT = Dubbo()


def provider(url: str) -> Child:
    return child(encode(url), branch="providers")


def at(host: str, params: str = "", port: int = 20880) -> Child:
    return provider(f"dubbo://{host}:{port}/com.ex.Foo?category=providers&interface=com.ex.Foo{params}")


def override(url: str) -> Child:
    return child(encode(url), branch="configurators")


def outcome(*them: Child) -> list[tuple[str, int, Health | None]]:
    return [(one.address, one.weight, one.health) for one in said(DIALECT, *them)]


def test_names_are_encoded_as_java_does_it() -> None:
    assert encode(DUBBO) == DUBBO_NAME
    assert encode("a b*-._~é/") == "a+b*-._%7E%C3%A9%2F"


def test_a_provider_is_an_address_and_a_port_by_the_name_of_its_protocol() -> None:
    assert said(DIALECT, child(DUBBO_NAME, branch="providers")) == [
        Endpoint(
            "10.0.0.1",
            (Port("dubbo", 20880),),
            metadata=(("application", "app"), ("group", "g"), ("version", "1.0.0")),
        )
    ]
    (one,) = said(DIALECT, provider("tri://10.0.0.1:50051/com.ex.Foo"))
    assert one.ports == (Port("tri", 50051),)


@pytest.mark.parametrize(
    "url",
    [
        "dubbo://10.0.0.1:20880/com.ex.Foo",
        "dubbo://10.0.0.1:20880",
        "dubbo://user:pass@10.0.0.1:20880/com.ex.Foo?a=b=c",
        "dubbo://10.0.0.1:20880/com.ex.Foo?anyhost",
        "dubbo://10.0.0.1:20880/g/com.ex.Foo:1.0.0?x=",
    ],
)
def test_what_dubbo_lets_pass_is_read(url: str) -> None:
    assert [one.id.port for one in said(DIALECT, provider(url))] == [20880]


def test_an_ipv6_address_stands_in_brackets_or_without() -> None:
    for url in ("dubbo://[2001:db8::1]:20880/com.ex.Foo", "dubbo://2001:db8::1:20880/com.ex.Foo"):
        assert said(DIALECT, provider(url))[0].id == ("2001:db8::1", 20880)


def test_what_is_no_provider_is_passed_over() -> None:
    told = tell(
        DIALECT,
        provider("empty://0.0.0.0/com.ex.Foo?category=providers"),
        provider("consumer://10.0.0.1/com.ex.Foo?category=consumers"),
        provider("override://0.0.0.0/com.ex.Foo?category=configurators"),
        override("empty://0.0.0.0/com.ex.Foo?category=configurators"),
    )
    assert (told.others, told.problems) == ((), ())


def test_only_the_version_and_group_that_are_asked_for_are_read() -> None:
    them = [at("10.0.0.1", "&version=1.0.0"), at("10.0.0.2", "&version=2.0.0"), at("10.0.0.3", "&group=g")]
    assert len(said(DIALECT, *them)) == 3
    assert [one.address for one in said(Dubbo(version="1.0.0"), *them)] == ["10.0.0.1"]
    assert [one.address for one in said(Dubbo(group="g"), *them)] == ["10.0.0.3"]
    assert [one.address for one in said(Dubbo(group="", version=""), *them)] == []


BAD = [
    child("garbage", branch="providers"),
    child("", branch="providers"),
    child("%FF%FE", branch="providers"),
    child("a" * 40_000, branch="providers"),
    provider("10.0.0.1:20880"),
    provider("://10.0.0.1:20880/com.ex.Foo"),
    provider("dubbo:/10.0.0.1:20880/com.ex.Foo"),
    provider("dubbo://10.0.0.1/com.ex.Foo"),
    provider("dubbo://10.0.0.1:/com.ex.Foo"),
    provider("dubbo://10.0.0.1:port/com.ex.Foo"),
    provider("dubbo://10.0.0.1:0/com.ex.Foo"),
    provider("dubbo://10.0.0.1:65536/com.ex.Foo"),
    provider("dubbo://10.0.0.1:-1/com.ex.Foo"),
    provider("dubbo://:20880/com.ex.Foo"),
    provider("dubbo://0.0.0.0:20880/com.ex.Foo"),
    provider("dubbo://127.1:20880/com.ex.Foo"),
    provider("dubbo://10.0.0.1:20880/com.ex.Foo?weight=many"),
    provider("dubbo://10.0.0.1:20880/com.ex.Foo?weight=-1"),
    provider("dubbo://10.0.0.1:20880/com.ex.Foo?a=b\nc"),
    override("garbage"),
    override("dubbo://0.0.0.0/com.ex.Foo?weight=200"),
    override("override://0.0.0.0/com.ex.Foo?weight=many"),
    override("override://0.0.0.0/com.ex.Foo?weight=200&priority=first"),
    override("override://0.0.0.0:99999/com.ex.Foo?weight=200"),
]


@pytest.mark.promise("R-23", "law-9")
def test_a_provider_that_nobody_can_call_costs_itself() -> None:
    poisons_nobody(DIALECT, [at(f"10.0.1.{number}") for number in range(1, 51)], BAD)


# Weights, and who is out


def test_weights_keep_their_proportion_and_the_default_is_one_of_them() -> None:
    assert outcome(at("10.0.0.1"), at("10.0.0.2")) == [("10.0.0.1", 1, None), ("10.0.0.2", 1, None)]
    assert outcome(at("10.0.0.1"), at("10.0.0.2", "&weight=50")) == [("10.0.0.1", 2, None), ("10.0.0.2", 1, None)]
    assert outcome(at("10.0.0.1", "&weight=300")) == [("10.0.0.1", 3, None)]
    assert outcome(at("10.0.0.1"), at("10.0.0.2", "&weight=0")) == [
        ("10.0.0.1", 1, None),
        ("10.0.0.2", 1, Health.DRAINING),
    ]


@pytest.mark.parametrize("params", ["&enabled=false", "&disabled=true", "&enabled=false&disabled=false"])
def test_a_provider_that_is_out_is_draining(params: str) -> None:
    assert outcome(at("10.0.0.1", params)) == [("10.0.0.1", 1, Health.DRAINING)]


BOTH = [at("10.0.0.1"), at("10.0.0.2")]


@pytest.mark.parametrize(
    ("url", "weights", "out"),
    [
        ("override://0.0.0.0/com.ex.Foo?category=configurators&dynamic=false&weight=200", [2, 2], []),
        ("override://10.0.0.1:20880/com.ex.Foo?weight=200", [2, 1], []),
        ("override://0.0.0.0:20880/com.ex.Foo?weight=200", [2, 2], []),
        ("override://10.0.0.1:1/com.ex.Foo?weight=200", [1, 1], []),
        ("override://0.0.0.0/com.ex.Foo?disabled=true", [1, 1], ["10.0.0.1", "10.0.0.2"]),
        ("override://10.0.0.2:20880/com.ex.Foo?disabled=true", [1, 1], ["10.0.0.2"]),
        ("override://0.0.0.0/com.ex.Foo?disabled=true&enabled=false", [1, 1], []),
        ("override://0.0.0.0/com.ex.Foo?disabled=true&application=some", [1, 1], []),
        ("override://0.0.0.0/com.ex.Foo?disabled=true&application=*", [1, 1], ["10.0.0.1", "10.0.0.2"]),
        ("override://0.0.0.0/com.ex.Foo?disabled=true&version=1.0.0", [1, 1], []),
        ("override://0.0.0.0/com.ex.Foo?disabled=true&version=*&group=*", [1, 1], ["10.0.0.1", "10.0.0.2"]),
        ("override://10.9.9.9/com.ex.Foo?disabled=true", [1, 1], []),
        ("override://0.0.0.0/com.ex.Foo?timeout=3000", [1, 1], []),
        ("absent://0.0.0.0/com.ex.Foo?weight=200", [2, 2], []),
    ],
)
def test_configurators_say_weights_and_who_is_disabled(url: str, weights: list[int], out: list[str]) -> None:
    told = outcome(*BOTH, override(url))
    assert [weight for _, weight, _ in told] == weights
    assert [address for address, _, health in told if health is Health.DRAINING] == out


def test_what_is_absent_holds_where_the_provider_says_nothing() -> None:
    rule = override("absent://0.0.0.0/com.ex.Foo?weight=200")
    assert outcome(at("10.0.0.1", "&weight=300"), at("10.0.0.2"), rule) == [
        ("10.0.0.1", 3, None),
        ("10.0.0.2", 2, None),
    ]


def test_the_more_special_override_is_heard_last() -> None:
    rules = [
        override("override://10.0.0.1:20880/com.ex.Foo?weight=300"),
        override("override://0.0.0.0/com.ex.Foo?weight=200&disabled=true"),
        override("override://0.0.0.0/com.ex.Foo?weight=500&priority=1"),
        override("override://10.0.0.1:20880/com.ex.Foo?disabled=false&priority=1"),
    ]
    expected = [("10.0.0.1", 3, None), ("10.0.0.2", 5, Health.DRAINING)]
    assert outcome(*BOTH, *rules) == outcome(*reversed(rules), *BOTH) == expected


def test_no_override_brings_back_who_is_not_enabled() -> None:
    rule = override("override://0.0.0.0/com.ex.Foo?disabled=false")
    assert outcome(at("10.0.0.1", "&enabled=false"), at("10.0.0.2", "&disabled=true"), rule) == [
        ("10.0.0.1", 1, Health.DRAINING),
        ("10.0.0.2", 1, None),
    ]


def test_overrides_do_not_change_what_we_wrote() -> None:
    nodes = made(DIALECT, fitted(DIALECT, endpoint("10.0.0.1:20880", weight=3))[0])
    told = tell(DIALECT, *nodes, override("override://0.0.0.0/web?weight=700&disabled=true"), mark=OURS)
    assert told.holding.endpoints == (endpoint("10.0.0.1:20880", port="dubbo", weight=3),)


# Writing


def test_a_provider_is_written_as_dubbo_reads_it() -> None:
    dialect = Dubbo("tri", "g", "1.0.0")
    one = endpoint("10.0.0.1:50051", port="tri", weight=2, locality=Locality("eu", "dc 1&2"))
    records, problems = fitted(dialect, one)
    assert not problems
    (node,) = made(dialect, records)
    assert (node.branch, node.data) == ("providers", b"")
    assert unquote_plus(node.name) == (
        "tri://10.0.0.1:50051/web?category=providers&dynamic=false&group=g&interface=web&region=eu&side=provider"
        "&version=1.0.0&weight=200&zone=dc%201%262&registry-bridge=1~prod-eu1"
    )
    assert "%7Eprod-eu1" in node.name
    assert "timestamp" not in node.name, "a new one would be warmed up"


def test_an_ipv6_address_is_written_in_brackets() -> None:
    (node,) = made(DIALECT, fitted(DIALECT, endpoint("[2001:db8::1]:20880", port="dubbo"))[0])
    assert unquote_plus(node.name).startswith("dubbo://[2001:db8::1]:20880/web?")


def test_what_dies_with_the_bridge_is_dynamic() -> None:
    (record,), _ = fitted(Dubbo(ephemeral=True), endpoint("10.0.0.1:20880", port="dubbo"))
    assert b"dynamic=true" in record.content


texts = st.text(st.characters(codec="utf-8"), max_size=20)


@given(texts)
def test_a_value_parts_no_url_and_reads_back(text: str) -> None:
    assert set(value(text)).isdisjoint("&=?#+ ")
    assert value_of(value(text)) == text


@pytest.mark.promise("S-17")
@given(st.one_of(st.text(max_size=40), st.text("dubo:/?&=%0123456789.[]@", max_size=40).map(encode)))
def test_no_name_makes_the_reader_fail_otherwise(name: str) -> None:
    try:
        Url.of(name)
    except ValueError as error:
        assert str(error).isprintable()  # noqa: PT017  # either outcome is fine
