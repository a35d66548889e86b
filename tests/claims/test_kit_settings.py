import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import Field, TypeAdapter, ValidationError

from bridge.adapter import Source
from bridge.errors import ConfigError
from bridge.kit import Kit
from bridge.kit.document import load
from bridge.kit.settings import (
    ConfigPath,
    Duration,
    HostPort,
    Percent,
    RegistrySettings,
    RemovalsSettings,
    Secret,
    Several,
    Strict,
    explain_errors,
)
from bridge.testing.memory import MemoryRegistry


class Registry(RegistrySettings):
    """As an adapter's: what all have in common, and a way to open it."""

    def open(self, kit: Kit) -> Source:
        return MemoryRegistry()


class Inner(Strict):
    files: Several[str] = ()
    enabled: bool = True
    number: int = 1


class Outer(Strict):
    inner: Several[Inner] = ()
    by_name: dict[str, Inner] = Field(default_factory=dict)
    maybe: Inner | None = None
    path: ConfigPath | None = None
    secret: Secret | None = None


def told(text: str) -> list[str]:
    document = load(text, "bridge.yaml")
    with pytest.raises(ValidationError) as caught:
        Outer.model_validate(document.value)
    return str(explain_errors(caught.value, document, Outer)).splitlines()


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("inner:\n  - {file: x}\n", "bridge.yaml:2: inner[0].file: unknown key; did you mean 'files'?"),
        ("by_name:\n  a/*:\n    fils: []\n", "bridge.yaml:3: by_name['a/*'].fils: unknown key; did you mean 'files'?"),
        ("maybe:\n  xyz: 1\n", "bridge.yaml:2: maybe.xyz: unknown key; known are enabled, files, number"),
        ("innner: []\n", "bridge.yaml:1: innner: unknown key; did you mean 'inner'?"),
        ("inner:\n  - enabled: no\n", "bridge.yaml:2: inner[0].enabled: must be true or false"),
        ("inner:\n  - number: '1'\n", "bridge.yaml:2: inner[0].number: must be a whole number"),
        ("inner:\n  - files: [1]\n", "bridge.yaml:2: inner[0].files[0]: must be text; put it into quotes"),
        ("inner:\n  - files: x\n", "bridge.yaml:2: inner[0].files: must be a list, such as [one, another]"),
        ("inner:\n  - 5\n", "bridge.yaml:2: inner[0]: must be a mapping of keys"),
        ("[]", "bridge.yaml:1: must be a mapping of keys"),
    ],
)
def test_an_error_names_file_line_key_and_what_to_do(text: str, line: str) -> None:
    assert told(text) == [line]


def test_all_errors_are_told_in_the_order_of_their_lines() -> None:
    lines = told("zzz: 1\ninner:\n  - {fils: 1, number: x}\npath: ''\n")
    assert [line.split(": ")[1] for line in lines] == ["zzz", "inner[0].fils", "inner[0].number", "path"]


def test_errors_of_a_part_name_the_place_in_the_whole_document() -> None:
    document = load("registries:\n  - name: a\n    kind: x\n    nme: y\n", "bridge.yaml")
    with pytest.raises(ValidationError) as caught:
        Registry.model_validate(document.value["registries"][0])
    error = explain_errors(caught.value, document, Registry, ("registries", 0))
    assert str(error) == "bridge.yaml:4: registries[0].nme: unknown key; did you mean 'name'?"


def test_a_missing_key_is_named_at_its_mapping() -> None:
    document = load("kind: static\n", "bridge.yaml")
    with pytest.raises(ValidationError) as caught:
        Registry.model_validate(document.value)
    assert str(explain_errors(caught.value, document, Registry)) == "bridge.yaml:1: name: is required; add it"


durations = TypeAdapter(Duration)
percents = TypeAdapter(Percent)


@pytest.mark.parametrize(("text", "seconds"), [("500ms", 0.5), ("10s", 10), ("15m", 900), ("1h", 3600), ("1.5h", 5400)])
def test_a_duration_is_a_number_with_a_unit(text: str, seconds: float) -> None:
    assert durations.validate_python(text) == seconds


@pytest.mark.parametrize(
    "text", [10, 1.5, "10", "-1s", "1 s", "s", "1sec", "1h30m", None, True, "1s\n", "9" * 99 + "s"]
)
def test_what_is_no_duration_is_refused(text: object) -> None:
    with pytest.raises(ValidationError, match="write a number with a unit"):
        durations.validate_python(text)


@given(st.integers(0, 10**9))
def test_a_duration_is_written_as_it_is_read(milliseconds: int) -> None:
    seconds = milliseconds / 1000
    assert durations.validate_python(durations.dump_python(seconds)) == pytest.approx(seconds)


@pytest.mark.parametrize(("text", "fraction"), [("15%", 0.15), ("0%", 0), ("100%", 1), ("12.5%", 0.125)])
def test_a_percentage_is_a_fraction(text: str, fraction: float) -> None:
    assert percents.validate_python(text) == fraction
    assert percents.dump_python(fraction) == text


