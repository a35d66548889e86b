"""Libraries of adapters that are not installed are missed with the configuration, and not when they are used."""

import subprocess
import sys

import pytest

from bridge.kit.extra import needs


def test_what_is_installed_is_not_missed() -> None:
    needs("json")


def test_what_is_not_installed_is_named() -> None:
    with pytest.raises(ImportError, match="No module named 'no_such_package'") as missed:
        needs("no_such_package")
    assert missed.value.name == "no_such_package"


WITHOUT = """
import importlib.util, sys
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name == sys.argv[1] else find(name, *rest)
from bridge.config import installed, schema
said = schema()["properties"]
print(*(one["properties"]["kind"]["const"] for key in ("registries", "leader") for one in
    said[key].get("items", said[key])["anyOf"]))
installed()[sys.argv[1]]()
"""


@pytest.mark.parametrize("kind", ["kubernetes", "consul"])
def test_an_adapter_whose_library_is_not_installed_cannot_be_loaded(kind: str) -> None:
    tried = subprocess.run([sys.executable, "-c", WITHOUT, kind], capture_output=True, text=True, check=False)
    assert f"No module named '{kind}'" in tried.stderr.splitlines()[-1]
    registries_and_leaders = tried.stdout.split()
    assert "static" in registries_and_leaders
    assert "none" in registries_and_leaders
    assert kind not in registries_and_leaders, "the schema says the kinds that can be had"
