"""python -m bench [rbac|store|server]"""

import asyncio
import sys

from bench import rbac, server, store

ALL = {"rbac": rbac.run, "store": store.run, "server": server.run}

for name in sys.argv[1:] or ALL:
    asyncio.run(ALL[name]())
