"""How long a whole cluster takes to be read, and what it weighs; beside it what its client's own types take.

10,000 Services, each with a slice of ten endpoints, as a real API server writes them, are answered page by page by a
process of their own: to make them in a real one takes minutes. Each side reads them in processes of its own, in turn.
"""

import asyncio
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil
from aiohttp import web

from adapters.kubernetes.reflector import PAGE
from bridge.testing.ports import free_port
from tests.bench.report import Row, middle
from tests.servers.kubernetes.objects import Pod, service, slice_

SIZE, QUICK = 10_000, 500
ENDPOINTS = 10
ITSELF = (sys.executable, "-m", "tests.bench.cluster")
STEP = 0.002  # seconds between two looks at how late the loop is
SIDES = {"ours": "registry bridge", "typed": "kubernetes' own types"}

Say = Callable[[str], None]


def w8(quick: bool, runs: int, say: Say) -> Sequence[Row]:
    """Cold: from nothing to the first whole view."""
    size = QUICK if quick else SIZE
    taken: dict[str, list[dict[str, float]]] = {side: [] for side in SIDES}
    with TemporaryDirectory() as folder:
        kubeconfig = Path(folder, "kubeconfig")
        server = subprocess.Popen([*ITSELF, "serve", str(kubeconfig), str(size)], stdout=subprocess.PIPE)
        try:
            assert server.stdout is not None
            server.stdout.readline()  # it is ready
            for run in range(runs):
                for side in SIDES:
                    command = [*ITSELF, side, str(kubeconfig), str(size)]
                    done = subprocess.run(command, capture_output=True, text=True, check=False)
                    if done.returncode:
                        raise AssertionError(f"{side}: {done.stderr}")
                    taken[side].append(json.loads(done.stdout))
                say(f"round {run + 1} of {runs}")
        finally:
            server.kill()
            server.wait()
    return [
        Row(
            "W8: cold start on a Kubernetes cluster",
            f"{size:,} × {ENDPOINTS}",
            subject,
            {key: middle([one[key] for one in taken[side]]) for key in taken[side][0]},
            taken[side],
        )
        for side, subject in SIDES.items()
    ]


async def _serve(kubeconfig: str, size: int) -> None:
    """Answer lists for ever; whoever watches hears nothing."""
    pages = {
        "services": _pages([_stored(_service(number), number) for number in range(size)]),
        "endpointslices": _pages([_stored(_slice(number), number) for number in range(size)]),
    }

    async def answer(request: web.Request) -> web.StreamResponse:
        if "watch" in request.query:
            response = web.StreamResponse()
            await response.prepare(request)
            await asyncio.get_running_loop().create_future()
        number = int(request.query.get("continue", "0"))
        body = pages[request.path.rpartition("/")[2]][number]
        return web.Response(body=body, content_type="application/json")

    app = web.Application()
    app.router.add_get("/{tail:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    config = {
        "clusters": [{"name": "it", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
        "users": [{"name": "it", "user": {}}],
        "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
        "current-context": "it",
    }
    Path(kubeconfig).write_text(json.dumps(config))
    print("ready", flush=True)
    await asyncio.get_running_loop().create_future()


def _service(number: int) -> Any:
    return service("default", f"service-{number}", selector={"app": f"service-{number}"})


def _slice(number: int) -> Any:
    first = 65536 + number * ENDPOINTS
    pods = [
        Pod(f"10.{at >> 16}.{at >> 8 & 255}.{at & 255}", f"service-{number}-{at:x}", f"node-{at % 97}")
        for at in range(first, first + ENDPOINTS)
    ]
    return slice_(_service(number), pods, [("http", 8080)])


def _stored(made: Any, number: int) -> Any:
    """With what an API server adds, in its size."""
    fields = {
        "f:spec": {f"f:{key}": {".": {}} for key in ("ports", "selector", "type", "clusterIP", "sessionAffinity")}
    }
    manager = {"manager": "kube-controller-manager", "operation": "Update", "apiVersion": "v1", "fieldsV1": fields}
    made["metadata"] |= {
        "uid": f"{number:08x}-0000-4000-8000-000000000000",
        "resourceVersion": str(1_000 + number),
        "creationTimestamp": "2026-01-01T00:00:00Z",
        "managedFields": [{**manager, "time": "2026-01-01T00:00:00Z"}],
    }
    return {key: value for key, value in made.items() if key not in ("kind", "apiVersion")}


def _pages(objects: Sequence[Any]) -> list[bytes]:
    pages = []
    for start in range(0, len(objects), PAGE):
        metadata = {"resourceVersion": "50000"}
        if start + PAGE < len(objects):
            metadata["continue"] = str(len(pages) + 1)
        said = {"kind": "List", "apiVersion": "v1", "metadata": metadata, "items": objects[start : start + PAGE]}
        pages.append(json.dumps(said, separators=(",", ":")).encode())
    return pages


async def _ours(kubeconfig: str, size: int) -> None:
    from adapters.kubernetes.settings import Settings
    from bridge.kit import Kit
    from bridge.runtime.clock import SystemClock

    said = {"name": "k8s", "kind": "kubernetes", "kubeconfig": kubeconfig}
    source = Settings.model_validate(said).open(Kit("k8s", SystemClock()))
    with _Measure() as measure:
        lag = asyncio.create_task(measure.lag())
        views = source.observe()
        view = await anext(views)
        measure.stop()
        lag.cancel()
    found = sum(len(one.endpoints) for one in view.services.values())
    if found != size * ENDPOINTS:
        raise AssertionError(f"{found:,} endpoints were read, and not {size * ENDPOINTS:,}")
    measure.say()


async def _typed(kubeconfig: str, size: int) -> None:
    from kubernetes.aio import client, config

    with _Measure() as measure:
        lag = asyncio.create_task(measure.lag())
        kept: list[Any] = []
        async with await config.new_client_from_config(kubeconfig) as api:
            for ask in (
                client.CoreV1Api(api).list_service_for_all_namespaces,
                client.DiscoveryV1Api(api).list_endpoint_slice_for_all_namespaces,
            ):
                following = None
                while following != "":
                    page = await ask(limit=500, **({"_continue": following} if following else {}))
                    kept += page.items
                    following = page.metadata._continue or ""
        measure.stop()
        lag.cancel()
    if len(kept) < 2 * size:
        raise AssertionError(f"{len(kept):,} objects were read, and not {2 * size:,}")
    measure.say()


class _Measure:
    """Seconds, CPU, memory beyond what the process had before, and the longest that the loop did not turn."""

    def __enter__(self) -> "_Measure":
        self._process = psutil.Process()
        self._weight = self._process.memory_info().rss
        self._begun, self._cpu = time.monotonic(), time.process_time()
        self.figures: dict[str, float] = {}
        self._longest = 0.0
        return self

    def __exit__(self, *_: object) -> None:
        pass

    async def lag(self) -> None:
        while True:
            begun = time.monotonic()
            await asyncio.sleep(STEP)
            self._longest = max(self._longest, time.monotonic() - begun - STEP)

    def stop(self) -> None:
        mb = 1024 * 1024
        self.figures = {
            "seconds": time.monotonic() - self._begun,
            "CPU s": time.process_time() - self._cpu,
            "MB more": (self._process.memory_info().rss - self._weight) / mb,
            "peak MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            "loop lag ms": self._longest * 1e3,
        }

    def say(self) -> None:
        print(json.dumps(self.figures))


if __name__ == "__main__":
    asyncio.run({"serve": _serve, "ours": _ours, "typed": _typed}[sys.argv[1]](sys.argv[2], int(sys.argv[3])))
