"""The admin port: liveness, readiness, metrics, and the API that the commands use.

| route | answer |
|---|---|
| `GET /healthz` | 200, or 503 and the tasks that died; never depends on a registry |
| `GET /readyz` | 200 when Envoys should come, else 503 and what is waited for |
| `GET /metrics` | the metrics, in the text format of Prometheus |
| `GET /api/v1/status` | version, uptime, readiness, addresses, and what is waited for |
| `GET /api/v1/services?service=` | `{services: […], waiting: […]}` |
| `GET /api/v1/endpoints?service=&source=` | `{endpoints: […]}` |
| `GET /api/v1/sources` · `problems` · `holds` · `streams` | `{sources: […]}` and so on |
| `GET /api/v1/explain/{namespace}/{name}` | who said what, and what became of it |
| `GET /api/v1/exports?registry=` | `{exports: […]}`: the targets that are written |
| `GET /api/v1/plan` · `withheld` `?registry=&target=&service=` | `{changes: […]}` that are left · `{withheld: […]}` |
| `GET /api/v1/unsaid`, likewise | `{unsaid: […]}`: what is wanted there, and cannot be said there |
| `POST /api/v1/plan/accept` | `{registry?, target?, service?}` or `{all: true}`: may go → `{accepted: […]}` |
| `POST /api/v1/holds/accept` | `{source?, service?, endpoint?}` or `{all: true}`: may go → `{accepted: […]}` |
| the same | `{source, health: true}`: the bad health that a source reports is believed |
| `POST /api/v1/freeze` | `{source, for}` (seconds) or `{source, until}` (epoch) → `{source, until}` |
| `POST /api/v1/unfreeze` | `{source}` → `{source, until: null}` |

The rows of the lists are described in `bridge.admin.shapes` and `exporting`. An error is `{error: sentence}` with a
status of 4xx.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from bridge.admin import exporting, shapes
from bridge.admin.explain import explain
from bridge.admin.http import BODY, BadRequestError, answer, body, dress, guarded, stream
from bridge.admin.metrics import Metrics
from bridge.admin.state import State
from bridge.model import EndpointId, ServiceName, SourceName
from bridge.runtime.exported import Exported

LONGEST_FREEZE = 7 * 86400.0
"""Seconds: a freeze that is longer is a mistake, or forgotten."""


def admin(state: State, metrics: Metrics, host: str) -> web.Application:
    """The application of the admin port; `host` is where it was told to listen."""
    app = _application(state, metrics, host)
    api = _Api(state)
    app.router.add_get("/api/v1/status", api.status)
    app.router.add_get("/api/v1/services", api.services)
    app.router.add_get("/api/v1/endpoints", api.endpoints)
    app.router.add_get("/api/v1/sources", api.sources)
    app.router.add_get("/api/v1/problems", api.problems)
    app.router.add_get("/api/v1/holds", api.holds)
    app.router.add_get("/api/v1/streams", api.streams)
    app.router.add_get("/api/v1/explain/{namespace}/{name}", api.explain)
    writing = _Exports(state)
    app.router.add_get("/api/v1/exports", writing.exports)
    app.router.add_get("/api/v1/plan", writing.plan)
    app.router.add_get("/api/v1/withheld", writing.withheld)
    app.router.add_get("/api/v1/unsaid", writing.unsaid)
    app.router.add_post("/api/v1/plan/accept", writing.accept)
    app.router.add_post("/api/v1/holds/accept", api.accept)
    app.router.add_post("/api/v1/freeze", api.freeze)
    app.router.add_post("/api/v1/unfreeze", api.unfreeze)
    return app


def probes(state: State, metrics: Metrics) -> web.Application:
    """/healthz, /readyz and /metrics alone; nothing there is secret, so any `Host` is answered (scrapers use names)."""
    return _application(state, metrics, None)


def _application(state: State, metrics: Metrics, host: str | None) -> web.Application:
    app = web.Application(middlewares=[guarded(host)], client_max_size=BODY)
    app.on_response_prepare.append(dress)
    registry = CollectorRegistry(auto_describe=False)
    registry.register(metrics)

    async def healthz(_: web.Request) -> web.Response:
        ailing = state.ailing()
        if ailing:
            return web.Response(status=503, text="".join(f"task {name} died\n" for name in ailing))
        return web.Response(text="ok\n")

    async def readyz(_: web.Request) -> web.Response:
        reason = not_ready(state)
        return web.Response(status=503, text=f"{reason}\n") if reason else web.Response(text="ok\n")

    async def scraped(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/metrics", scraped)
    return app


def not_ready(state: State) -> str:
    """Why Envoys should not come now; "" when they should."""
    if state.stopping:
        return "stopping"
    if state.engine.ready():
        return "" if state.serving else "the xDS port opens in a moment"
    waiting = sorted(state.engine.catalog.value.waiting)
    return f"waiting for {', '.join(waiting)}" if waiting else "starting"


class _Api:
    def __init__(self, state: State) -> None:
        self._state = state

    async def status(self, _: web.Request) -> web.Response:
        state = self._state
        reason = not_ready(state)
        return answer(
            {
                "version": state.version,
                "config": state.config,
                "uptime": round(state.clock.now() - state.started, 3),
                "ready": not reason,
                "why": reason,
                "waiting": sorted(state.engine.catalog.value.waiting),
                "xds": state.addresses.xds,
                "admin": state.addresses.admin,
                "probes": state.addresses.probes,
            }
        )

    async def services(self, request: web.Request) -> web.StreamResponse:
        catalog = self._state.engine.catalog.value
        rows = shapes.services(catalog, request.query.get("service", ""))
        return await stream(request, "services", rows, waiting=sorted(catalog.waiting))

    async def endpoints(self, request: web.Request) -> web.StreamResponse:
        query = request.query
        source = self._source(query["source"]) if query.get("source") else ""
        state = self._state
        catalog, now = state.engine.catalog.value, state.clock.now()
        rows = shapes.endpoints(catalog, state.readings(), now, query.get("service", ""), source)
        return await stream(request, "endpoints", rows)

    async def sources(self, _: web.Request) -> web.Response:
        state = self._state
        now = state.clock.now()
        return answer(
            {
                "sources": [
                    shapes.source(one, state.about[one.source], now, state.frozen_until(one.source))
                    for one in state.readings()
                ]
            }
        )

    async def problems(self, _: web.Request) -> web.Response:
        rows = shapes.problems(self._state.readings(), self._state.own())
        for one in self._state.exported():
            rows += [shapes.problem(one.registry, problem) for problem in exporting.problems(one)]
        return answer({"problems": rows})

    async def holds(self, request: web.Request) -> web.StreamResponse:
        state = self._state
        rows = shapes.holds(state.readings(), state.clock.now())
        return await stream(request, "holds", iter(rows))

    async def streams(self, request: web.Request) -> web.StreamResponse:
        now = self._state.clock.now()
        rows = (shapes.xds_stream(one, now) for one in self._state.server.streams())
        return await stream(request, "streams", rows)

    async def explain(self, request: web.Request) -> web.Response:
        name = ServiceName(request.match_info["namespace"], request.match_info["name"])
        state = self._state
        found = explain(name, state.readings(), state.engine.catalog.value, state.telling(), state.clock.now())
        if found is None:
            raise BadRequestError(f"{name}: no source knows this service, and nobody asks for it", 404)
        return answer(found)

    async def accept(self, request: web.Request) -> web.Response:
        given = await body(request)
        source = self._source(_text(given, "source")) if "source" in given else None
        service = _service(_text(given, "service")) if "service" in given else None
        endpoint = _endpoint(_text(given, "endpoint")) if "endpoint" in given else None
        if unknown := sorted(given.keys() - {"source", "service", "endpoint", "all", "health"}):
            raise BadRequestError(f"{unknown[0]!r} is not known here; say source, service, endpoint, or all: true")
        if "health" in given:
            return await self._accept_health(given, source)
        if given.get("all") is not True and source is None and service is None and endpoint is None:
            raise BadRequestError("say which: source, service, endpoint, or all: true")
        chosen: dict[SourceName, list[tuple[ServiceName, EndpointId]]] = {}
        for name, it in shapes.of_holds({one.source: one for one in self._state.readings()}):
            if source in (None, name) and service in (None, it.service) and endpoint in (None, it.endpoint.id):
                chosen.setdefault(name, []).append((it.service, it.endpoint.id))
        wall = self._state.clock.wall()
        for name, pairs in chosen.items():
            await self._state.engine.decisions.accept(name, pairs, wall)
        return answer({"accepted": _accepted(chosen.items())})

    async def _accept_health(self, given: dict[str, Any], source: SourceName | None) -> web.Response:
        if source is None or given["health"] is not True or len(given) != 2:
            raise BadRequestError("a flood of bad health is accepted by {source, health: true}")
        await self._state.engine.decisions.accept_health(source, self._state.clock.wall())
        return answer({"accepted": [{"source": source, "health": True}]})

    async def freeze(self, request: web.Request) -> web.Response:
        given = await body(request)
        source = self._source(_text(given, "source"))
        now = self._state.clock.wall()
        if ("for" in given) is ("until" in given):
            raise BadRequestError("say how long: `for` (seconds) or `until` (seconds since the epoch), one of them")
        until = now + _number(given, "for") if "for" in given else _number(given, "until")
        if not now < until <= now + LONGEST_FREEZE:
            raise BadRequestError("a freeze ends in the future, and within seven days")
        await self._state.engine.decisions.freeze(source, until)
        return answer({"source": source, "until": until})

    async def unfreeze(self, request: web.Request) -> web.Response:
        source = self._source(_text(await body(request), "source"))
        await self._state.engine.decisions.unfreeze(source)
        return answer({"source": source, "until": None})

    def _source(self, name: str) -> SourceName:
        if SourceName(name) not in self._state.about:
            raise BadRequestError(
                f"{name!r} is no registry of this bridge; there are {', '.join(self._state.about)}", 404
            )
        return SourceName(name)


class _Exports:
    def __init__(self, state: State) -> None:
        self._state = state

    async def exports(self, request: web.Request) -> web.Response:
        now = self._state.clock.now()
        return answer({"exports": [exporting.export(one, now) for one in self._chosen(request.query)]})

    async def plan(self, request: web.Request) -> web.StreamResponse:
        service = request.query.get("service", "")
        rows = (row for one in self._chosen(request.query) for row in exporting.changes(one, service))
        return await stream(request, "changes", rows)

    async def withheld(self, request: web.Request) -> web.StreamResponse:
        service, now = request.query.get("service", ""), self._state.clock.now()
        rows = (row for one in self._chosen(request.query) for row in exporting.withheld(one, now, service))
        return await stream(request, "withheld", rows)

    async def unsaid(self, request: web.Request) -> web.StreamResponse:
        service = request.query.get("service", "")
        rows = (row for one in self._chosen(request.query) for row in exporting.unsaid(one, service))
        return await stream(request, "unsaid", rows)

    async def accept(self, request: web.Request) -> web.Response:
        given = await body(request)
        if unknown := sorted(given.keys() - {"registry", "target", "service", "all"}):
            raise BadRequestError(f"{unknown[0]!r} is not known here; say registry, target, service, or all: true")
        words = {key: _text(given, key, empty=key == "target") for key in given.keys() - {"all"}}
        service = _service(words["service"]) if "service" in words else None
        if given.get("all") is not True and not words:
            raise BadRequestError("say which: registry, target, service, or all: true")
        wall, rows = self._state.clock.wall(), []
        for one in self._chosen(words):
            pairs = list(exporting.may_go(one, service))
            if pairs:
                await self._state.engine.decisions.accept_removals(one.registry, one.target, pairs, wall)
            rows += [
                {"registry": one.registry, "target": one.target, "service": str(name), "endpoint": str(endpoint)}
                for name, endpoint in pairs
            ]
        return answer({"accepted": rows})

    def _chosen(self, words: Mapping[str, str]) -> list[Exported]:
        """The targets that a question is about; 404 where it names one that there is not."""
        everything = self._state.exported()
        found = [
            one
            for one in everything
            if words.get("registry") in (None, "", one.registry) and words.get("target") in (None, one.target)
        ]
        if not found and (words.get("registry") or words.get("target")):
            named = ", ".join(exporting.place(one) for one in everything) or "none"
            asked = " ".join(filter(None, (words.get("registry"), words.get("target"))))
            raise BadRequestError(f"{asked!r} is not written by this bridge; what is: {named}", 404)
        return found


def _accepted(chosen: Iterable[tuple[SourceName, list[tuple[ServiceName, EndpointId]]]]) -> list[dict[str, str]]:
    return [
        {"source": source, "service": str(service), "endpoint": str(endpoint)}
        for source, pairs in chosen
        for service, endpoint in pairs
    ]


def _text(given: dict[str, Any], key: str, *, empty: bool = False) -> str:
    value = given.get(key)
    if not isinstance(value, str) or not (value or empty):
        raise BadRequestError(f"`{key}` is a text, and missing" if key not in given else f"`{key}` is not a text")
    return value


def _number(given: dict[str, Any], key: str) -> float:
    value = given[key]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadRequestError(f"`{key}` is a number of seconds")
    return float(value)


def _service(text: str) -> ServiceName:
    try:
        return ServiceName.parse(text)
    except ValueError as error:
        raise BadRequestError(str(error)) from None


def _endpoint(text: str) -> EndpointId:
    try:
        return shapes.endpoint_id(text)
    except ValueError as error:
        raise BadRequestError(str(error)) from None
