"""The configuration of what is written: owner, leader, exports, and what is said of those that will not do."""

from pathlib import Path
from typing import ClassVar

import pytest
from pydantic import Field

from bridge.adapter import Target
from bridge.app import App
from bridge.config import Config, parse
from bridge.errors import ConfigError
from bridge.exports import Export, Limits
from bridge.kit import Kit
from bridge.kit.names import Pattern
from bridge.kit.settings import ExportSettings, RegistrySettings, Several
from bridge.model import SourceName
from bridge.runtime.clock import SystemClock
from bridge.runtime.rate import Rate
from bridge.testing.memory import MemoryRegistry, MemorySettings


class FileExport(ExportSettings):
    file: str

    @property
    def target(self) -> Target:
        return Target(self.file)

    @property
    def place(self) -> str:
        return self.file


class FileSettings(MemorySettings):
    """A kind with several targets, which another registry of that kind could mean too."""

    export: Several[FileExport] = Field(default=())


class ReadOnlySettings(RegistrySettings):
    opened: ClassVar[list[Kit]] = []

    def open(self, kit: Kit) -> "ReadOnly":
        self.opened.append(kit)
        return ReadOnly()


class ReadOnly:
    observe = MemoryRegistry.observe
    refresh = MemoryRegistry.refresh


ADAPTERS = {"memory": lambda: MemorySettings, "file": lambda: FileSettings, "reader": lambda: ReadOnlySettings}


def config(text: str, path: Path | str = "bridge.yaml") -> Config:
    return parse(text, Path(path), ADAPTERS)


