"""A sample server that stands for one VM's service: it answers with its own name.

`python -m deploy.demo.sample 127.0.10.1 18181`; ends by SIGTERM when the answers under way are given.
"""

import asyncio
import sys

from aiohttp import web


async def _answer(request: web.Request) -> web.Response:
    name = request.app[NAME]
    return web.Response(text=f"{name}\n", headers={"x-instance": name})


NAME = web.AppKey("name", str)


def main() -> None:
    address, port = sys.argv[1:]
    app = web.Application()
    app[NAME] = f"{address}:{port}"
    app.router.add_get("/{anything:.*}", _answer)
    web.run_app(app, host=address, port=int(port), print=None, access_log=None, loop=asyncio.new_event_loop())


if __name__ == "__main__":
    main()
