"""python -m bench [rbac|store|server|node]"""

import asyncio
import sys

from bench import node, rbac, server, store

ALL = {"rbac": rbac.run, "store": store.run, "server": server.run, "node": node.run}

for name in sys.argv[1:] or ALL:
    asyncio.run(ALL[name]())
