"""An inventory read block by block is the inventory read whole."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.static import blocks
from adapters.static.inventory import Inventory, Reader
from tests.claims.test_static_inventory import LABELS, SCOPE, attempt, outcome

PLAIN = """\
# head
services:   # all of them
  # first
  - name: a
    port: 80
    endpoints: [10.0.0.1]

  - name: b   # second
    port: 80
    endpoints:
      - 10.0.0.2
count: 2
"""


def test_the_plain_shape_is_cut() -> None:
    cut = blocks.cut(PLAIN)
    assert cut is not None
    assert [PLAIN[start:].splitlines()[0].split()[:2] for start in cut.starts()] == [["name:", "a"], ["name:", "b"]]
    assert cut.tail == "count: 2\n"
    assert PLAIN[cut.start :] == "\n  - ".join(cut.blocks) + "\n" + cut.tail
    assert isinstance(attempt(PLAIN), Inventory)


def test_an_edit_leaves_the_other_services_the_same_objects() -> None:
    reader = Reader("vms.yaml", "auto", SCOPE, LABELS)
    before = reader.read(PLAIN).services
    after = reader.read(PLAIN.replace("10.0.0.2", "10.0.0.3").replace("# head\n", "")).services
    same = {name.name for name, service in after.items() if before[name] is service}
    assert same == {"a"}


def test_the_line_of_a_problem_follows_the_edit_of_another_service() -> None:
    text = PLAIN.replace("[10.0.0.1]", "[10.0.0.1, " + "10.0.1.1:81, " * 30 + "]").replace(
        ".2\n", ".2\n      - 127.1\n"
    )
    reader = Reader("vms.yaml", "auto", SCOPE, LABELS)
    for more in ("", "\n\n\n"):
        edited = text.replace("    port: 80\n", f"    port: 80\n{more}", 1)
        where = [problem.where for problem in reader.read(edited).problems if problem.kind == "address"]
        line = edited.splitlines().index("      - 127.1") + 1
        assert where == [f"vms.yaml:{line}: services[1].endpoints[1]"]


@pytest.mark.parametrize(
    "text",
    [
        PLAIN.replace("  - name: b", "  - name: &b b"),
        PLAIN.replace("[10.0.0.1]", "*b"),
        PLAIN.replace("  - name: b", "- name: b"),
        PLAIN.replace("  - name: b", " - name: b"),
        PLAIN.replace("  - name: b", "   - name: b"),
        PLAIN.replace("[10.0.0.1]", '["10.0.0.1\n  - name: c"]'),
        PLAIN.replace("[10.0.0.1]", "[10.0.0.1\n  - name: c]"),
        PLAIN.replace("[10.0.0.1]", "[10.0.0.1,\n  10.0.0.5]"),
        PLAIN.replace("[10.0.0.1]", "[10.0.0.1,\n10.0.0.5]"),
        PLAIN.replace("name: a", "name: |\n  a"),
        PLAIN.replace("name: a", "name: >-\n      a\n# no comment\n"),
        PLAIN.replace("count: 2", "count: 2\nservices: []"),
        PLAIN.replace("count: 2", "count: 2\n---\na: 1"),
        PLAIN.replace("count: 2", "...\ncount: 2"),
        PLAIN.replace("count: 2", "  count: 2"),
        PLAIN.replace("count: 2", "{count: 2}"),
        PLAIN.replace("count: 2", "count: 2\n  - x"),
        PLAIN.replace("count: 2", "count:\n- 2"),
        PLAIN.replace("count: 2", "# end"),
        PLAIN.replace("\n\n", "\n---\n"),
        PLAIN.replace("\n\n", "\n...\n"),
        PLAIN.replace("\n\n", "\n%YAML 1.2\n"),
        PLAIN.replace("\n\n", "\n\t\n"),
        PLAIN.replace("\n", "\r\n"),
        PLAIN.replace("# head\n", "---\n"),
        PLAIN.replace("# head\n", "%YAML 1.2\n---\n"),
        PLAIN.replace("  - name: b", "  -\n    name: b"),
        PLAIN.replace("  - name: b", "  - - name: b"),
        PLAIN.replace("  - name: b", "  - ? name\n    : b"),
        PLAIN.replace("\n  -", "\n-").replace("\n    ", "\n  ").replace("\n      ", "\n    "),
        PLAIN.replace("\n  -", "\n-").replace("\n    ", "\n "),
        PLAIN.rstrip(),
        PLAIN.replace("count: 2\n", "    network: >+\n"),
        PLAIN.replace("count: 2\n", "    network: >+\n\n\n"),
        PLAIN.replace("count: 2\n", "    network: |\n      x"),
        PLAIN.replace("count: 2\n", ""),
        PLAIN.replace("count: 2\n", "").rstrip(),
        PLAIN + PLAIN,
        "services:\n  - \n",
        "services:\n  -",
        "services:\n- \n- \n",
        "services:\n",
        "services: # c\n  # d\n",
        PLAIN.replace("services:   #", "services:#"),
        PLAIN.replace("count: 2", "count: 2# no comment"),
    ],
)
def test_other_shapes_say_the_same_in_blocks_and_whole(text: str) -> None:
    attempt(text)


pieces = st.sampled_from(
    [
        *("  - name: a\n", "  - name: b\n", "- name: c\n", "  - name: d\n    port: 80\n", "   - name: e\n", "  -\n"),
        *(
            "    port: 80\n",
            "    endpoints: []\n",
            "    endpoints:\n",
            "      - 10.0.0.1\n",
            "    - 10.0.0.2\n",
            "  x: 1\n",
        ),
        *(
            "count: 1\n",
            "count: 2\n",
            "services:\n",
            "# c\n",
            "    # c\n",
            "\n",
            "   \n",
            "---\n",
            "...\n",
            "'\n",
            '"\n',
        ),
        *(
            "    metadata: {a: |\n",
            "    metadata:\n      a: |\n",
            "       text\n",
            "    network: 'x\n",
            "  y'\n",
            "[",
            "]\n",
        ),
        *(
            "    network: >+\n",
            "  - ",
            "    - ",
            "- ",
            "{",
            "}\n",
            ", ",
            "&a ",
            "*a\n",
            "!x ",
            ": ",
            "?",
            "|",
            "\t",
            "\r",
        ),
    ]
)


@pytest.mark.promise("S-17")
@given(st.lists(pieces, max_size=25))
def test_any_lines_say_the_same_in_blocks_and_whole(lines: list[str]) -> None:
    attempt("services:\n" + "".join(lines))


@given(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 6), pieces | st.just("")), min_size=1, max_size=6))
def test_edit_after_edit_says_the_same_as_the_last_text_alone(edits: list[tuple[int, int, str]]) -> None:
    reader = Reader("vms.yaml", "auto", SCOPE, LABELS)
    text = PLAIN
    for at, cut, piece in edits:
        text = text[:at] + piece + text[at + cut :]
        assert outcome(reader.read, text) == attempt(text)
