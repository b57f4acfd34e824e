"""python -m bench [store|server]"""

import asyncio
import sys

from bench import server, store

ALL = {"store": store.run, "server": server.run}

for name in sys.argv[1:] or ALL:
    asyncio.run(ALL[name]())
