"""Inventories of Ansible: as the tool lists them, and as they are written in INI and YAML."""

import json
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from adapters.static import ansible_hosts, ansible_ini, shapes
from adapters.static.ansible import Groups
from adapters.static.file_sd import Labels
from adapters.static.inventory import Inventory, Reader
from adapters.static.records import Scope
from bridge.errors import ConfigError
from bridge.model import Locality, ServiceName

SCOPE = Scope("shop", Locality("eu", "dc1"), "lan")
GROUPS = Groups((("web", "shop/web"), ("db*", "data/{group}")), "service_port", 8080)
SECRET = "hunter2-is-a-secret"

INI = """\
# machines of two kinds
bastion.example ansible_port=2222

[web]
web[01:03].example:2200 service_port=9090   # 2200 and 2222 are SSH's
10.0.0.9 ansible_host=10.0.0.10 note="a = b"

[db-main]
db-[a:c].example

[db_replica]
replica[1:9:4].example ansible_host=10.1.0.7 service_port="5433"

[dbs:children]
db-main
db_replica

[dbs:vars]
service_port=5432

[db_replica:vars]
service_port = 5434

[all:vars]
password=hunter2-is-a-secret
"""

YAML = """\
all:
  vars: {password: hunter2-is-a-secret}
  hosts: {bastion.example: {ansible_port: 2222}}
  children:
    web:
      hosts:
        web[01:03].example:2200: {service_port: 9090}
        10.0.0.9: {ansible_host: 10.0.0.10}
    dbs:
      vars: {service_port: 5432}
      children:
        db-main: {hosts: {"db-[a:c].example": }}
        db_replica:
          vars: {service_port: 5434}
          hosts:
            replica[1:9:4].example: {ansible_host: 10.1.0.7, service_port: "5433"}
"""

LISTED: dict[str, Any] = {
    "_meta": {
        "hostvars": {
            **{f"web0{i}.example": {"service_port": 9090, "ansible_port": 2200, "password": SECRET} for i in (1, 2, 3)},
            "10.0.0.9": {"ansible_host": "10.0.0.10"},
            **{f"db-{i}.example": {"service_port": 5432} for i in "abc"},
            **{f"replica{i}.example": {"ansible_host": "10.1.0.7", "service_port": "5433"} for i in (1, 5, 9)},
            "bastion.example": {"ansible_port": 2222},
        }
    },
    "all": {"children": ["ungrouped", "web", "dbs"]},
    "ungrouped": {"hosts": ["bastion.example"]},
    "web": {"hosts": ["web01.example", "web02.example", "web03.example", "10.0.0.9"]},
    "dbs": {"children": ["db-main", "db_replica"]},
    "db-main": {"hosts": [f"db-{i}.example" for i in "abc"]},
    "db_replica": {"hosts": [f"replica{i}.example" for i in (1, 5, 9)]},
}


def read(text: str, where: str = "hosts", groups: Groups | None = GROUPS) -> Inventory:
    return Reader(where, "auto", SCOPE, Labels("job", "zone", "weight"), groups=groups).read(text)


def said(inventory: Inventory) -> dict[str, list[str]]:
    return {str(name): [str(one.id) for one in service.endpoints] for name, service in inventory.services.items()}


def refused(text: str, where: str = "hosts", groups: Groups | None = GROUPS) -> str:
    with pytest.raises(ConfigError) as caught:
        read(text, where, groups)
    return str(caught.value)


EXPECTED = {
    "shop/web": ["10.0.0.10:8080", "web01.example:9090", "web02.example:9090", "web03.example:9090"],
    "data/db-main": ["db-a.example:5432", "db-b.example:5432", "db-c.example:5432"],
    "data/db-replica": ["10.1.0.7:5433"],
    "data/dbs": [
        "10.1.0.7:5433",
        "db-a.example:5432",
        "db-b.example:5432",
        "db-c.example:5432",
    ],
}


@pytest.mark.parametrize(
    "text", [INI, YAML, json.dumps(LISTED), yaml.safe_dump(LISTED)], ids=["ini", "yaml", "list", "y"]
)
def test_the_three_ways_to_write_an_inventory_say_the_same(text: str) -> None:
    inventory = read(text)
    assert said(inventory) == EXPECTED
    assert {problem.kind for problem in inventory.problems} == {"duplicate"}  # three replicas with one address
    endpoint = inventory.services[ServiceName("shop", "web")].endpoints[0]
    assert (endpoint.locality, endpoint.network) == (Locality("eu", "dc1"), "lan")