@pytest.mark.parametrize("text", ["101%", "15", 15, 0.15, "-1%", "%", None])
def test_what_is_no_percentage_is_refused(text: object) -> None:
    with pytest.raises(ValidationError, match="percentage"):
        percents.validate_python(text)


def test_a_relative_path_is_taken_from_the_folder_of_the_configuration() -> None:
    context = {"folder": Path("/etc/bridge")}
    read = TypeAdapter(ConfigPath).validate_python
    assert read("vms/*.yaml", context=context) == Path("/etc/bridge/vms/*.yaml")
    assert read("/srv/vms.yaml", context=context) == Path("/srv/vms.yaml")
    assert read("~/vms.yaml", context=context) == Path.home() / "vms.yaml"


@pytest.mark.parametrize("text", ["", 5, None, "a\nb", "~nobody-of-that-name/x"])
def test_what_is_no_path_is_refused(text: object) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(ConfigPath).validate_python(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("127.0.0.1:80", ("127.0.0.1", 80)), ("[::1]:0", ("::1", 0)), ("localhost:8080", ("localhost", 8080))],
)
def test_where_to_listen(text: str, expected: tuple[str, int]) -> None:
    value = TypeAdapter(HostPort).validate_python(text)
    assert value == expected
    assert str(value) == text


@pytest.mark.parametrize("text", [":80", "80", "::1:80", "127.1:80", "127.0.0.1:65536", "a b:80", 80, None])
def test_where_nothing_can_listen(text: object) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(HostPort).validate_python(text)


CANARY = "hunter2-canary"


@pytest.mark.promise("S-12")
def test_a_secret_prints_as_stars_everywhere(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"{CANARY}\n")
    outer = Outer.model_validate({"secret": {"file": "token"}}, context={"folder": tmp_path})
    assert outer.secret is not None
    assert outer.secret.reveal() == CANARY
    shown = [repr(outer), str(outer), str(outer.model_dump()), outer.model_dump_json(), f"{outer.secret}"]
    assert not any(CANARY in text for text in shown)
    assert str(outer.secret) == "***"


@pytest.mark.promise("S-12")
@pytest.mark.parametrize("written", [f"secret: {CANARY}", f"secret: {{value: {CANARY}}}", f"secret: [{CANARY}]"])
def test_a_secret_written_inline_is_refused_and_not_repeated(written: str) -> None:
    (line,) = told(written)
    assert "file: path" in line
    assert CANARY not in line


@pytest.mark.promise("S-12")
def test_a_rotated_secret_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "token"
    file.write_text("old")
    secret = Secret(file=file)
    assert secret.reveal() == "old"
    file.write_text("new")
    assert secret.reveal() == "new"
    monkeypatch.setenv("BRIDGE_TEST_TOKEN", CANARY)
    assert Secret(env="BRIDGE_TEST_TOKEN").reveal() == CANARY


@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe"])
def test_a_secret_that_is_not_there_is_a_clear_error(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigError, match="a secret is to be read"):
        Secret(file=file).reveal()
    with pytest.raises(ConfigError, match="NO_SUCH_VARIABLE"):
        Secret(env="NO_SUCH_VARIABLE").reveal()


def test_the_defaults_of_removals_are_those_of_the_documentation() -> None:
    assert RemovalsSettings().model_dump() == {
        "settled": "15m",
        "gather": "3s",
        "small": "15%",
        "source": "10%",
        "confirm": "1m",
        "last": "30m",
        "flood_release": "30m",
        "probe": True,
    }


def test_what_is_written_is_read_again() -> None:
    settings = Registry.model_validate(
        {
            "name": "vms",
            "kind": "x",
            "addresses": ["10.0.0.0/8"],
            "locality": {"zone": "a"},
            "removals": {"small": "5%"},
        }
    )
    assert Registry.model_validate(json.loads(settings.model_dump_json())) == settings


@pytest.mark.parametrize(
    ("settings", "valid"),
    [
        ({"name": "vms", "kind": "x"}, True),
        ({"name": "vms", "kind": "x", "removals": {"small": "5%", "gather": "10s"}}, True),
        ({"name": "vms", "kind": "x", "removals": {"gather": "10"}}, False),
        ({"name": "vms", "kind": "x", "namespaces": ["a"], "required": False}, True),
        ({"name": "vms", "kind": "x", "namespaces": "a"}, False),
        ({"name": "vms", "kind": "x", "zone": "a"}, False),
        ({"kind": "x"}, False),
    ],
)
def test_the_json_schema_agrees_with_the_model(settings: dict[str, object], valid: bool) -> None:
    assert Draft202012Validator(Registry.model_json_schema()).is_valid(settings) is valid
    try:
        Registry.model_validate(settings)
    except ValidationError:
        assert not valid
    else:
        assert valid
