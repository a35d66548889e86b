"""Names of a Consul as names of services, and which of them are read."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.consul.client import path_part
from adapters.consul.names import name, shown, told_apart
from adapters.consul.selection import Selection, glob
from bridge.errors import Rejected
from bridge.kit.names import normalised
from bridge.model import ServiceName


def shop(text: str) -> ServiceName:
    return ServiceName("shop", text)


def test_a_name_becomes_a_label() -> None:
    found = name(["web", "Node_Exporter", "a.b"], "shop", {})
    assert found.by == {"web": shop("web"), "Node_Exporter": shop("node-exporter"), "a.b": shop("a-b")}
    assert not found.problems


def test_of_those_that_come_to_one_name_the_one_has_it_that_is_it_and_the_others_a_digest() -> None:
    found = name(["a-b", "a.b", "a_b"], "shop", {})
    assert found.by == {"a-b": shop("a-b"), "a.b": shop("a-b-31d1e1bc"), "a_b": shop("a-b-c311a49b")}
    assert [one.where for one in found.problems] == ["service a.b", "service a_b"]
    assert "as a-b does; it is shop/a-b-" in found.problems[0].what
    assert "import.names" in found.problems[0].what


def test_when_one_of_two_is_gone_the_other_does_not_inherit_its_name() -> None:
    both = name(["a-b", "A_b"], "shop", {})
    left = name(["a_B"], "shop", {}, both.apart)
    assert left.by == {"a_B": both.by["A_b"]}
    assert "as another did that is gone; it is shop/a-b-" in left.problems[0].what
    assert list(name(["a_b"], "shop", {}, left.apart).by.values()) == list(left.by.values())
    gone = name([], "shop", {}, left.apart)
    assert name(["a_b"], "shop", {}, gone.apart).by == {"a_b": shop("a-b")}


def test_a_name_of_ones_own_resolves_it() -> None:
    own = {"a_b": ServiceName("old", "web")}
    found = name(["a_b", "a-b"], "shop", own)
    assert found.by == {"a_b": ServiceName("old", "web"), "a-b": shop("a-b")}
    assert not found.problems
    assert name(["a_b"], "shop", own, frozenset(["a_b"])).by == {"a_b": ServiceName("old", "web")}


def test_names_that_differ_in_case_are_one_as_they_are_for_consul() -> None:
    found = name(["WEB", "Web", "web"], "shop", {})
    assert found.by == {"web": shop("web")}
    assert not found.problems


@pytest.mark.parametrize(
    ("text", "plain", "begins"),
    [("über", "ber", "ber-"), ("Web–2", "web-2", "web-2-"), ("a" * 64, "a" * 63, "a" * 54 + "-"), ("日本", "x", "")],
)
def test_a_name_that_cannot_be_a_label_is_told_and_no_other_can_be_taken_for_it(
    text: str, plain: str, begins: str
) -> None:
    found = name([text, plain], "shop", {})
    assert found.by[plain] == shop(plain)
    assert found.by[text].name.startswith(begins)
    assert re.fullmatch("[0-9a-f]{8}", found.by[text].name.removeprefix(begins))
    (problem,) = found.problems
    assert f"it is {found.by[text]} here" in problem.what
    assert "import.names" in problem.what


@given(st.sets(st.text(st.sampled_from("ab-_.ü/ "), max_size=5), max_size=8), st.sets(st.sampled_from(["a_b", "ü"])))
def test_no_two_have_one_name_and_who_has_not_its_own_is_told(spelled: set[str], before: set[str]) -> None:
    found = name(spelled, "shop", {}, before)
    told = {one.where for one in found.problems}
    assert len(set(found.by.values())) == len(found.by)
    for text in spelled:
        if f"service {shown(text)}" not in told:
            assert found.by[text] == shop(normalised(text))


spellings = st.sets(st.text(st.sampled_from("ab-_.ü/ A"), max_size=5), max_size=8)
owns = st.dictionaries(st.sampled_from(["a_b", "a.b", "ü"]), st.sampled_from([shop("a-b"), shop("web")]))


@given(spellings, spellings, spellings, owns)
def test_a_restart_between_two_changes_gives_nobody_another_name(
    first: set[str], second: set[str], third: set[str], own: dict[str, ServiceName]
) -> None:
    one = name(first, "shop", own)
    two = name(second, "shop", own, one.apart)
    recalled = told_apart((text, service.name) for text, service in two.by.items())
    assert name(third, "shop", own, recalled).by == name(third, "shop", own, two.apart).by


@pytest.mark.promise("S-08")
@pytest.mark.parametrize("text", ["..", ".", "/", "x\ny"])
def test_a_name_that_no_service_can_have_is_one_line(text: str) -> None:
    found = name([text, "web"], "shop", {})
    assert found.by == {"web": shop("web")}
    (problem,) = found.problems
    assert str(problem).isprintable()
    assert "it is left out: give it a name of its own under `import.names`" in problem.what


@pytest.mark.promise("S-08")
def test_a_name_is_one_part_of_a_path_and_leads_nowhere_else() -> None:
    assert path_part("a/../b c") == "a%2F..%2Fb%20c"
    for text in ("", ".", ".."):
        with pytest.raises(Rejected):
            path_part(text)


def listed(globs: tuple[str, ...], tags: frozenset[str] = frozenset(), **names: list[str]) -> list[str]:
    said = {text.replace("__", "-"): frozenset(them) for text, them in names.items()}
    return sorted(Selection(globs, tags, (), False).lists(said))


def test_globs_are_over_names_as_they_are_spelled() -> None:
    assert listed(("web*", "Ap?"), web=[], web__2=[], Api=[], api=[], db=[]) == ["Api", "web", "web-2"]


def test_a_service_none_of_whose_instances_has_the_tags_is_not_read() -> None:
    assert listed(("*",), frozenset(["prod"]), web=["prod", "v2"], api=["test"]) == ["web"]


def test_consul_itself_and_sidecars_are_not_read() -> None:
    assert listed(("*",), consul=[], web=[], web__sidecar__proxy=[], lone__sidecar__proxy=[]) == [
        "lone-sidecar-proxy", "web",
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["", "a\nb", "x" * 201])
def test_a_glob_that_can_match_nothing_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a glob"):
        glob(text)
