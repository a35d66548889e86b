"""A real Kubernetes for tests: etcd and kube-apiserver on loopback.

Fixtures (`tests/servers/conftest.py`):
    cluster      one `ApiServer` for the whole session; share it, never stop it, and stay in your own namespace
    own_cluster  one for this test alone: kill, pause, wipe, save and restore it
    api          a `Client` of `cluster` that may do everything
    namespace    the name of a fresh namespace in `cluster`

    async def test_a_pod_is_an_endpoint(cluster, api, namespace, tmp_path):
        shop = await api.create(service(namespace, "payments", [("http", 80)], selector={"app": "payments"}))
        await doubles.endpoints(api, shop, [Pod("10.1.0.7")], [("http", 8080)])
        token = await api.account(namespace)                           # an identity without any right
        await api.allow(f"system:serviceaccount:{namespace}:bridge", [("", "services", "list watch")], namespace)
        kubeconfig = cluster.kubeconfig(tmp_path, token=token)         # server=… for a proxy between

`server` is the pair of processes, `client` a plain client that knows nothing of the adapter, `objects` what tests
write, `doubles` the controllers that are not here, `binaries` where the programs come from; `make servers` builds them.
"""
