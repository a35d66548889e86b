import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import ConfigError
from bridge.kit.document import MAX_CHARACTERS, MAX_DEPTH, load, load_all
from bridge.kit.place import dotted, excerpt


def refused(text: str, where: str = "x.yaml") -> str:
    with pytest.raises(ConfigError) as caught:
        load(text, where)
    return str(caught.value)


def test_words_that_yaml_1_1_would_change_stay_what_they_look_like() -> None:
    text = "a: no\nb: on\nc: 22:22\nd: 0777\ne: 1_000\nf: 0x1F\ng: 2026-01-01\nh: .nan\ni: yes\nj: '1'\nk: =\n"
    assert load(text, "x.yaml").value == {
        "a": "no",
        "b": "on",
        "c": "22:22",
        "d": "0777",
        "e": "1_000",
        "f": "0x1F",
        "g": "2026-01-01",
        "h": ".nan",
        "i": "yes",
        "j": "1",
        "k": "=",
    }


def test_numbers_booleans_and_null_are_what_they_are() -> None:
    value = load("a: -5\nb: 1.5\nc: true\nd: null\ne:\nf: ~\ng: False\nh: 1e3\n", "x.yaml").value
    assert value == {"a": -5, "b": 1.5, "c": True, "d": None, "e": None, "f": None, "g": False, "h": 1000.0}


def test_keys_are_always_text() -> None:
    assert load("80: a\nno: b\nnull: c\n", "x.yaml").value == {"80": "a", "no": "b", "null": "c"}


@pytest.mark.parametrize("text", ["", "  \n", "# only a comment\n", "---\n"])
def test_an_empty_document_is_none(text: str) -> None:
    assert load(text, "x.yaml").value is None


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("a: 1\nb: 2\na: 3\n", 3, "key 'a' stands twice"),
        ('{"a": 1,\n"b": {"c": 1,\n"c": 2}}', 3, "key 'c' stands twice"),
        ("a: [1,\n2\nb: 3\n", 3, "is not YAML"),
        ("a: b\n  c: d\n", 2, "is not YAML"),
        ("a: &x [*x]\n", 1, "alias 'x'"),
        ("a: *nobody\n", 1, "alias 'nobody'"),
        ("a:\n  !!int 3\n", 2, "tag"),
        ("a: !!python/object/apply:os.system [id]\n", 1, "tag"),
        ("base: &b {x: 1}\na:\n  <<: *b\n", 3, "merge keys"),
        ("? [a]\n: b\n", 1, "a key must be plain text"),
        ("a: 1\n---\nb: 2\n", 2, "second document"),
        ("a: 1\nb: \x01\n", 2, "control characters"),
        ("a: \x00\n", 1, "control characters"),
    ],
)
def test_what_is_refused_names_its_line(text: str, line: int, what: str) -> None:
    message = refused(text)
    assert message.startswith(f"x.yaml:{line}: ")
    assert what in message
    assert ";" in message or "?" in message  # what to do


def test_broken_json_names_its_line() -> None:
    assert refused('{"a": 1,\n"b": \n', "x.json").startswith("x.json:3: is not JSON")


def test_a_json_file_holds_json() -> None:
    assert refused("a: 1\n", "x.json").startswith("x.json:1: is not JSON")


def test_half_a_surrogate_pair_is_refused_in_json_and_in_yaml() -> None:
    assert "surrogate" in refused('["\\ud800"]', "x.json")
    assert refused('a: "\\ud800"')
    assert refused("a: \ud800")
    assert load('["\\ud83d\\ude00"]', "x.json").value == ["\U0001f600"]


def test_nan_in_json_is_a_text_that_no_schema_takes_for_a_number() -> None:
    assert load('{"weight": NaN, "more": -Infinity}', "x.json").value == {"weight": "NaN", "more": "-Infinity"}


def test_a_number_of_ten_thousand_digits_is_refused_or_text() -> None:
    assert "digits" in refused("[" + "1" * 10_000 + "]", "x.json")
    assert isinstance(load("a: " + "1" * 10_000, "x.yaml").value["a"], str)


@pytest.mark.promise("S-07")
@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        '{"a":' * 100_000,
        "- " * 100_000,
        "? " * 10_000,
        "a: " + "[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1),
        "[" * (MAX_DEPTH + 2) + "]" * (MAX_DEPTH + 2),
    ],
)
def test_deep_nesting_is_refused(text: str) -> None:
    refused(text)


@pytest.mark.promise("S-07")
def test_nesting_up_to_the_bound_is_read_in_both_languages() -> None:
    deep = "[" * MAX_DEPTH + "]" * MAX_DEPTH
    assert load(deep, "x.json").value == load("# yaml\n" + deep, "x.yaml").value


