"""Our label selectors say what the API server's own say, of any text."""

import random

from adapters.kubernetes.selector import Selector
from tests.servers.kubernetes.client import ApiError, Client
from tests.servers.kubernetes.objects import service

LABELS = (
    {},
    {"a": "1"},
    {"a": "2", "b": "x"},
    {"a": "10", "b": ""},
    {"b": "y", "x.example/c": "In"},
    {"in": "notin", "a": "0002"},
    {"notin": "in", "x.example/c": ""},
)
WORDS = ("a", "b", "in", "notin", "x.example/c", "1", "2", "0002", "x", "y", "In", "-", "X/y", "a_b", "_")
SIGNS = ("=", "==", "!=", "!", ",", ",", "(", ")", "<", ">")
BLANKS = ("", "", "", " ", "\t", " \n")


def texts(count: int, seed: int) -> list[str]:
    """Selectors, more and less broken ones."""
    choose = random.Random(seed)

    def blank() -> str:
        return choose.choice(BLANKS)

    def values() -> str:
        return "(" + ",".join(choose.choice((*WORDS, "")) for _ in range(choose.randrange(1, 4))) + ")"

    def requirement() -> str:
        key = choose.choice(WORDS[:6])
        match choose.randrange(5):
            case 0:
                return f"{blank()}{key}{blank()}"
            case 1:
                return f"{blank()}!{blank()}{key}"
            case 2:
                return f"{key} {choose.choice(('in', 'notin'))} {values()}"
            case 3:
                return f"{key}{blank()}{choose.choice('<>')}{blank()}{choose.choice(WORDS[5:8])}"
        return f"{key}{blank()}{choose.choice(SIGNS[:3])}{blank()}{choose.choice((*WORDS, ''))}{blank()}"

    found = ["", " ", *(",".join(requirement() for _ in range(choose.randrange(1, 4))) for _ in range(count))]
    for text in found[: count // 3]:
        at = choose.randrange(len(text) + 1)
        found.append(text[:at] + choose.choice((*SIGNS, *WORDS, *BLANKS)) + text[at + choose.randrange(2) :])
    return found


async def admitted(api: Client, namespace: str, text: str) -> set[str] | None:
    """The Services that the server itself selects, None when it refuses the selector."""
    try:
        return {one["metadata"]["name"] for one in await api.list("Service", namespace, labelSelector=text)}
    except ApiError as error:
        if error.status != 400:
            raise
        return None


async def test_a_selector_admits_what_the_server_admits_and_refuses_what_it_refuses(api: Client, namespace: str):
    labels = {f"s{number}": said for number, said in enumerate(LABELS)}
    for name, said in labels.items():
        await api.create(service(namespace, name, labels=said))
    refused = 0
    for text in texts(300, seed=5):
        ours: set[str] | None = None
        try:
            selector = Selector.parse(text)
            ours = {name for name, said in labels.items() if selector.admits(said)}
        except ValueError:
            refused += 1
        assert ours == await admitted(api, namespace, text), text
    assert 50 < refused < 300
