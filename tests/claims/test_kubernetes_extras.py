"""What bridges say to each other where an EndpointSlice has no field for it."""

import pytest

from adapters.kubernetes.extras import MOST, NOTHING, Extra, decode, encode, extra
from bridge.model import Health, Locality, Port
from tests.builders import endpoint

HTTP = (Port("http", 80),)


def test_what_the_slice_says_itself_is_not_said_again() -> None:
    one = endpoint("10.0.0.1:80", health=Health.DRAINING, locality=Locality("", "eu-1a", ""))
    assert extra(one, HTTP, 1000) == (NOTHING, ())
    assert encode({"10.0.0.1": NOTHING}) == encode({}) == ""
    assert decode("") == ({}, ())


def test_what_is_said_is_canonical() -> None:
    one = endpoint(
        "10.0.0.1:9000",
        health=Health.DEGRADED,
        port="admin",
        more=HTTP,
        locality=Locality("eu", "eu-1a", "r1"),
        network="dc",
        weight=5,
        via="north west",
        metadata=(("rack", "7"), ("a", "ü")),
    )
    said, lacks = extra(one, HTTP, 1000)
    text = encode({"10.0.0.2": Extra(weight=2), "10.0.0.1": said})
    assert lacks == ()
    assert text == (
        '{"10.0.0.1":{"health":"degraded","metadata":{"a":"\\u00fc","rack":"7"},"network":"dc","port":"admin:9000",'
        '"region":"eu","sub_zone":"r1","via":"north west","weight":5},"10.0.0.2":{"weight":2}}'
    )
    assert decode(text).extras["10.0.0.1"] == said._replace(metadata=(("a", "ü"), ("rack", "7")))
    assert decode(text).flaws == ()


def test_the_primary_port_is_said_where_it_is_not_the_slices_first() -> None:
    ports = (Port("http", 80), Port("grpc", 90))
    assert extra(endpoint("10.0.0.1:80"), ports, 99)[0].port == ("", 0)
    assert extra(endpoint("10.0.0.1:90", port="rpc"), ports, 99)[0].port == ("rpc", 90)
    assert extra(endpoint("10.0.0.1:7", port="7"), ports, 99)[0].port == ("", 7), "a name that none can have"


def test_what_is_too_long_loses_its_metadata_alone() -> None:
    one = endpoint("10.0.0.1:80", weight=2, metadata=(("a", "x" * 100),))
    assert extra(one, HTTP, 200) == (Extra(weight=2, metadata=one.metadata), ())
    said, (lack,) = extra(one, HTTP, 100)
    assert said == Extra(weight=2)
    assert lack == "with its metadata it takes more than 100 characters; its metadata is left out"


@pytest.mark.parametrize(
    ("one", "lack"),
    [
        (endpoint("10.0.0.1:80", network="a\nb"), "network 'a\\nb' is no text, too long, or has control characters"),
        (endpoint("10.0.0.1:80", locality=Locality("x" * 254)), "region 'x"),
        (endpoint("10.0.0.1:80", metadata=(("", "x"),)), "metadata key '' is empty"),
    ],
)
def test_what_cannot_be_said_is_left_out_and_told(one: object, lack: str) -> None:
    said, (why,) = extra(one, HTTP, 10_000)  # type: ignore[arg-type]
    assert said == NOTHING
    assert why.startswith(lack)


@pytest.mark.parametrize("via", ["a\nb", "x" * 64, "a  b", "ü"])
def test_a_way_that_cannot_be_said_refuses_the_endpoint(via: str) -> None:
    with pytest.raises(ValueError):
        extra(endpoint("10.0.0.1:80", via=via), HTTP, 1000)


@pytest.mark.promise("S-06", "S-17")
@pytest.mark.parametrize(
    ("text", "flaw"),
    [
        ("{", "is no JSON: "),
        ("nonsense", "is no JSON: "),
        ("[]", "a list is not a mapping of addresses"),
        ("{" * 50, "is no JSON: "),
        ('{"a":1,"a":2}', "key 'a' stands twice"),
        ('{"a":{"metadata":{"b":{"c":{}}}}}', "is nested more than 3 deep"),
        (f'{{"a":"{"x" * MOST}"}}', "is 200008 characters long, more than 200000"),
        ('{"a":1}', "'a': 1 is not a mapping"),
        (
            '{"a":{"wieght":2}}',
            "'a': 'wieght' is none of health, metadata, network, port, region, sub_zone, via, weight",
        ),
        ('{"a":{"weight":true}}', "'a': weight True is not a whole number"),
        ('{"a":{"weight":NaN}}', "'a': weight 'NaN' is not a whole number"),
        ('{"a":{"weight":1000001}}', "'a': weight 1000001 is not a whole number between 1 and 1000000"),
        ('{"a":{"health":"healthy"}}', "'a': health 'healthy' is not \"degraded\""),
        ('{"a":{"region":"a\\u0000b"}}', "'a': region 'a\\x00b' is no text, too long, or has control characters"),
        ('{"a":{"network":""}}', "'a': network '' is no text, too long, or has control characters"),
        ('{"a":{"via":"a  b"}}', "'a': '' cannot name who writes"),
        ('{"a":{"port":80}}', "'a': port 80 is not of the form name:number"),
        ('{"a":{"port":"http:0"}}', "'a': port 'http:0' is not of the form name:number"),
        ('{"a":{"port":"http:65536"}}', "'a': port 'http:65536' is not of the form name:number"),
        ('{"a":{"port":"80:80"}}', "'a': '80' does not name a port"),
        ('{"a":{"metadata":{"b":1}}}', "'a': metadata a mapping is not a mapping of text to text"),
        ('{"a":{"metadata":[]}}', "'a': metadata a list is not a mapping of text to text"),
        (f'{{"a":{{"metadata":{{"b":"{"x" * 1025}"}}}}}}', "'a': metadata 'b' is longer than 1024"),
    ],
)
def test_garbage_is_one_flaw_and_no_word(text: str, flaw: str) -> None:
    said = decode(text)
    assert said.extras == {}
    (told,) = said.flaws
    assert flaw in told
    assert told.isprintable()


def test_garbage_of_one_address_leaves_the_others() -> None:
    assert decode('{"a":{"weight":2},"b":{"weight":0}}').extras == {"a": Extra(weight=2)}
