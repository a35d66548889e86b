"""Objects as `kubectl get -o yaml` shows them, written by those who write them, and what becomes of them."""

from typing import Any

import yaml

from adapters.kubernetes.modes import read
from adapters.kubernetes.objects import KubeSlice, node_of, service_of, slice_of
from adapters.kubernetes.parts import Scope
from adapters.kubernetes.selection import Selection, pattern
from adapters.kubernetes.selector import Selector
from bridge.kit.names import EVERY_NAMESPACE
from bridge.model import NOWHERE, Endpoint, Health, Locality, Port

SCOPE = Scope(NOWHERE, "", "primary", "pod", frozenset({"prod"}))
ALL = Selection(EVERY_NAMESPACE, (pattern("*"),), Selector(), opt_in=False)

SERVICE = """
apiVersion: v1
kind: Service
metadata:
  annotations:
    kubectl.kubernetes.io/last-applied-configuration: |
      {"apiVersion":"v1","kind":"Service","metadata":{"annotations":{},"name":"payments","namespace":"shop"}}
    service.kubernetes.io/topology-mode: Auto
  creationTimestamp: "2026-01-15T09:12:44Z"
  labels: {app.kubernetes.io/name: payments, team: shop}
  managedFields:
  - {apiVersion: v1, fieldsType: FieldsV1, fieldsV1: {"f:spec": {}}, manager: kubectl, operation: Update}
  name: payments
  namespace: shop
  resourceVersion: "48211"
  uid: 3f0e9b9e-4d9c-4c8e-9d8e-6a1f0c5f7a11
spec:
  clusterIP: 10.96.114.7
  clusterIPs: [10.96.114.7, "fd00:10:96::9c1"]
  internalTrafficPolicy: Cluster
  ipFamilies: [IPv4, IPv6]
  ipFamilyPolicy: PreferDualStack
  ports:
  - {name: grpc, port: 9090, protocol: TCP, targetPort: grpc, appProtocol: kubernetes.io/h2c}
  - {name: http, port: 80, protocol: TCP, targetPort: http}
  selector: {app.kubernetes.io/name: payments}
  sessionAffinity: None
  type: ClusterIP
status: {loadBalancer: {}}
"""

CONTROLLERS = """
addressType: IPv4
apiVersion: discovery.k8s.io/v1
endpoints:
- addresses: [10.244.1.17]
  conditions: {ready: true, serving: true, terminating: false}
  hints: {forZones: [{name: eu-central-1a}]}
  nodeName: ip-10-0-1-12.eu-central-1.compute.internal
  targetRef:
    {kind: Pod, name: payments-7d9f6c5b9-2xk4q, namespace: shop, uid: 5b1c7e2a-0b0e-4d6f-8f0a-2d2f6a0b9c01}
  zone: eu-central-1a
- addresses: [10.244.2.9]
  conditions: {ready: false, serving: true, terminating: true}
  nodeName: ip-10-0-2-31.eu-central-1.compute.internal
  targetRef:
    {kind: Pod, name: payments-7d9f6c5b9-c8hzt, namespace: shop, uid: 0e6f3d50-59b0-4ad4-8f3e-0a4a5c5d7f02}
  zone: eu-central-1b
kind: EndpointSlice
metadata:
  annotations: {endpoints.kubernetes.io/last-change-trigger-time: "2026-02-01T07:30:12Z"}
  creationTimestamp: "2026-01-15T09:12:44Z"
  generateName: payments-
  generation: 14
  labels:
    app.kubernetes.io/name: payments
    endpointslice.kubernetes.io/managed-by: endpointslice-controller.k8s.io
    kubernetes.io/service-name: payments
    team: shop
  managedFields:
  - {apiVersion: discovery.k8s.io/v1, manager: kube-controller-manager, operation: Update, time: "2026-02-01T07:30:12Z"}
  name: payments-x7k2p
  namespace: shop
  ownerReferences:
  - apiVersion: v1
    blockOwnerDeletion: true
    controller: true
    kind: Service
    name: payments
    uid: 3f0e9b9e-4d9c-4c8e-9d8e-6a1f0c5f7a11
  resourceVersion: "51877"
  uid: 8a7e7d53-6d37-4a0f-a3c4-0d0a9e1c6b10
ports:
- {appProtocol: kubernetes.io/h2c, name: grpc, port: 9090, protocol: TCP}
- {name: http, port: 8080, protocol: TCP}
"""

PLACEHOLDER = """
addressType: IPv6
apiVersion: discovery.k8s.io/v1
endpoints: null
kind: EndpointSlice
metadata:
  generateName: payments-
  labels:
    endpointslice.kubernetes.io/managed-by: endpointslice-controller.k8s.io
    kubernetes.io/service-name: payments
  name: payments-9fcvk
  namespace: shop
ports: null
"""

MIRRORED = """
addressType: IPv4
apiVersion: discovery.k8s.io/v1
endpoints:
- addresses: [192.0.2.42]
  conditions: {ready: true}
- addresses: [192.0.2.43]
  conditions: {ready: false}
kind: EndpointSlice
metadata:
  generateName: legacy-db-
  labels:
    endpointslice.kubernetes.io/managed-by: endpointslicemirroring-controller.k8s.io
    kubernetes.io/service-name: legacy-db
  name: legacy-db-4qzsn
  namespace: shop
  ownerReferences: [{apiVersion: v1, kind: Endpoints, name: legacy-db, uid: 2c5f7a55-33e7-4c1c-8b4f-6d9c9b1f0e77}]
ports:
- {name: "", port: 5432, protocol: TCP}
"""

