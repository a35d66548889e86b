"""Names of a Consul as names of services, and which of them are read."""

import pytest

from adapters.consul.client import path_part
from adapters.consul.names import name
from adapters.consul.selection import Selection, glob
from bridge.errors import Rejected
from bridge.model import ServiceName


def shop(text: str) -> ServiceName:
    return ServiceName("shop", text)


def test_a_name_becomes_a_label() -> None:
    found = name(["web", "Node_Exporter", "a.b"], "shop", {})
    assert found.by == {"web": shop("web"), "Node_Exporter": shop("node-exporter"), "a.b": shop("a-b")}
    assert not found.problems


def test_of_two_that_come_to_one_name_the_one_counts_that_is_it() -> None:
    found = name(["a-b", "a.b", "a_b"], "shop", {})
    assert found.by == {"a-b": shop("a-b")}
    assert [one.where for one in found.problems] == ["service a.b", "service a_b"]
    assert "as a-b does" in found.problems[0].what
    assert "import.names" in found.problems[0].what


def test_a_name_of_ones_own_resolves_it() -> None:
    found = name(["a_b", "a-b"], "shop", {"a_b": ServiceName("old", "web")})
    assert found.by == {"a_b": ServiceName("old", "web"), "a-b": shop("a-b")}
    assert not found.problems


def test_names_that_differ_in_case_are_one_as_they_are_for_consul() -> None:
    found = name(["WEB", "Web", "web"], "shop", {})
    assert found.by == {"web": shop("web")}
    assert not found.problems


@pytest.mark.promise("S-08")
@pytest.mark.parametrize("text", ["..", ".", "/", "a" * 64, "x\ny", "日本"])
def test_a_name_that_no_service_can_have_is_one_line(text: str) -> None:
    found = name([text, "web"], "shop", {})
    assert found.by == {"web": shop("web")}
    (problem,) = found.problems
    assert str(problem).isprintable()
    assert "import.names" in problem.what


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
