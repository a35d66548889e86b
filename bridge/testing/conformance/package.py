"""What an adapter promises before anything runs: what it imports, and how it is configured."""

import ast
from collections.abc import Iterator
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path

import pytest
from pydantic import ValidationError

from bridge.kit.settings import RegistrySettings
from bridge.testing.conformance.bench import Bench, cannot

MAY = ("bridge.table", "bridge.model", "bridge.adapter", "bridge.errors", "bridge.kit")
"""The rooms of the core that an adapter may use."""


class Package:
    """Promises of the distribution."""

    def test_it_imports_the_contract_and_nothing_else_of_the_core(self, bench: Bench) -> None:
        if not bench.package:
            cannot("the bench names no package")
        wrong = [
            f"{path.name}:{line}: {name}"
            for path in sources(bench.package)
            for line, name in imported(path)
            if name.partition(".")[0] == "bridge" and not any(f"{name}.".startswith(f"{room}.") for room in MAY)
        ]
        assert not wrong, f"an adapter imports {', '.join(MAY)}, and no other room of the core: {wrong}"

    def test_its_settings_are_found_under_their_kind(self, bench: Bench) -> None:
        settings = _settings(bench)
        kind = _kind(settings)
        found = {entry.name: entry for entry in entry_points(group="bridge.adapters")}
        assert kind in found, f"no entry point `{kind}` in the group bridge.adapters: {', '.join(found) or 'none'}"
        assert found[kind].load() is settings

    def test_its_settings_refuse_keys_that_they_do_not_know(self, bench: Bench) -> None:
        settings = _settings(bench)
        with pytest.raises(ValidationError) as raised:
            settings.model_validate({"name": "x", "kind": _kind(settings), "no-such-key": 1})
        assert "no-such-key" in [str(error["loc"][-1]) for error in raised.value.errors()]

    def test_its_settings_have_a_json_schema(self, bench: Bench) -> None:
        schema = _settings(bench).model_json_schema()
        assert schema.get("additionalProperties") is False, (
            "keys that are not known are refused: derive from RegistrySettings"
        )


def _settings(bench: Bench) -> type[RegistrySettings]:
    if bench.settings is None:
        cannot("the bench names no settings")
    assert issubclass(bench.settings, RegistrySettings)
    return bench.settings


def _kind(settings: type[RegistrySettings]) -> str:
    """The one value that `kind` may have."""
    const = settings.model_json_schema()["properties"].get("kind", {}).get("const")
    assert isinstance(const, str), '`kind` has one value: kind: Literal["mine"]'
    return const


def sources(package: str) -> list[Path]:
    """The files of a package or module."""
    spec = find_spec(package)
    assert spec is not None, f"{package} cannot be imported"
    if spec.submodule_search_locations:
        return sorted(path for folder in spec.submodule_search_locations for path in Path(folder).rglob("*.py"))
    assert spec.origin is not None, f"{package} has no file"
    return [Path(spec.origin)]


def imported(path: Path) -> Iterator[tuple[int, str]]:
    """The line and the full name of everything that a file imports by an absolute name."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"), str(path))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)