@pytest.mark.promise("S-12")
@pytest.mark.parametrize("text", [INI, YAML, json.dumps(LISTED)], ids=["ini", "yaml", "list"])
def test_the_other_variables_are_not_kept(text: str) -> None:
    assert SECRET not in repr(read(text))


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("web", ["web"]),
        ("web:22", ["web"]),
        ("web[01:03].x", ["web01.x", "web02.x", "web03.x"]),
        ("db-[a:c]", ["db-a", "db-b", "db-c"]),
        ("db[1:9:4]", ["db1", "db5", "db9"]),
        ("db[8:10]", ["db8", "db9", "db10"]),
        ("db[08:10]:2200", ["db08", "db09", "db10"]),
        ("r[a:b]s[1:2]", ["ras1", "ras2", "rbs1", "rbs2"]),
        ("x[:1]", ["x0", "x1"]),
        ("2001:db8::1", ["2001:db8::1"]),
        ("[2001:db8::1]:22", ["2001:db8::1"]),
        ("10.0.0.[1:2]:22", ["10.0.0.1", "10.0.0.2"]),
    ],
)
def test_ranges_are_inclusive_and_keep_their_zeros(pattern: str, names: list[str]) -> None:
    assert ansible_hosts.expand(pattern) == names


@pytest.mark.parametrize(
    "pattern",
    [
        *("web[3:1]", "web[c:a]", "web[a:3]", "web[01:100]", "web[1:]", "web[1:3:0]", "web[x]", "web[]", "web:ssh", ""),
        *("x[0:999999999]", "x[0:999][0:999]", "a" * 400),
    ],
)
def test_a_range_that_is_none_is_one_problem(pattern: str) -> None:
    with pytest.raises(ValueError):
        ansible_hosts.expand(pattern)


def test_the_group_that_says_most_decides_and_all_is_only_meant_by_its_name() -> None:
    groups = Groups((("*", "x/any"), ("db*", "x/some"), ("db-main", "x/one")), "", 80)
    assert [groups.service(name) for name in ("web", "dbs", "db-main", "all", "ungrouped")] == [
        "x/any",
        "x/some",
        "x/one",
        None,
        None,
    ]
    everything = read(INI, groups=Groups((("all", "shop/all"), ("ungrouped", "shop/rest")), "", 22))
    assert len(said(everything)["shop/all"]) == 9
    assert said(everything)["shop/rest"] == ["bastion.example:22"]


def test_the_deepest_group_counts_then_the_last_by_name_and_the_host_over_all() -> None:
    text = """\
[b]
h1
[a]
h1
h2
[outer:children]
a
[a:vars]
service_port=1
[b:vars]
service_port=2
[outer:vars]
service_port=3
[all:vars]
service_port=4
[b]
h3 service_port=5
[rest]
h4
"""
    found = said(read(text, groups=Groups((("all", "x/all"),), "service_port", None)))
    assert found == {"x/all": ["h1:1", "h2:1", "h3:5", "h4:4"]}


def test_the_short_forms_of_hosts_and_children_are_read() -> None:
    groups = {"web": ["h1"], "db1": {"hosts": "h2", "children": "db2"}, "db2": {"hosts": ["h3"]}}
    assert said(read(json.dumps({"_meta": {"hostvars": {}}, **groups}))) == {
        "shop/web": ["h1:8080"],
        "data/db1": ["h2:8080", "h3:8080"],
        "data/db2": ["h3:8080"],
    }


def test_without_a_map_the_file_says_what_is_missing() -> None:
    assert refused(INI, groups=None) == (
        "hosts: is an inventory of Ansible; say which of its groups are services: `ansible.groups`"
    )
    inventory = read(INI, groups=Groups((("nothing", "a/b"),), "", 80))
    assert inventory.services == {}
    assert "'db-main', 'db_replica', 'dbs'" in inventory.problems[0].what