BY_HAND = """
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: legacy-db-1
  namespace: shop
  labels: {kubernetes.io/service-name: legacy-db}
addressType: IPv4
ports: [{port: 5432}]
endpoints:
- addresses: [192.0.2.42]
- addresses: [192.0.2.44]
  deprecatedTopology: {topology.kubernetes.io/region: eu, kubernetes.io/hostname: db-2}
"""

IMPORTED = """
addressType: IPv4
apiVersion: discovery.k8s.io/v1
endpoints:
- {addresses: [242.0.0.253], conditions: {ready: true}, hostname: web-0, nodeName: worker-2}
kind: EndpointSlice
metadata:
  labels:
    endpointslice.kubernetes.io/managed-by: lighthouse-agent.submariner.io
    lighthouse.submariner.io/sourceNamespace: shop
    multicluster.kubernetes.io/service-name: payments
    multicluster.kubernetes.io/source-cluster: us-east
  name: payments-us-east
  namespace: shop
ports:
- {name: http, port: 8080, protocol: TCP}
"""

DERIVED = """
apiVersion: v1
kind: Service
metadata:
  annotations: {service.cilium.io/global: "true", service.cilium.io/shared: "false"}
  labels: {multicluster.kubernetes.io/service-name: payments}
  name: derived-qcpuqbnn3f
  namespace: shop
  ownerReferences: [{apiVersion: multicluster.x-k8s.io/v1alpha1, kind: ServiceImport, name: payments, uid: a1}]
spec: {clusterIP: 10.96.3.4, ports: [{name: http, port: 80, protocol: TCP, targetPort: 80}], type: ClusterIP}
status: {loadBalancer: {}}
"""

NODE = """
apiVersion: v1
kind: Node
metadata:
  labels:
    kubernetes.io/hostname: ip-10-0-1-12.eu-central-1.compute.internal
    topology.kubernetes.io/region: eu-central-1
    topology.kubernetes.io/zone: eu-central-1a
  name: ip-10-0-1-12.eu-central-1.compute.internal
spec: {podCIDR: 10.244.1.0/24, providerID: aws:///eu-central-1a/i-0123456789abcdef0}
status:
  addresses:
  - {address: 10.0.1.12, type: InternalIP}
  - {address: 3.120.4.5, type: ExternalIP}
  - {address: ip-10-0-1-12.eu-central-1.compute.internal, type: Hostname}
  conditions:
  - {lastHeartbeatTime: "2026-02-01T07:29:58Z", status: "False", type: MemoryPressure}
  - {lastHeartbeatTime: "2026-02-01T07:29:58Z", reason: KubeletReady, status: "True", type: Ready}
"""


def of(text: str) -> Any:
    return yaml.safe_load(text)


def slices(*texts: str) -> list[KubeSlice]:
    return [slice_of(of(text)) for text in texts]


def test_pods_as_the_controller_of_slices_writes_them() -> None:
    node = node_of(of(NODE))
    found = read(service_of(of(SERVICE)), slices(CONTROLLERS, PLACEHOLDER), {node.key.name: node}, SCOPE)
    ports = (Port("grpc", 9090, "TCP", "kubernetes.io/h2c"), Port("http", 8080))
    assert found.problems == ()
    assert found.service is not None
    assert found.service.endpoints == (
        Endpoint(
            "10.244.1.17",
            ports,
            Health.HEALTHY,
            Locality("eu-central-1", "eu-central-1a"),
            metadata=(("node", node.key.name), ("pod", "payments-7d9f6c5b9-2xk4q")),
        ),
        Endpoint(
            "10.244.2.9",
            ports,
            Health.DRAINING,
            Locality("", "eu-central-1b"),
            metadata=(("node", "ip-10-0-2-31.eu-central-1.compute.internal"), ("pod", "payments-7d9f6c5b9-c8hzt")),
        ),
    )


def test_machines_as_hands_and_the_mirror_of_endpoints_write_them() -> None:
    said = of(SERVICE)
    said["metadata"]["name"] = "legacy-db"
    del said["spec"]["selector"]
    said["spec"]["ports"] = [{"port": 5432, "protocol": "TCP", "targetPort": 5432}]
    found = read(service_of(said), slices(MIRRORED, BY_HAND), {}, SCOPE)
    assert found.problems == ()
    assert found.service is not None
    assert [(str(one.id), one.health, one.locality.region) for one in found.service.endpoints] == [
        ("192.0.2.42:5432", Health.HEALTHY, ""),
        ("192.0.2.43:5432", Health.UNHEALTHY, ""),
        ("192.0.2.44:5432", Health.HEALTHY, "eu"),
    ]


def test_what_other_clusters_export_is_said_by_them() -> None:
    """Multi-Cluster Services: imported slices name a service of several clusters, and a derived one stands for it."""
    (imported,) = slices(IMPORTED)
    assert imported.service == ""
    assert not ALL.admits(service_of(of(DERIVED)))
    assert ALL.admits(service_of(of(SERVICE)))
