"""What the README tells people to write is what the bridge reads."""

import re
from pathlib import Path

import pytest

from bridge.config import parse

README = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
BLOCKS = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
EXAMPLES = [one for one in BLOCKS if "registries:\n" in one and not one.startswith("# values.yaml")]  # those are Helm's
TITLES = re.findall(r"^## (.*)$", README, re.MULTILINE)
HEADINGS = {re.sub(r"[^a-z0-9 -]", "", one.lower()).replace(" ", "-") for one in TITLES}


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 4


@pytest.mark.parametrize("example", EXAMPLES, ids=range(len(EXAMPLES)))
def test_every_configuration_of_the_readme_will_do(example: str, tmp_path: Path) -> None:
    assert parse(example, tmp_path / "bridge.yaml").registries


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(#([^)]*)\)", README))))
def test_every_link_within_the_readme_leads_somewhere(link: str) -> None:
    assert link in HEADINGS


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(([^)#:]+)\)", README))))
def test_every_link_into_the_tree_leads_somewhere(link: str) -> None:
    assert (Path(__file__).parents[2] / link).exists()
