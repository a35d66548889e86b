"""Any text at all is an inventory, problems, or one clear error; and the schema says what the reader says."""

import json
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from adapters.static.schema import INVENTORY_SCHEMA
from adapters.static.shapes import Format
from bridge.model import Service
from tests.claims.test_static_inventory import EXAMPLE, STRUCTURE, attempt
from tests.damage import JUNK, damaged

junk = st.sampled_from([*JUNK, {"http": 81}])
keys = st.sampled_from(["name", "port", "ports", "endpoints", "address", "zone", "locality", "weight", "x", "count"])


damages = damaged(EXAMPLE, junk, keys)


@given(damages)
def test_the_schema_and_the_reader_agree(value: Any) -> None:
    """What reads without a problem is admitted, and what is admitted has no structural error."""
    admitted = Draft202012Validator(INVENTORY_SCHEMA).is_valid(value)
    said = attempt(json.dumps(value), form="native")
    if isinstance(said, str):
        # the words of addresses, and how many are bad or counted, are beyond a schema
        assert not admitted or " instances are bad" in said or "services are there" in said
    elif not said.problems:
        assert admitted


def survives(text: str, form: Format, where: str) -> None:
    said = attempt(text, where=where, form=form)
    if isinstance(said, str):
        assert said.startswith(f"{where}:")
        assert len(said) < 2000
        return
    for problem in said.problems:
        assert problem.where.startswith(where)
        assert str(problem).isprintable()
    for name, service in said.services.items():
        assert service.name == name
        assert Service.of(name, service.endpoints, service.metadata) == service


@pytest.mark.promise("S-17")
@given(damages, st.sampled_from(["auto", "native", "file_sd"]))
def test_a_damaged_inventory_is_problems_or_a_clear_error(value: Any, form: Format) -> None:
    survives(json.dumps(value), form, "vms.json")
    survives(yaml.safe_dump(value, sort_keys=False), form, "vms.yaml")


@pytest.mark.promise("S-17")
@given(
    st.recursive(junk, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3)),
    st.sampled_from(["targets", "labels", "job", "weight"]),
)
def test_any_file_sd_is_problems_or_a_clear_error(value: Any, key: str) -> None:
    survives(json.dumps([value, {key: value}, {"targets": value, "labels": {key: value}}]), "auto", "t.json")
    survives(json.dumps([{"targets": ["10.0.0.1:80", value], "labels": {"job": "a", key: value}}]), "file_sd", "t.json")


@pytest.mark.promise("S-17")
@given(st.text(max_size=100) | st.text("services:name[]{}-\n #&*'\"10.,|>", max_size=100), st.integers(0, 400))
def test_any_text_is_an_inventory_or_a_clear_error(text: str, at: int) -> None:
    survives(text, "auto", "vms.yaml")
    survives(STRUCTURE[:at] + text + STRUCTURE[at:], "auto", "vms.yaml")