@pytest.mark.promise("R-22")
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"_meta": {"hostvars": {}}, "all": {"children": ["ungrouped"]}}', "hosts:1: has no hosts: so Ansible says"),
        ("[web]\n[db]\n", "hosts: has no hosts"),
        ("[web]\nh1\n[web:var]\nx=1\n", "hosts:3: a section [web:var] is not known"),
        ("[web]\nh1\n[a:children]\nb\n[b:children]\na\n", "hosts:4: group 'b' is below itself"),
        ("[web]\nh1\n[web:vars]\nx\n", "hosts:4: in a section of variables"),
        ("[web]\nh1 x\n", "hosts:2: after a host stand variables"),
        ("[web]\nh1\n[a:children]\na b\n", "hosts:4: in a section of children"),
        ("web:\n  hosts: {h1: }\n  host: x\n", "hosts:1: 'web' "),
        ("all:\n  hosts: {h1: 5}\n", "hosts:2: all.hosts.h1: must be a mapping of variables"),
        ('{"_meta": {"hostvars": {}}, "web": {"hosts": [5]}}', "hosts:1: web.hosts[0]: 5 is not the name of a host"),
        ('{"_meta": {"hostvars": {}}, "web": {"children": [5]}}', "hosts:1: web.children: must be a list of names"),
        ('{"_meta": {"hostvars": {}}, "web": {"children": 5}}', "hosts:1: web.children: must be a mapping of groups"),
        ('{"_meta": {"hostvars": {"h": 5}}, "web": {}}', "hosts:1: _meta.hostvars.h: must be a mapping of variables"),
        ('{"_meta": {"hostvars": {}}, "web": 5}', "hosts:1: web: a group must be a mapping"),
        ("all:\n  hosts: 5\n", "hosts:2: all.hosts: must be a mapping of hosts"),
        ("all:\n  hosts: {h: }\n  children: {a: {children: {b: {children: {a: }}}}}\n", "hosts:3: all.children.a"),
    ],
)
def test_what_cannot_be_trusted_fails_the_file_with_its_line(text: str, message: str) -> None:
    if "host: x" in text:
        reader = Reader("hosts", "ansible", SCOPE, Labels("job", "zone", "weight"), groups=GROUPS)
        with pytest.raises(ConfigError, match=r"hosts:3: web.host: unknown key of a group; did you mean 'hosts'\?"):
            reader.read(text)
    else:
        assert refused(text).startswith(message)


def test_a_plug_in_is_left_to_ansible() -> None:
    reader = Reader("aws.yml", "ansible", SCOPE, Labels("job", "zone", "weight"), groups=GROUPS)
    with pytest.raises(ConfigError, match="which only Ansible reads"):
        reader.read("plugin: amazon.aws.aws_ec2\nregions: [x]\n")


MANY = "[web]\ngood[1:50]\n"


@pytest.mark.promise("R-23", "S-12")
@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("bad service_port='{{ vault_port }}'", "service_port is a template"),
        ("bad service_port=hunter2-is-a-secret", "service_port is not a port"),
        ("bad service_port=0", "service_port is not a port"),
        ("bad service_port=99999", "service_port is not a port"),
        ("bad ansible_host='{{ x }}'", "ansible_host is a template"),
        ("bad ansible_host='hunter2-is-a-secret;'", "ansible_host is neither"),
        ("bad ansible_host=127.1", "ansible_host is neither"),
        ("bad ansible_host=$ANSIBLE_VAULT;1.1;AES256", "ansible_host is in a vault"),
        ("bad[3:1]", "the range ends before it begins"),
        ("bad password='hunter2-is-a-secret", "a quote is not closed"),
        ("../../etc/passwd", "neither an IP address nor a host name"),
    ],
)
def test_a_bad_host_is_one_problem_that_repeats_no_value(line: str, what: str) -> None:
    inventory = read(f"{MANY}{line}\n")
    (problem,) = inventory.problems
    assert problem.where == "hosts:3"
    assert what in problem.what
    assert SECRET not in str(problem)
    assert len(said(inventory)["shop/web"]) == 50


@pytest.mark.promise("S-12")
@pytest.mark.parametrize("text", [f"[web]\npassword={SECRET}\n", f"[x:children]\npassword={SECRET}\n"])
def test_a_variable_in_the_wrong_place_is_not_repeated(text: str) -> None:
    assert SECRET not in refused(text)


@pytest.mark.promise("S-12")
def test_text_that_is_no_inventory_is_not_repeated() -> None:
    assert SECRET not in refused(f"10.0.0.1 ansible_password={SECRET}\n")


