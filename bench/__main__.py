"""python -m bench [api|rbac|store|server|node|proxy|pods|probes|streams]"""

import asyncio
import sys

from bench import api, node, pods, probes, proxy, rbac, server, store, streams

ALL = {
    "api": api.run,
    "rbac": rbac.run,
    "store": store.run,
    "server": server.run,
    "node": node.run,
    "proxy": proxy.run,
    "pods": pods.run,
    "probes": probes.run,
    "streams": streams.run,
}

if __name__ == "__main__":
    for name in sys.argv[1:] or ALL:
        asyncio.run(ALL[name]())
