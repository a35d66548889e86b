"""Where our instances are: as it was seen, and as it was written since.

What was sent and is not seen yet counts as done, so that whatever becomes of the answer the same instance is never
made in two places.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from adapters.consul.owned import NOT_THERE, Stands
from bridge.adapter import RecordKey


class Sent(NamedTuple):
    """To which node an instance was sent, "" where it was only removed, and from which ones."""

    to: str
    away: frozenset[str]


class Places:
    """Those of one export."""

    def __init__(self) -> None:
        self.stands: Mapping[str, Stands] = {}
        self._sent: dict[RecordKey, Sent] = {}
        self._more: Counter[str] = Counter()  # how much more stands on a node than was seen

    def seen(self, stands: Mapping[str, Stands]) -> None:
        """Each node stands there so."""
        self.stands = stands
        self._sent = {key: sent for key, sent in self._sent.items() if any(self._differs(key, sent).values())}
        self._more = Counter()
        for key, sent in self._sent.items():
            self._more.update(self._differs(key, sent))

    def on(self, key: RecordKey) -> str:
        """A node of ours on which an instance was seen, "" where it was on none."""
        return next((node for node, one in self.stands.items() if key in one.ids and not one.foreign), "")

    def load(self, node: str) -> int:
        """How many instances, of whomever, are on a node."""
        return len(self.stands.get(node, NOT_THERE).ids) + self._more[node]

    def sent(self, key: RecordKey) -> str:
        """To which node an instance is on its way, "" where it is on none."""
        return self._sent[key].to if key in self._sent else ""

    def send(self, key: RecordKey, to: str, away: Iterable[str]) -> None:
        """An instance is about to be written to a node, or to none, and taken from these."""
        self.unsent(key)
        sent = Sent(to, frozenset(away) - {to})
        if any((differs := self._differs(key, sent)).values()):
            self._sent[key] = sent
            self._more.update(differs)

    def unsent(self, key: RecordKey) -> None:
        """Of what was sent nothing was done."""
        if (sent := self._sent.pop(key, None)) is not None:
            self._more.subtract(self._differs(key, sent))

    def unseen(self) -> frozenset[RecordKey]:
        """What was sent and is not seen."""
        return frozenset(self._sent)

    def _differs(self, key: RecordKey, sent: Sent) -> Mapping[str, int]:
        """By how many each node differs from what was seen there."""
        made = {sent.to: 1} if sent.to and key not in self.stands.get(sent.to, NOT_THERE).ids else {}
        return {**made, **{node: -1 for node in sent.away if key in self.stands.get(node, NOT_THERE).ids}}
