"""Fields of JSON that anybody may have written: what is not there says nothing, what is amiss is named."""

from collections.abc import Callable
from typing import Any

import pytest

from bridge.kit import fields
from bridge.model import Locality

SAID = {"none": None, "text": "a", "number": 5, "mapping": {"b": "2", "a": "1"}, "list": [{"a": 1}], "mixed": ["a"]}


@pytest.mark.parametrize("key", ["none", "absent"])
def test_what_is_null_or_not_there_says_nothing(key: str) -> None:
    assert fields.mapping(SAID, key) == {}
    assert fields.several(SAID, key) == []
    assert fields.mappings(SAID, key) == []
    assert fields.pairs(SAID, key) == ()


def test_what_is_there_is_taken_as_it_is() -> None:
    assert fields.mapping(SAID, "mapping") is SAID["mapping"]
    assert fields.several(SAID, "list") is SAID["list"]
    assert fields.mappings(SAID, "list") == [{"a": 1}]
    assert fields.pairs(SAID, "mapping") == (("a", "1"), ("b", "2"))
    assert fields.text("", "a name") == ""
    assert [fields.number(one, "port", 1, 65535) for one in (1, 65535)] == [1, 65535]


@pytest.mark.parametrize(
    ("read", "said"),
    [
        (lambda: fields.mapping(SAID, "text"), "text: 'a' is not a mapping"),
        (lambda: fields.several(SAID, "mapping"), "mapping: a mapping is not a list"),
        (lambda: fields.mappings(SAID, "mixed"), "mixed: 'a' is not a mapping"),
        (lambda: fields.pairs({"labels": {"a": 1}}, "labels"), "labels.a: 1 is not text"),
        (lambda: fields.word(["a"]), "a name: a list is not text"),
        (lambda: fields.number(True, "port", 0, 65535), "port True is not between 0 and 65535"),
        (lambda: fields.number("80", "port", 0, 65535), "port '80' is not between 0 and 65535"),
        (lambda: fields.number(0, "port", 1, 65535), "port 0 is not between 1 and 65535"),
        (lambda: fields.number(65536, "port", 1, 65535), "port 65536 is not between 1 and 65535"),
    ],
)
def test_what_is_amiss_is_named(read: Callable[[], Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        read()


def test_equal_values_of_one_type_become_one_object_and_keep_their_type() -> None:
    words = ("eu", "eu-1", "")
    assert fields.interned(("eu", "eu-1", "".join(words[2:]))) is fields.interned(words)
    assert type(fields.interned(Locality("eu", "eu-1"))) is Locality
