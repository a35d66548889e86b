from collections.abc import Callable
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.kit.address import Allow, host, host_port, is_literal, parse, refused

METADATA = [
    "169.254.169.254",
    "::ffff:169.254.169.254",
    "::ffff:a9fe:a9fe",
    "0:0:0:0:0:FFFF:A9FE:A9FE",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b::169.254.169.254",
    "64:ff9b:1::a9fe:a9fe",
    "64:ff9b:1:a9fe:a9:fe00::",
    "::a9fe:a9fe",
    "::ffff:0:a9fe:a9fe",
    "2002:a9fe:a9fe::1",
    "2001:0:102:304::5601:5601",
    "2001:db8::5efe:a9fe:a9fe",
    "fd00:ec2::254",
    "FD00:0EC2:0:0:0:0:0:0254",
    "fd20:ce::254",
    "100.100.100.200",
]
NO_ADDRESS = [
    "0251.0376.0251.0376",
    "0xa9.0xfe.0xa9.0xfe",
    "0xa9fea9fe",
    "2852039166",
    "169.254.43518",
    "169.16689662",
    "010.0.0.1",
    "127.1",
    "2130706433",
    "fe80::1%eth0",
    "::ffff:0251.0376.0251.0376",
    "\uff11\uff16\uff19.254.169.254",
    "169.254.169.254.",
    "169.254.169.254\n",
    " 169.254.169.254",
    "169.254.169.254/32",
    "[::1]",
    "1.2.3",
    "1.2.3.256",
    "1.2.3.4.5",
    ":::",
    "",
]


@pytest.mark.promise("S-01")
@pytest.mark.parametrize("text", METADATA)
def test_the_metadata_address_is_refused_in_every_form(text: str) -> None:
    assert refused(parse(text), allow_loopback=True)


@pytest.mark.promise("S-01")
@pytest.mark.parametrize("text", NO_ADDRESS)
def test_other_notations_are_no_addresses(text: str) -> None:
    with pytest.raises(ValueError):
        parse(text)


@pytest.mark.promise("S-01")
@pytest.mark.parametrize("text", [text for text in NO_ADDRESS if text != "169.254.169.254."])
def test_other_notations_are_no_host_names_that_a_resolver_would_read_as_addresses(text: str) -> None:
    with pytest.raises(ValueError):
        host(text)


@pytest.mark.promise("S-01")
def test_an_address_with_a_final_dot_is_no_host_name() -> None:
    with pytest.raises(ValueError, match="shortened"):
        host("169.254.169.254.")


@pytest.mark.promise("S-02")
@pytest.mark.parametrize("text", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "0:0:0:0:0:0:0:1"])
def test_loopback_is_refused_unless_it_is_allowed(text: str) -> None:
    assert "allow_loopback" in refused(parse(text))
    assert not refused(parse(text), allow_loopback=True)


@pytest.mark.promise("S-02")
@pytest.mark.parametrize(
    "text", ["0.0.0.0", "0.1.2.3", "::", "::ffff:0.0.0.0", "224.0.0.1", "ff02::1", "255.255.255.255"]
)
def test_unspecified_and_multicast_are_refused_always(text: str) -> None:
    assert refused(parse(text), allow_loopback=True)


@pytest.mark.promise("S-02")
@pytest.mark.parametrize(
    "text", ["64:ff9b::7f00:1", "2002:7f00:1::", "::7f00:1", "fe80::1", "169.254.0.1", "240.0.0.1"]
)
def test_loopback_inside_ipv6_and_link_local_are_refused_always(text: str) -> None:
    assert refused(parse(text), allow_loopback=True)


@pytest.mark.parametrize("text", ["10.0.0.1", "192.168.1.1", "100.64.0.1", "8.8.8.8", "2001:db8::1", "fd12::1"])
def test_ordinary_addresses_pass(text: str) -> None:
    assert not refused(parse(text))


@pytest.mark.parametrize("text", ["64:ff9b::a00:1", "64:ff9b:1:a00:0:100::", "2002:a00:1::1"])
def test_translated_ordinary_addresses_pass(text: str) -> None:
    assert not refused(parse(text))


def test_addresses_are_canonical() -> None:
    assert parse("2001:DB8:0:0:0:0:0:1") == "2001:db8::1"
    assert parse("::FFFF:10.0.0.1") == "10.0.0.1"
    assert host("VM7.dc1.Example.") == "vm7.dc1.example"


@given(st.ip_addresses())
def test_parse_agrees_with_the_standard_library(address: object) -> None:
    canonical = parse(str(address))
    assert parse(canonical) == canonical
    assert is_literal(canonical)
    assert host(canonical) == canonical
    expected = ip_address(str(address))
    mapped = getattr(expected, "ipv4_mapped", None)
    assert ip_address(canonical) == (mapped or expected)


@pytest.mark.promise("S-17")
@given(st.text(max_size=60) | st.text("0123456789abcdefx.:%[]/", max_size=60))
def test_any_text_is_an_address_a_name_or_a_value_error(text: str) -> None:
    for read in (parse, host, host_port, lambda text: Allow([text])):
        why = refusal(read, text)
        assert len(why) < 500
        assert why.isprintable()
    if not refusal(host, text):
        canonical = host(text)
        assert host(canonical) == canonical == canonical.lower()
        if is_literal(canonical):
            assert refused(canonical).isprintable()


def refusal(read: Callable[[str], object], text: str) -> str:
    try:
        read(text)
    except ValueError as error:
        return str(error) or "refused"
    return ""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10.0.0.1:80", ("10.0.0.1", 80)),
        ("[2001:DB8::1]:443", ("2001:db8::1", 443)),
        ("vm7.example:8080", ("vm7.example", 8080)),
    ],
)
def test_address_and_port_split_on_the_last_colon(text: str, expected: tuple[str, int]) -> None:
    assert host_port(text) == expected


@pytest.mark.parametrize(
    "text",
    ["10.0.0.1", "10.0.0.1:", ":80", "2001:db8::1:80", "[10.0.0.1]:80", "a:0", "a:65536", "a:080", "a:8O", "a: 80"],
)
def test_what_is_no_address_and_port_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        host_port(text)


def test_an_allow_list_holds_what_is_in_its_networks() -> None:
    allow = Allow(["10.20.0.0/16", "2001:db8::/32", "192.168.1.1"])
    assert "10.20.3.4" in allow
    assert "2001:db8:1::1" in allow
    assert "192.168.1.1" in allow
    assert "10.21.0.1" not in allow
    assert "2001:db9::1" not in allow
    assert "10.20.3.4" not in Allow([])


@pytest.mark.parametrize("cidr", ["10.20.1.0/16", "10.0.0.0/33", "10.0.0", "shop", "2001:db8::1/32", "010.0.0.0/8"])
def test_a_network_that_is_none_is_refused(cidr: str) -> None:
    with pytest.raises(ValueError, match="network"):
        Allow([cidr])
