"""What nobody can use: every record of each dialect that its tests know to be malformed."""

from collections.abc import Mapping, Sequence

from adapters.zookeeper.dialects.dialect import Child
from tests.claims import test_zookeeper_curator as curator
from tests.claims import test_zookeeper_dubbo as dubbo
from tests.claims import test_zookeeper_plain as plain
from tests.claims import test_zookeeper_serverset as serverset
from tests.claims import test_zookeeper_smartstack as smartstack

MALFORMED: Mapping[str, Sequence[Child]] = {
    "curator": curator.distinct(curator.POISON),
    "spring": curator.distinct(curator.SPRING_BAD),
    "dubbo-app": curator.distinct(curator.DUBBO_BAD),
    "serverset": serverset.BAD,
    "nerve": smartstack.BAD,
    "dubbo": dubbo.BAD,
    "plain": plain.BAD,
    "party": plain.PARTY_BAD,
    "kingpin": plain.KINGPIN_BAD,
    "solr": plain.SOLR_BAD,
    "kafka": plain.KAFKA_BAD,
}
