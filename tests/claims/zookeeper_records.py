"""Records of ZooKeeper as those who own the dialects write them, each with where its format is from."""

import struct

CURATOR = (
    '{"name":"svc","id":"id-1","address":"10.0.0.1","port":8080,"sslPort":null,"payload":null,'
    '"registrationTimeUTC":1700000000000,"serviceType":"DYNAMIC","uriSpec":null}'
)
"""`JsonInstanceSerializer` of Curator 5.9, measured: the order of the keys, and the nulls, are its own."""

URI = (
    '{"parts":[{"value":"scheme","variable":true},{"value":"://","variable":false},'
    '{"value":"address","variable":true},{"value":":","variable":false},{"value":"port","variable":true}]}'
)
"""`{scheme}://{address}:{port}` as Curator's `UriSpec` is written."""

OF_SPRING = (
    '{"name":"svc","id":"id-1","address":"10.0.0.1","port":8080,"sslPort":null,"payload":{"@class":'
    '"org.springframework.cloud.zookeeper.discovery.ZookeeperInstance","id":"application-1","name":"svc",'
    '"metadata":{"instance_status":"UP","team":"pay"}},"registrationTimeUTC":1700000000000,"serviceType":"DYNAMIC",'
    '"uriSpec":' + URI + "}"
)
"""`ZookeeperInstance` of Spring Cloud Zookeeper 5.0, measured."""

OF_DUBBO = (
    '{"name":"app","id":"10.0.0.1:20880","address":"10.0.0.1","port":20880,"sslPort":null,"payload":{"@class":'
    '"org.apache.dubbo.registry.zookeeper.ZookeeperInstance","id":"10.0.0.1:20880","name":"app","metadata":{'
    '"dubbo.endpoints":"[{\\"port\\":20880,\\"protocol\\":\\"dubbo\\"},{\\"port\\":8081,\\"protocol\\":\\"rest\\"}]",'
    '"dubbo.metadata-service.url-params":"{\\"version\\":\\"1.0.0\\",\\"dubbo\\":\\"2.0.2\\",\\"port\\":\\"20880\\"}",'
    '"dubbo.metadata.revision":"dbd77eec7b7a7fd9ac6aa27c8d4ea58a","dubbo.metadata.storage-type":"local",'
    '"meta-v":"2.0.0","timestamp":"1700000000000","zone":"dc1"}},"registrationTimeUTC":1700000000000,'
    '"serviceType":"DYNAMIC","uriSpec":null}'
)
"""`org.apache.dubbo.registry.zookeeper.ZookeeperInstance` of Dubbo 3.3, measured."""

SERVERSET = (
    '{"serviceEndpoint":{"host":"10.0.0.1","port":9000},"additionalEndpoints":{"http":{"host":"10.0.0.1","port":9001}},'
    '"status":"ALIVE","shard":3,"metadata":{"k":"v"}}'
)
"""`JsonCodec` of Twitter's commons, which Finagle's serverset2 reads in `Entry`."""

VECTOR = '{"vector":[{"select":"member=member_0000000001","weight":3.0,"priority":1}]}'
"""What Finagle's serverset2 reads in `Vector` and `Descriptor`; nothing else of the object is looked at."""

SERVERSET_THRIFT = (
    b"\x0c\x00\x01" + b"\x0b\x00\x01\x00\x00\x00\x0810.0.0.1" + b"\x08\x00\x02" + struct.pack("!i", 9000) + b"\x00"
    b"\x0d\x00\x02\x0b\x0c\x00\x00\x00\x01" + b"\x00\x00\x00\x04http"
    b"\x0b\x00\x01\x00\x00\x00\x0810.0.0.1" + b"\x08\x00\x02" + struct.pack("!i", 9001) + b"\x00"
    b"\x08\x00\x03\x00\x00\x00\x02" + b"\x08\x00\x04\x00\x00\x00\x03"
    b"\x0d\x00\x05\x0b\x0b\x00\x00\x00\x01" + b"\x00\x00\x00\x01k" + b"\x00\x00\x00\x01v" + b"\x00"
)
"""`ServiceInstance` of Twitter's commons (endpoint.thrift) in TBinaryProtocol; it says what SERVERSET says."""

NERVE = '{"host":"10.0.0.5","port":8080,"name":"i-1","weight":10,"labels":{"az":"a"}}'
"""`Nerve::Reporter::Base#get_service_data` of Nerve 0.9.7."""

NERVE_OLD = '{"host":"10.0.0.5","port":8080,"name":"i-1"}'
"""The same before there were weights and labels."""

DUBBO = (
    "dubbo://10.0.0.1:20880/com.ex.Foo?anyhost=true&application=app&category=providers&dubbo=2.0.2&dynamic=true"
    "&interface=com.ex.Foo&methods=hi&pid=7&side=provider&timestamp=1700000000000&version=1.0.0&group=g"
)
"""`URL.toFullString` of Dubbo 3.3."""

DUBBO_NAME = (
    "dubbo%3A%2F%2F10.0.0.1%3A20880%2Fcom.ex.Foo%3Fanyhost%3Dtrue%26application%3Dapp%26category%3Dproviders"
    "%26dubbo%3D2.0.2%26dynamic%3Dtrue%26interface%3Dcom.ex.Foo%26methods%3Dhi%26pid%3D7%26side%3Dprovider"
    "%26timestamp%3D1700000000000%26version%3D1.0.0%26group%3Dg"
)
"""The same as the znode is called, by Java's `URLEncoder`."""

DUBBO_WEIGHT = """configs:
- addresses:
  - 10.0.0.1:20880
  enabled: true
  parameters:
    weight: 300
  side: provider
  type: weight
enabled: true
key: com.ex.Foo:1.0.0:g
scope: service
"""
"""A weight as dubbo-admin 0.x stores it: `OverrideUtils.weightDTOtoConfig` and `OverrideServiceImpl.insertConfig`, by
SnakeYAML's `dumpAsMap`. What Dubbo before 3 heeds, whatever the key; 3.3 is particular about the key's colons.
"""

DUBBO_DISABLED = """configVersion: v2.7
configs:
- addresses:
  - 0.0.0.0
  parameters:
    disabled: true
  providerAddresses:
  - 10.0.0.1:20880
  side: consumer
enabled: true
key: g/com.ex.Foo:1.0.0
scope: service
"""
"""A provider that is disabled, as dubbo-admin 0.6 stores what is typed into it (`OverrideServiceImpl.saveOverride`)."""

DUBBO_OF_APPLICATION = """---
# all that the application provides
configVersion: v2.7
scope: application
key: shop
enabled: true
configs:
- addresses: ["0.0.0.0:20880"]
  side: provider
  parameters:
    disabled: true
    weight: 1000
...
"""
"""The form of Dubbo's own pages on configuration rules, by hand, with the marks of a document."""

KAFKA = {
    "version": 5,
    "host": "h1",
    "port": 9092,
    "jmx_port": -1,
    "timestamp": "1700000000000",
    "endpoints": ["CLIENT://h1:9092", "SSL://h1:9093"],
    "listener_security_protocol_map": {"CLIENT": "PLAINTEXT"},
    "rack": "a",
    "features": {},
}
"""`BrokerIdZNode` of Kafka 2.7 and later; a broker of version 1 has a host and a port only."""
