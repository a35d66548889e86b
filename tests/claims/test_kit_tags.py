"""Tags as one value: whatever they are, they are read back as they were."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.kit.tags import join, split

WORDS = st.lists(st.text(st.sampled_from("a,\\ ") | st.characters(exclude_categories=["C"]), min_size=1))


@given(WORDS)
def test_what_is_joined_is_split_again(tags: list[str]) -> None:
    assert split(join(tags)) == tuple(sorted(set(tags)))


@given(st.text())
def test_any_value_is_of_some_tags_and_joined_again_of_the_same(text: str) -> None:
    assert split(join(split(text))) == split(text)


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("v2, db", ("db", "v2")),
        (" a ,, b ,", ("a", "b")),
        (r"a\,b,c", ("a,b", "c")),
        (r"a\b", (r"a\b",)),
        ("", ()),
        (" , ", ()),
    ],
)
def test_a_hands_value_is_understood(said: str, meant: tuple[str, ...]) -> None:
    assert split(said) == meant