def refused(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        config(text)
    return str(caught.value).split("\n")


VMS = "- {name: vms, kind: memory}\n"
ONE = "- {name: one, kind: file, export: [{file: a.json, services: ['*'], from: [vms]}]}\n"
EXPORT = "  - {services: ['*'], from: [vms]}\n"
OUT = "- name: out\n  kind: memory\n  export:\n"


def test_an_export_has_the_documented_defaults_and_the_owner_on_it() -> None:
    made = config(f"owner: prod\nregistries:\n{VMS}{OUT}  - {{services: ['shop/*'], from: [vms, vms]}}\n").written()
    assert [(one.registry, one.rate) for one in made] == [("out", Rate(50, 200))]
    assert made[0].export == Export(
        Target(""),
        (Pattern("shop/*"),),
        (SourceName("vms"),),
        "sync",
        Limits(at_once=0.1, floor=20, per=600),
        relay=False,
        owner="prod",
    )


def test_every_key_of_an_export_is_taken() -> None:
    (made,) = config(
        f"owner: prod\nleader: {{kind: none}}\nregistries:\n{VMS}{OUT}"
        "  - services: [shop/*, legacy/?]\n    from: [vms]\n    mode: upsert-only\n    relay: true\n"
        "    removals: {at_once: 5%, floor: 3, per: 1m}\n    rate: {per_second: 2, burst: 9}\n"
    ).written()
    export = made.export
    assert [one.text for one in export.services] == ["shop/*", "legacy/?"]
    assert (export.mode, export.relay, export.limits) == ("upsert-only", True, Limits(0.05, 3, 60))
    assert made.rate == Rate(2, 9)


WRONG = {
    "no owner": (
        f"registries:\n{VMS}{OUT}  - {{services: ['*'], from: [vms]}}",
        "6: registries[1].export[0]: what is written needs an owner, by which the bridge knows it again; add `owner: N",
    ),
    "owner that is no name": (f"owner: 'a b'\nregistries:\n{VMS}", "1: owner: 'a b' cannot name who writes; take 1 to"),
    "a source that is not there": (
        f"owner: prod\nregistries:\n{VMS}{OUT}  - {{services: ['*'], from: [vsm]}}",
        "7: registries[1].export[0].from: 'vsm' is no registry of this configuration; did you mean 'vms'?",
    ),
    "the registry itself": (
        f"owner: prod\nregistries:\n{VMS}{OUT}  - {{services: ['*'], from: [vms, out]}}",
        "7: registries[1].export[0].from: 'out' is the registry itself, which is not told what it knows; name others",
    ),
    "two on one target": (
        f"owner: prod\nregistries:\n{VMS}{OUT}{2 * EXPORT}",
        "8: registries[1].export[1]: this is what bridge.yaml:7: registries[1].export[0] writes too; one target has",
    ),
    "two registries on one place": (
        f"owner: prod\nregistries:\n{VMS}{ONE}{ONE.replace('one', 'two')}",
        "5: registries[2].export[0]: 'a.json' is what bridge.yaml:4: registries[1].export[0] writes too; one",
    ),
    "unknown key": (
        f"owner: prod\nregistries:\n{VMS}{OUT}  - {{services: ['*'], from: [vms], mod: sync}}",
        "7: registries[1].export[0].mod: unknown key; did you mean 'mode'?",
    ),
    "unknown mode": (
        f"owner: prod\nregistries:\n{VMS}{OUT}  - {{services: ['*'], from: [vms], mode: always}}",
        "7: registries[1].export[0].mode: must be 'sync', 'upsert-only' or 'dry-run'",
    ),
    "leader of no kind": (f"registries:\n{VMS}leader: {{}}", "3: leader.kind: names the kind of election; known are"),
    "leader of an unknown kind": (
        f"registries:\n{VMS}leader: {{kind: nonne}}",
        "3: leader.kind: 'nonne' is no kind of election here; did you mean 'none'?",
    ),
    "leader with a key": (
        f"registries:\n{VMS}leader: {{kind: none, name: x}}",
        "3: leader.name: unknown key; known are kind",
    ),
    "leader of another shape": (f"registries:\n{VMS}leader: none", "3: leader: must be a mapping of keys"),
}


@pytest.mark.parametrize(("text", "said"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_one_line_with_its_place_and_what_to_do(text: str, said: str) -> None:
    (line,) = refused(text)
    assert line.startswith("bridge.yaml:")
    assert said in line


def test_files_of_two_registries_and_two_of_one_are_as_many_targets() -> None:
    made = config(
        f"owner: prod\nregistries:\n{VMS}"
        "- name: one\n  kind: file\n  export:\n"
        "  - {file: a, services: ['*'], from: [vms]}\n  - {file: b, services: ['*'], from: [vms]}\n"
        "- {name: two, kind: file, export: [{file: c, services: ['*'], from: [vms]}]}\n"
    ).written()
    assert [(one.registry, one.export.target) for one in made] == [("one", "a"), ("one", "b"), ("two", "c")]


def test_a_registry_that_can_only_be_read_says_so(tmp_path: Path) -> None:
    made = config(
        f"owner: prod\nsnapshot: {{path: state}}\nregistries:\n{VMS}"
        "- {name: out, kind: reader, export: [{services: ['*'], from: [vms]}]}\n",
        tmp_path / "bridge.yaml",
    )
    with pytest.raises(ConfigError, match=r"out: `export:` stands in a registry of kind reader, which can only be re"):
        App(made, SystemClock(), ADAPTERS)


def test_who_exports_nothing_needs_no_owner_and_leaves_no_name_behind(tmp_path: Path) -> None:
    App(config(f"registries:\n{VMS}snapshot: {{path: state}}", tmp_path / "bridge.yaml"), SystemClock(), ADAPTERS)
    assert list(tmp_path.iterdir()) == []


def test_every_registry_is_opened_with_the_mark_and_it_is_the_same_after_a_restart(tmp_path: Path) -> None:
    ReadOnlySettings.opened.clear()
    text = "owner: prod\nsnapshot: {path: state}\nregistries:\n- {name: in, kind: reader}\n"
    for _ in range(2):
        App(config(text, tmp_path / "bridge.yaml"), SystemClock(), ADAPTERS)
    first, second = (kit.mark for kit in ReadOnlySettings.opened)
    assert first is not None
    assert first.owner == "prod"
    assert first == second