@pytest.mark.promise("S-12")
def test_vaulted_values_are_forgotten_at_once_and_are_a_problem_only_where_they_are_needed() -> None:
    text = f"""\
web:
  vars:
    password: !vault |
      $ANSIBLE_VAULT;1.1;AES256
      {SECRET}
  hosts:
    good[1:20]:
    bad: {{service_port: !vault "{SECRET}"}}
    plain: {{service_port: !unsafe "81"}}
"""
    inventory = read(text)
    (problem,) = inventory.problems
    assert "service_port is in a vault" in problem.what
    assert SECRET not in repr(inventory)
    assert "plain:81" in said(inventory)["shop/web"]
    listed = {
        "_meta": {"hostvars": {"bad": {"service_port": {"__ansible_vault": SECRET}}}},
        "web": {"hosts": ["bad", *(f"good{i}" for i in range(20))]},
    }
    inventory = read(json.dumps(listed))
    (problem,) = inventory.problems
    assert problem.where == "hosts:1: web.hosts[0]"
    assert SECRET not in repr(inventory)


@pytest.mark.promise("S-08", "S-03")
@pytest.mark.parametrize("group", ["../kube-system", "kube-system/x", "..", "a/b"])
def test_a_group_cannot_name_its_way_into_another_namespace(group: str) -> None:
    inventory = read(
        json.dumps({"all": {"hosts": {"h": None}}, group: {"hosts": {"h": None}}}),
        groups=Groups((("*", "data/{group}"),), "", 80),
    )
    assert inventory.services == {}
    assert any(problem.kind == "name" for problem in inventory.problems)


@pytest.mark.promise("S-06")
def test_as_many_hosts_as_a_file_may_have_are_a_clear_error() -> None:
    assert "more than 100,000 hosts" in refused("[web]\na[1:60000]\nb[1:60000]\n")


@pytest.mark.parametrize(
    ("text", "where", "form"),
    [
        ("[web]\n10.0.0.1\n", "hosts", "ansible"),
        ("# x\n\n[web:children]\ndb\n", "hosts", "ansible"),
        ("10.0.0.1\n", "hosts.ini", "ansible"),
        ("h1 note='a: b'\nh2:22\n[web]\n", "hosts", "ansible"),
        ("10.0.0.1\n", "hosts", "auto"),
        ("web:\n  - x\n[web]\n", "hosts", "auto"),
        ("[web]\n", "x.yaml", "auto"),
        ("[\n]\n", "hosts", "auto"),
        ("[5]\n", "hosts", "auto"),
        ("['a']\n", "hosts", "auto"),
        ("a,b\n", "x.csv", "csv"),
        ("services: []\n", "vms", "auto"),
        ("apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n", "x", "endpointslice"),
    ],
)
def test_a_format_is_told_by_its_shape_only_where_that_is_safe(text: str, where: str, form: str) -> None:
    assert shapes.of_text(text, where) == form


def outcome(text: str, where: str) -> Inventory | str:
    try:
        return Reader(where, "ansible", SCOPE, Labels("job", "zone", "weight"), groups=GROUPS).read(text)
    except ConfigError as error:
        return str(error)


def survives(text: str) -> None:
    for where in ("hosts", "hosts.ini", "hosts.yml"):
        said = outcome(text, where)
        if isinstance(said, str):
            assert said.startswith(where)
            assert len(said) < 2000
        else:
            assert all(str(problem).isprintable() for problem in said.problems)


lines = st.sampled_from(
    [line for line in INI.splitlines() if line] + ["[a:children]", "a", "x[1:3", "[", "[web", "=", "x='"]
)


@pytest.mark.promise("S-17")
@given(st.lists(lines | st.text("[]:=ab01 '\"#{}.-\\", max_size=12), max_size=8).map("\n".join))
def test_any_lines_are_an_inventory_or_a_clear_error(text: str) -> None:
    survives(text)
    assert ansible_ini.is_ini(text, "x") in (True, False)


words = st.sampled_from(
    ["all", "web", "db-x", "hosts", "children", "vars", "_meta", "hostvars", "service_port", "h[1:2]"]
)
leaves = st.sampled_from([None, True, 5, "", "x", "{{ a }}", [], {}, ["h"], {"__ansible_vault": "x"}, 1.5])


@pytest.mark.promise("S-17")
@given(st.recursive(leaves, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(words, inner, max_size=3)))
def test_any_tree_is_an_inventory_or_a_clear_error(value: Any) -> None:
    survives(json.dumps(value))
    survives(json.dumps({"_meta": {"hostvars": value}, "web": value, "all": {"hosts": value, "children": value}}))


@pytest.mark.promise("S-17")
@given(st.text(max_size=30) | st.text("[]:0123456789abAB", max_size=20))
def test_any_pattern_of_hosts_is_hosts_or_a_clear_error(pattern: str) -> None:
    try:
        names = ansible_hosts.expand(pattern)
    except ValueError:
        return
    assert names
    assert all(names)