@pytest.mark.promise("S-07")
def test_a_billion_laughs_are_refused() -> None:
    lines = ["a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 10)]
    assert "aliases" in refused("\n".join(lines))


@pytest.mark.promise("S-07")
def test_many_small_aliases_are_refused_too() -> None:
    assert "aliases" in refused("a: &a 1\nb: [" + "*a, " * 20_000 + "]")


def test_a_few_aliases_are_read() -> None:
    assert load("a: &a {x: 1}\nb: [*a, *a]\n", "x.yaml").value == {"a": {"x": 1}, "b": [{"x": 1}, {"x": 1}]}


@pytest.mark.promise("S-06")
def test_a_document_over_the_bound_is_refused_unread() -> None:
    assert "split it" in refused(" " * (MAX_CHARACTERS + 1))


YAML = """\
# an inventory
services:
  - name: a
    endpoints:
      - 10.0.0.1
      - {address: 10.0.0.2,
         weight: 2}
  - {name: b}
count: 2
"""


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ((), 2),
        (("services",), 2),
        (("services", 0, "name"), 3),
        (("services", 0, "endpoints", 0), 5),
        (("services", 0, "endpoints", 1, "weight"), 7),
        (("services", 1, "name"), 8),
        (("services", 1, "missing"), 8),
        (("services", 9), 2),
        (("count",), 9),
    ],
)
def test_every_part_knows_its_line(path: tuple[str | int, ...], line: int) -> None:
    document = load(YAML, "x.yaml")
    assert document.line(path) == line


def test_json_parts_know_their_lines_too() -> None:
    document = load('{"a": [1,\n {"b\\n": "x",\n  "c": [{}, []]}],\n"d": null}', "x.json")
    assert document.line(("a", 0)) == 1
    assert document.line(("a", 1)) == 2
    assert document.line(("a", 1, "b\n")) == 2
    assert document.line(("a", 1, "c", 1)) == 3
    assert document.line(("d",)) == 4
    assert document.place(("a", 1, "c")) == "x.json:3: a[1].c"


def test_a_path_is_shown_on_one_line() -> None:
    assert dotted(("services", 3, "ports", "http")) == "services[3].ports.http"
    assert dotted(("services", "shop/*", "port")) == "services['shop/*'].port"
    assert "\n" not in dotted(("a\nb",))
    assert len(excerpt("x" * 1_000_000)) < 100


scalars = st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.text(max_size=20)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.text(max_size=8), values))
def test_json_is_read_as_json_reads_it(value: dict[str, object]) -> None:
    assert load(json.dumps(value), "x.json").value == value


printable = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs")), max_size=20)
plain = st.recursive(
    st.integers(-(10**20), 10**20) | st.booleans() | st.none() | printable,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(printable, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(printable, plain, min_size=1))
def test_what_yaml_writes_is_read_again(value: dict[str, object]) -> None:
    # yaml writes texts that YAML 1.1 would take for more in quotes, and everything else as we read it
    assert load(yaml.dump(value, Dumper=yaml.CSafeDumper, allow_unicode=True), "x.yaml").value == value


@pytest.mark.promise("S-17")
@given(st.text(st.characters(), max_size=200) | st.text("[]{}:,-?&*!|>'\"%@`# \n\tab01\\", max_size=200))
def test_any_text_is_a_document_or_a_clear_error(text: str) -> None:
    for where in ("x.yaml", "x.json"):
        why = refusal(text, where)
        assert why is None or (why.startswith(where) and len(why) < 1000)


@pytest.mark.promise("S-17")
@given(st.data())
def test_a_damaged_document_is_a_document_or_a_clear_error(data: st.DataObject) -> None:
    text = data.draw(st.sampled_from([YAML, json.dumps(load(YAML, "x.yaml").value, indent=1)]))
    at = data.draw(st.integers(0, len(text)))
    cut = data.draw(st.integers(0, 20))
    damaged = text[:at] + data.draw(st.text(max_size=5)) + text[at + cut :]
    why = refusal(damaged, "x.yaml")
    assert why is None or why.startswith("x.yaml:")


def refusal(text: str, where: str) -> str | None:
    """Why it is refused, None when it is read and its parts can be found."""
    try:
        document = load(text, where)
    except ConfigError as error:
        return str(error)
    assert 1 <= document.line(("services", 0, "name")) <= len(text) + 1
    return None


def test_documents_of_one_text_are_read_each_with_its_lines() -> None:
    document = load_all("# x\n---\na: &x 1\nb: *x\n---\n---\n- c:\n    d: 2\n", "k.yaml")
    assert document.value == [{"a": 1, "b": 1}, None, [{"c": {"d": 2}}]]
    assert document.place((2, 0, "c", "d")) == "k.yaml:8: [2][0].c.d"
    assert load_all('{"a": 1}', "k.json").place((0, "a")) == "k.json:1: [0].a"
    assert load_all("", "k.yaml").value == []
    with pytest.raises(ConfigError, match=r"k.yaml:4: alias 'x' stands for nothing"):
        load_all("a: &x 1\n---\nb: 1\nc: *x\n", "k.yaml")
    with pytest.raises(ConfigError, match=r"k.yaml:3: is not YAML"):
        load_all("---\na: [\n", "k.yaml")


def test_tags_are_read_only_where_somebody_says_how() -> None:
    document = load(
        "a: !secret xyz\nb: !keep [1]\n", "k.yaml", {"!secret": lambda _: None, "!keep": lambda value: value}
    )
    assert document.value == {"a": None, "b": [1]}
    with pytest.raises(ConfigError, match=r"k.yaml:2: tag '!keep' is not read"):
        load("a: !secret xyz\nb: !keep [1]\n", "k.yaml", {"!secret": lambda _: None})
