"""Names: what is written can be read back, and means one thing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import ConfigError
from bridge.model import ServiceName
from bridge.xds.messages import CDS, EDS
from bridge.xds.names import Asked, Names

PAYMENTS = ServiceName("shop", "payments")
XDSTP = "xdstp://mesh/envoy.config.endpoint.v3.ClusterLoadAssignment"

TEMPLATES = [
    "{namespace}/{name}:{port}",
    "{name}.{namespace}.svc",
    "{name}.{namespace}.svc.cluster.local:{port}",
    "outbound_{port}_{name}_{namespace}",
    "outbound|{port}||{name}.{namespace}.svc.cluster.local",
    "{port}--{namespace}--{name}",
    "{namespace}-{name}",
    "{namespace}-svc-{name}-svc-{port}",
    "{namespace}--{name}-{port}",
    "über§{name}§§{namespace}",
]
# Small alphabets, so that separators and escapes turn up everywhere.
TEXTS = st.text("ab1-_.:/|%§s2F", min_size=1, max_size=8) | st.text(
    st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8
)
PORTS = st.just("") | st.integers(1, 65_535) | TEXTS.filter(lambda port: not (port.isascii() and port.isdigit()))


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("shop/payments", Asked(PAYMENTS)),
        ("shop/payments:grpc", Asked(PAYMENTS, "grpc")),
        ("shop/payments:8080", Asked(PAYMENTS, 8080)),
        ("shop/payments:8080a", Asked(PAYMENTS, "8080a")),
        ("shop/pay%3Aments:80", Asked(ServiceName("shop", "pay:ments"), 80)),
    ],
)
def test_a_name_asks_for_a_port_by_name_by_number_or_for_the_default_one(text: str, asked: Asked) -> None:
    assert Names().parse(text) == asked
    assert Names().write(*asked) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "payments",
        "/payments",
        "shop/",
        "shop//payments",
        "shop/payments:",
        "shop/payments:0",
        "shop/payments:080",
        "shop/payments:65536",
        "shop/payments:" + "9" * 5000,
        "shop/payments:a:b",
        "shop/p%61yments",
        "shop/%ff",
        "shop/pay%3aments",
        "*",
        "xdstp:",
        "a/b/c",
        "shop/٣:٣/",
    ],
)
def test_what_no_service_can_be_named_is_no_name(text: str) -> None:
    assert Names().parse(text) is None


@pytest.mark.parametrize("template", TEMPLATES)
@given(service=st.builds(ServiceName, TEXTS, TEXTS), port=PORTS)
def test_what_is_written_is_read_back(template: str, service: ServiceName, port: str | int) -> None:
    names = Names(template)
    if port != "" and not names.ports:
        with pytest.raises(ValueError, match=r"has no \{port\}"):
            names.write(service, port)
        return
    assert names.parse(names.write(service, port)) == Asked(service, port)


@pytest.mark.parametrize("template", TEMPLATES)
@given(text=st.text("ab1-_.:/|%§s2Foutnd", max_size=24) | st.text(max_size=24))
@pytest.mark.promise("S-17")
def test_one_thing_has_one_name_and_any_text_is_judged(template: str, text: str) -> None:
    names = Names(template)
    asked = names.parse(text)
    assert asked is None or names.write(*asked) == text


@pytest.mark.parametrize(
    ("template", "default", "grpc"),
    [
        ("outbound_{port}_{name}_{namespace}", "outbound_payments_shop", "outbound_grpc_payments_shop"),
        ("{port}.{name}.{namespace}", "payments.shop", "grpc.payments.shop"),
        ("{name}-{port}.{namespace}", "payments.shop", "payments-grpc.shop"),
        ("{name}.{namespace}.svc:{port}", "payments.shop.svc", None),
        ("outbound|{port}||{name}.{namespace}.svc", "outbound|payments.shop.svc", "outbound|grpc||payments.shop.svc"),
    ],
)
def test_the_default_port_leaves_its_placeholder_and_its_punctuation_out(
    template: str, default: str, grpc: str | None
) -> None:
    names = Names(template)
    assert names.write(PAYMENTS) == default
    assert names.write(PAYMENTS, "grpc") == (grpc or f"{default}:grpc")


def test_the_last_field_of_a_template_without_ports_keeps_its_separators() -> None:
    names = Names("{namespace}-{name}")
    assert names.write(ServiceName("shop", "pay-ments")) == "shop-pay-ments"
    assert names.parse("shop-pay-ments") == Asked(ServiceName("shop", "pay-ments"))
    assert names.write(ServiceName("my-shop", "a")) == "my%2Dshop-a"


def test_no_name_of_a_template_is_taken_for_an_xdstp_name() -> None:
    names, service = Names("{namespace}-{name}"), ServiceName("xdstp://mesh", "a")
    assert names.write(service) == "%78dstp://mesh-a"
    assert names.parse("%78dstp://mesh-a") == Asked(service)


def test_a_port_named_by_digits_alone_has_no_name() -> None:
    with pytest.raises(ValueError, match="taken for a number"):
        Names().write(PAYMENTS, "8080")


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("", "lacks {namespace}"),
        ("{namespace}/", "lacks {name}"),
        ("{name}:{port}", "lacks {namespace}"),
        ("{namespace}{name}", "side by side"),
        ("{namespace}/{name}{port}", "side by side"),
        ("{namespace}/{service}", "placeholder {service}"),
        ("{namespace}/{name}/{name}", "twice"),
        ("{namespace}/{name}:{port", "brace"),
        ("{namespace} {name}", "blank"),
        ("{namespace}%{name}", "percent"),
        ("{namespace}0{name}", "begin it with punctuation"),
        ("{namespace}--{port}-{name}", "within another"),
        ("xdstp://{namespace}/{name}", "xdstp"),
    ],
)
def test_a_template_that_cannot_be_read_back_is_refused_with_the_reason(template: str, why: str) -> None:
    with pytest.raises(ConfigError) as error:
        Names(template)
    assert str(error.value).startswith("xds.names: ")
    assert why in str(error.value)


def test_xdstp_names_are_understood_whatever_the_order_of_their_parameters() -> None:
    one, other = f"{XDSTP}/shop/payments:grpc?b=2&a=1", f"{XDSTP}/shop/payments:grpc?a=1&b=2"
    assert Names().parse(one) == Names().parse(other) == Asked(PAYMENTS, "grpc")


def test_xdstp_names_may_be_percent_encoded() -> None:
    assert Names().parse(f"{XDSTP}/shop/pay%6Dents%3A80") == Asked(PAYMENTS, 80)
    assert Names().parse(f"{XDSTP}/shop/pay%253Aments") == Asked(ServiceName("shop", "pay:ments"))


@pytest.mark.parametrize(
    "text",
    [
        f"{XDSTP}",
        f"{XDSTP}/",
        f"{XDSTP}/shop/payments?a=1&a=2",
        f"{XDSTP}/shop/payments#alt",
        f"{XDSTP}/shop/%zz",
        "xdstp://mesh/envoy.config.listener.v3.Listener/shop/payments",
        "xdstp://[/x/y",
        f"{XDSTP}/shop/%ff",
        f"{XDSTP}/shop/payments?a",
    ],
)
def test_xdstp_names_of_something_else_are_no_names(text: str) -> None:
    assert Names().parse(text) is None


@given(
    authority=st.text("ab.-:", max_size=6),
    id_=st.text("ab/:%?#& ", max_size=12),
    query=st.dictionaries(st.text("ab=&%+ ", min_size=1, max_size=4), st.text("ab=&%+ ", max_size=4), max_size=3),
    junk=st.text(max_size=10),
)
@pytest.mark.promise("S-17")
def test_any_xdstp_text_is_judged_and_the_order_of_its_parameters_is_nothing(
    authority: str, id_: str, query: dict[str, str], junk: str
) -> None:
    for type_url in (CDS, EDS):
        begin = f"xdstp://{authority}/{type_url.partition('/')[2]}/{id_}?{junk}"
        pairs = [f"{key}={value}" for key, value in query.items()]
        one, other = ("&".join((begin, *some)) for some in (pairs, reversed(pairs)))
        assert Names().parse(one) == Names().parse(other)
