"""What the configuration says of files that are written."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest

from adapters.static.file_sd import Labels
from adapters.static.layouts.csv import Csv
from adapters.static.layouts.native import NativeJson, NativeYaml
from adapters.static.settings import Settings
from bridge.errors import ConfigError
from bridge.kit import Kit
from bridge.testing.clock import FakeClock
from tests.builders import service
from tests.configured import configured

LABELS = Labels("job", "zone", "weight")
FROM = "services: [shop/*], from: [k8s-eu1]"

settings = partial(configured, Settings)


def exporting(*exports: str) -> str:
    return "name: vms\nkind: static\nexport:\n" + "".join(f"- {{{export}}}\n" for export in exports)


def test_a_registry_may_only_be_written_and_has_the_defaults_of_every_export() -> None:
    said = settings(exporting(f"file: out.json, format: file_sd, {FROM}"))
    (one,) = said.export
    assert said.files == ()
    assert one.target == one.place == "/etc/bridge/out.json"
    assert (one.services, one.sources, one.mode, one.relay) == (("shop/*",), ("k8s-eu1",), "sync", False)
    assert (one.removals.at_once, one.removals.floor, one.removals.per) == (0.1, 20, 600.0)
    assert (one.rate.per_second, one.rate.burst) == (50, 200)


@pytest.mark.parametrize(
    ("exports", "why"),
    [
        (["file: a.json, format: file_sd"], "bridge.yaml:4: export[0].services: is required; add it"),
        ([f"format: csv, {FROM}"], "bridge.yaml:4: export[0].file: is required; add it"),
        ([f"file: a, {FROM}"], "bridge.yaml:4: export[0].format: is required; add it"),
        ([f"file: a, format: ini, {FROM}"], "bridge.yaml:4: export[0].format: must be 'file_sd', 'native', 'csv' or"),
        ([f'file: "*.json", format: csv, {FROM}'], "export[0].file: '/etc/bridge/*.json' is not the name of one file"),
        ([f"file: .., format: csv, {FROM}"], "export[0].file: '/etc/bridge/..' is not the name of one file"),
        (
            [f"file: a, format: csv, {FROM}", f"file: ../bridge/a, format: hosts, {FROM}"],
            "export[0].file and export[1].file are one file, /etc/bridge/a; name another",
        ),
        ([f'file: a, format: hosts, host: "x.{{namespace}}", {FROM}'], "makes no host name; write such as {name}"),
        ([f'file: a, format: hosts, host: "{{name}}.{{x}}", {FROM}'], "makes no host name; write such as {name}"),
        ([f'file: a, format: hosts, host: "{{name}} b", {FROM}'], "makes no host name; write such as {name}"),
        ([f'file: a, format: csv, host: "{{name}}", {FROM}'], "`host` makes the names of a hosts file; remove it, or"),
    ],
)
def test_what_is_wrong_is_one_line_with_its_place(exports: list[str], why: str) -> None:
    with pytest.raises(ConfigError) as caught:
        settings(exporting(*exports))
    assert why in str(caught.value)
    assert "\n" not in str(caught.value).replace(f"\n{why}", "")


@pytest.mark.parametrize(
    ("file", "form", "made"),
    [
        ("a.yaml", "native", NativeYaml),
        ("a", "native", NativeYaml),
        ("a.json", "native", NativeJson),
        ("a", "csv", Csv),
    ],
)
def test_the_name_of_a_file_says_whether_it_is_json(file: str, form: str, made: type[Any]) -> None:
    (one,) = settings(exporting(f"file: {file}, format: {form}, {FROM}")).export
    assert type(one.layout(LABELS)) is made


@pytest.mark.parametrize(("file", "begins"), [("a.yaml", "- {"), ("a.yml", "- {"), ("a.json", "{"), ("a", "{")])
def test_targets_of_prometheus_are_yaml_only_where_the_name_says_so(file: str, begins: str) -> None:
    (one,) = settings(exporting(f"file: {file}, format: file_sd, {FROM}")).export
    assert one.layout(LABELS).fit(service("a/b", "10.0.0.1:80"))[0][0].startswith(begins)


def test_the_labels_that_are_read_are_those_that_are_shown() -> None:
    text = exporting(f"file: a.json, format: file_sd, {FROM}") + "file_sd: {service: app}\n"
    said = settings(text)
    line = said.export[0].layout(said.file_sd.value()).fit(service("a/b", "10.0.0.1:80"))[0][0]
    assert '"app": "a/b"' in line
    assert "job" not in line


async def test_without_a_mark_nothing_is_written() -> None:
    source = settings(exporting(f"file: a.json, format: file_sd, {FROM}")).open(Kit("vms", FakeClock()))
    async for observation in source.observe():
        assert len(observation.held) == 0
        break


def test_what_is_in_the_way_of_a_file_is_a_problem_of_the_check(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "theirs").write_text("127.0.0.1 localhost\n")
    (tmp_path / "ours").write_text("# registry-bridge/1 owner=prod as hosts\n# end\n")
    (tmp_path / "other's").write_text("# registry-bridge/1 owner=dev as hosts\n# end\n")
    names = ("folder", "theirs", "none/hosts", "new", "ours", "other's")
    read = settings(exporting(*(f"file: {one}, format: hosts, {FROM}" for one in names)), tmp_path).check("prod")
    assert read is not None
    assert [str(one).removeprefix(f"{tmp_path}/").split(";")[0] for one in read.problems] == [
        "folder: is a folder",
        "theirs: does not begin with the mark of registry-bridge, so it is somebody else's and stays as it is",
        "none/hosts: its folder is not there",
        "other's: belongs to the bridge dev, and we are prod",
    ]
