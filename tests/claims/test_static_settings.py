from functools import partial
from pathlib import Path

import pytest
from pydantic import ValidationError

from adapters.static import paths
from adapters.static.schema import INVENTORY_SCHEMA
from adapters.static.settings import Settings
from bridge.errors import ConfigError
from bridge.kit.document import load
from bridge.kit.settings import explain_errors
from bridge.model import Locality, ServiceName
from tests.configured import configured

settings = partial(configured, Settings)


def test_files_are_taken_from_the_folder_of_the_configuration(tmp_path: Path) -> None:
    made = settings("{name: vms, kind: static, files: [a/*.yaml, /srv/b.json]}", tmp_path)
    assert made.files == (tmp_path / "a/*.yaml", Path("/srv/b.json"))
    assert (made.format, made.file_sd.service) == ("auto", "job")
    assert made.inventory_schema is INVENTORY_SCHEMA


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: v\nkind: static\nfile: x\n", "bridge.yaml:3: file: unknown key; did you mean 'files'?"),
        ("name: v\nkind: static\nfiles: []\n", "bridge.yaml:3: files: "),
        ("name: v\nkind: static\nfiles: x\n", "bridge.yaml:3: files: must be a list"),
        ("name: v\nkind: static\nfiles: [x]\nformat: ini\n", "bridge.yaml:4: format: must be 'auto', "),
        ("name: v\nkind: static\nfiles: [x]\nfile_sd: {job: a}\n", "bridge.yaml:4: file_sd.job: unknown key"),
        ("name: v\nkind: static\nfiles: [x]\nnamespace: '{role}'\n", "bridge.yaml:4: namespace: '{role}' is not"),
        ("name: V m\nkind: static\nfiles: [x]\n", "bridge.yaml:1: name: 'V m' is not a lower-case DNS label"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        settings(text, tmp_path)
    assert message in str(caught.value)


def test_check_reads_every_inventory_offline(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("services: [{name: a, port: 80, endpoints: [10.0.0.1, 10.0.0.1]}]")
    (tmp_path / "b.json").write_text('[{"targets": ["10.0.0.2:80"], "labels": {"job": "a"}}]')
    made = settings(
        "{name: vms, kind: static, files: ['*.*'], namespace: shop, locality: {zone: z}, network: n}", tmp_path
    )
    seen = made.check()
    assert seen.parts == 2
    assert [problem.kind for problem in seen.problems] == ["duplicate"]
    (service,) = seen.services.values()
    assert service.name == ServiceName("shop", "a")
    assert {(one.address, one.locality, one.network) for one in service.endpoints} == {
        ("10.0.0.1", Locality("", "z"), "n"),
        ("10.0.0.2", Locality("", "z"), "n"),
    }


@pytest.mark.promise("R-22")
def test_check_tells_every_file_that_will_not_do_one_a_line(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("services:\n  - {nam: a}\n")
    (tmp_path / "b.yaml").write_text("")
    (tmp_path / "c.yaml").write_text("services: []\n")
    made = settings("{name: v, kind: static, files: [a.yaml, b.yaml, c.yaml, d.yaml, 'e/*.yaml']}", tmp_path)
    with pytest.raises(ConfigError) as caught:
        made.check()
    lines = str(caught.value).splitlines()
    assert sorted(line.removeprefix(f"{tmp_path}/").split(":")[0] for line in lines) == [
        "a.yaml",
        "b.yaml",
        "d.yaml",
        "e/*.yaml",
    ]
    assert f"{tmp_path}/a.yaml:2: services[0].nam: unknown key; did you mean 'name'?" in lines


def test_globs_are_sorted_and_a_plain_path_is_meant_even_when_it_is_not_there(tmp_path: Path) -> None:
    for file in ("b.yaml", "a.yaml", "c.json"):
        (tmp_path / file).write_text("")
    (tmp_path / "d.yaml").mkdir()
    found = paths.expand([tmp_path / "*.yaml", tmp_path / "a.yaml", tmp_path / "z"])
    assert found == [tmp_path / "a.yaml", tmp_path / "b.yaml", tmp_path / "z"]


def test_the_folders_of_links_on_the_way_are_watched(tmp_path: Path) -> None:
    """As in a ConfigMap: vms.yaml → ..data/vms.yaml, ..data → ..2026."""
    mount, elsewhere = tmp_path / "mount", tmp_path / "elsewhere"
    (mount / "..2026").mkdir(parents=True)
    elsewhere.mkdir()
    (elsewhere / "real.yaml").write_text("")
    (mount / "..2026/vms.yaml").write_text("")
    (mount / "..data").symlink_to("..2026")
    (mount / "vms.yaml").symlink_to("..data/vms.yaml")
    (mount / "other.yaml").symlink_to(elsewhere / "real.yaml")
    watched = paths.folders([mount / "*.yaml"], [mount / "vms.yaml", mount / "other.yaml"])
    assert {mount, mount / "..2026", elsewhere} <= set(watched)
    (mount / "loop.yaml").symlink_to("loop.yaml")
    assert mount in paths.folders([], [mount / "loop.yaml"])
    assert paths.folders([tmp_path / "no/where/*.yaml"], [tmp_path / "no/where/a"]) == {}


SECRET = "hunter2-is-a-secret"


@pytest.mark.promise("S-12")
@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ("", "says not where the inventory is; write `files:`, or `urls:`"),
        ("urls: []", "b.yaml:3: urls: "),
        ("urls: [ftp://x/y]", "b.yaml:3: urls[0]: is not a URL of http or https"),
        ("urls: ['http://[x']", "b.yaml:3: urls[0]: is not a URL"),
        ("urls: ['http://h:99999/']", "b.yaml:3: urls[0]: is not a URL"),
        ("urls: ['http:///x']", "b.yaml:3: urls[0]: is not a URL"),
        (f"urls: ['https://u:{SECRET}@h/x']", "b.yaml:3: urls[0]: has a user or a password in it"),
        (f"urls: ['https://h/x#{SECRET}']", "b.yaml:3: urls[0]: has a blank or a `#` in it"),
        (
            f"urls: ['http://h/x?{SECRET}']\nhttp_sd: {{token: {{env: T}}}}",
            "http://h/x?… would be sent `http_sd.token`",
        ),
        (
            f"urls: ['https://h/']\nhttp_sd: {{token: {SECRET}}}",
            "b.yaml:4: http_sd.token: a secret is never written here",
        ),
        ("urls: ['https://h/']\nhttp_sd: {refresh: 10ms}", "is less than 1s"),
        ("urls: ['https://h/']\nhttp_sd: {interval: 10s}", "b.yaml:4: http_sd.interval: unknown key"),
        ("files: [x]\nformat: ansible", "needs `ansible: {groups: …, port: …}`"),
        ("files: [x]\nansible: {groups: {}, port: {default: 1}}", "b.yaml:4: ansible.groups: "),
        ("files: [x]\nansible: {groups: {a: b}}", "b.yaml:4: ansible.port: is required"),
        ("files: [x]\nansible: {groups: {a: b}, port: {}}", "b.yaml:4: ansible.port: say where the port comes from"),
        ("files: [x]\nansible: {groups: {a: b}, port: {var: ansible_port}}", "is the port of SSH"),
        ("files: [x]\nansible: {groups: {a: b}, port: {default: 0}}", "b.yaml:4: ansible.port.default: "),
        (
            "files: [x]\nansible: {groups: {a: ../b}, port: {default: 1}}",
            "b.yaml:4: ansible.groups: 'a': '../b' is a path",
        ),
        ("files: [x]\nansible: {groups: {a: b}, port: {default: 1}, command: [t]}", "write `format: ansible` too"),
        ("files: [x]\ncsv: {column: {}}", "b.yaml:4: csv.column: unknown key; did you mean 'columns'?"),
        ("files: [x]\ncsv: {columns: {status: s}}", "b.yaml:4: csv: `columns.status` and `active` belong together"),
        ("files: [x]\ncsv: {active: [yes]}", "b.yaml:4: csv: `columns.status` and `active` belong together"),
        ("files: [x]\ncsv: {delimiter: x}", "b.yaml:4: csv.delimiter: "),
    ],
)
def test_what_is_wrong_with_a_format_is_told_without_its_secrets(keys: str, message: str, tmp_path: Path) -> None:
    document = load(f"name: v\nkind: static\n{keys}\n", "b.yaml")
    with pytest.raises(ValidationError) as caught:
        Settings.model_validate(document.value, context={"folder": tmp_path})
    said = str(explain_errors(caught.value, document, Settings))
    assert message in said
    assert SECRET not in said


def test_the_example_of_the_documentation_has_all_formats(tmp_path: Path) -> None:
    (tmp_path / "hosts.ini").write_text("[web]\n10.0.0.1\n[db1]\n10.0.0.2 service_port=5432\n")
    (tmp_path / "vms.csv").write_text("app;ip;port;state\na;10.0.0.3;80;active\nb;10.0.0.4;80;off\n")
    (tmp_path / "c.json").write_text('{"service": {"name": "c", "address": "10.0.0.5", "port": 80}}')
    seen = settings(
        """\
name: vms
kind: static
namespace: shop
files: ['*.*']
ansible: {groups: {web: shop/web, "db*": "data/{group}"}, port: {var: service_port, default: 8080}}
csv: {columns: {service: app, address: ip, status: state}, delimiter: ";", active: [active]}
""",
        tmp_path,
    ).check()
    assert seen is not None
    assert seen.problems == ()
    said = {str(name): [str(one.id) for one in service.endpoints] for name, service in seen.services.items()}
    assert said == {
        "shop/web": ["10.0.0.1:8080"],
        "data/db1": ["10.0.0.2:5432"],
        "shop/a": ["10.0.0.3:80"],
        "shop/c": ["10.0.0.5:80"],
    }


def test_what_is_not_read_offline_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("services: []\n")
    text = "{name: v, kind: static, files: [a.yaml], urls: ['https://h/x?k=1', 'https://h/x?k=2', 'http://[::1]:81/']}"
    seen = settings(text, tmp_path).check()
    assert seen is not None
    assert [part.part for part in seen.unread] == ["https://h/x?…", "https://h/x?… (urls[1])", "http://[::1]:81/"]
    assert (seen.parts, seen.problems) == (4, ())
    only = settings("{name: v, kind: static, urls: ['https://h/x']}", tmp_path).check()
    assert only is not None
    assert len(only.unread) == 1
    (tmp_path / "hosts").write_text("[web]\n")
    tool = "{groups: {web: a/b}, port: {default: 80}, command: [no-such-tool]}"
    listed = settings(f"{{name: v, kind: static, files: [hosts], format: ansible, ansible: {tool}}}", tmp_path).check()
    assert listed is not None
    assert [part.why for part in listed.unread] == ["is not read offline: `ansible.command` reads it"]
