"""Whatever a service says is read back as it was written, and no edit of a file escapes as an exception."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.static.claims import parse, write
from adapters.static.layouts import words
from adapters.static.layouts.formats import read
from bridge.adapter import Claim
from bridge.errors import ConfigError
from bridge.model import Endpoint, Health, Locality, Port, Service, ServiceName
from tests.layouts import LAYOUTS, every, only_ports, said, text_of, view_of

printable = st.text("aZ09_-. /:;=%,+@\"'\\#&*!|>{}[]äß€\U0001f600", min_size=1, max_size=8)
label = st.text("az", min_size=1, max_size=4)
word = st.sampled_from(["", "eu", "dc 1"]) | printable
pair = st.tuples(printable | st.sampled_from(["job", "U__x", "a_b", "a.b/c", "=x"]), word)
metadata = st.lists(pair, max_size=2, unique_by=lambda pair: pair[0]).map(lambda said: tuple(sorted(said)))
addresses = st.integers(1, 250).map(lambda last: f"10.0.0.{last}") | st.integers(1, 65535).map(
    lambda n: f"2001:db8::{n:x}"
)
named = st.sampled_from(["http", "A-b_c.9", "0x", "", "grpc"])


@st.composite
def ports(draw: st.DrawFn) -> tuple[Port, ...]:
    found = draw(st.lists(named, min_size=1, max_size=3, unique=True))
    return tuple(Port(one, draw(st.integers(1, 65535))) for one in found)


endpoints = st.builds(
    Endpoint,
    addresses,
    ports(),
    st.none() | st.sampled_from(Health),
    st.builds(Locality, word, word, word),
    word,
    st.integers(1, 65535),
    st.just("") | st.lists(label, min_size=1, max_size=3).map(" ".join),
    metadata=metadata,
)
services = st.builds(
    Service.of,
    st.builds(ServiceName, label, label),
    st.lists(endpoints, min_size=1, max_size=4, unique_by=lambda one: one.id),
    metadata,
)


@every
@given(them=st.lists(services, max_size=3, unique_by=lambda one: one.name))
def test_what_is_written_is_what_is_read(form: str, them: list[Service]) -> None:
    for one in them:
        assert LAYOUTS[form].fit(one)[1] == ()
    found = said(text_of(form, *them))
    usable = [one for one in them if form != "hosts"]
    assert found.keys() == {str(one.name) for one in them}
    for one in usable:
        assert found[str(one.name)] == one


@every
@given(them=st.lists(services, min_size=1, max_size=3, unique_by=lambda one: one.name))
def test_a_block_that_is_read_is_the_block_that_was_written(form: str, them: list[Service]) -> None:
    blocks = view_of(text_of(form, *them)).blocks
    for one in them:
        assert blocks[str(one.name)].content == "\n".join(LAYOUTS[form].fit(one)[0])


@given(one=services)
def test_a_hosts_file_says_the_ports_of_what_is_usable(one: Service) -> None:
    found = said(text_of("hosts", one))[str(one.name)]
    usable = [each for each in one.endpoints if each.health in (None, Health.HEALTHY, Health.DEGRADED)]
    assert found == only_ports(Service.of(one.name, usable or one.endpoints))


@pytest.mark.promise("S-17")
@every
@given(them=st.lists(services, max_size=3, unique_by=lambda one: one.name), where=st.integers(0), sign=printable)
def test_no_edit_of_a_file_escapes_as_an_exception(form: str, them: list[Service], where: int, sign: str) -> None:
    text = text_of(form, *them)
    at = where % len(text)
    for edited in (text[:at], text[:at] + sign + text[at:], text[:at] + "\n" + text[at:], text[:at] + text[at + 1 :]):
        read(edited)


@given(text=printable)
def test_words_are_reversible(text: str) -> None:
    assert words.key_of(words.label(text)) == text
    assert words.unescaped(words.escaped(text)) == text


@given(st.sets(printable, min_size=2, max_size=5))
def test_no_two_keys_come_to_the_same_label(keys: set[str]) -> None:
    made = {words.label(key) for key in keys}
    assert len(made) == len(keys)
    assert all(one.isascii() and one.replace("_", "a").isalnum() for one in made)


STANDING = write([Claim("prod-eu1", "cluster-a", 3, 1000.5), Claim("prod-us1", "b", 1, 0.0, tombstone=True)])


@pytest.mark.promise("S-17")
@given(st.binary(max_size=100), st.integers(0, len(STANDING)), st.integers(0, 20))
def test_any_bytes_are_claims_or_a_clear_error(more: bytes, at: int, without: int) -> None:
    for data in (more, STANDING[:at] + more + STANDING[at + without :]):
        with contextlib.suppress(ConfigError):
            assert parse(write(parse(data, "c")), "c") == parse(data, "c")
