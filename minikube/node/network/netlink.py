"""pyroute2's netlink sockets, without the rest of it.

The package imports all that it has (a database of interfaces, WireGuard, 802.11: 6 MB of memory, 0.1 s). A bare
package of its name stands in for it, now and later; its modules can be imported as ever.
"""

from __future__ import annotations

import importlib.util
import sys

if "pyroute2" not in sys.modules and (_found := importlib.util.find_spec("pyroute2")) is not None:
    _found.loader = None
    sys.modules["pyroute2"] = importlib.util.module_from_spec(_found)

from pyroute2.iproute.linux import IPRoute as IPRoute
from pyroute2.netlink.exceptions import NetlinkError as NetlinkError
from pyroute2.netlink.nfnetlink.nfctsocket import NFCTAttrTuple as NFCTAttrTuple
from pyroute2.netlink.nfnetlink.nfctsocket import NFCTSocket as NFCTSocket
