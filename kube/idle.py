"""How many servers keep idle connections open: a hub with 10,000 clusters must not hold 10,000 sockets.

A connection kept between two looks saves a TLS handshake, but an API server closes it after a minute or two and then it
only costs a file descriptor. So the servers used last keep theirs, and the others give them back.
Called by `kube.transport`, one register for the process.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from queue import Empty

from urllib3 import HTTPSConnectionPool


class IdleConnections:
    """Remembers in which order pools were used. Safe for several threads.

    Args:
        limit: How many pools may keep idle connections.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._lock = threading.Lock()
        self._pools: OrderedDict[int, HTTPSConnectionPool] = OrderedDict()

    def used(self, pool: HTTPSConnectionPool) -> None:
        """This pool was used just now; the one used longest ago gives its idle connections back."""
        with self._lock:
            self._pools[id(pool)] = pool
            self._pools.move_to_end(id(pool))
            if len(self._pools) <= self.limit:
                return
            _, oldest = self._pools.popitem(last=False)
        _close_idle(oldest)

    def forget(self, pool: HTTPSConnectionPool) -> None:
        """The pool is closed."""
        with self._lock:
            self._pools.pop(id(pool), None)

    def retire(self, pool: HTTPSConnectionPool) -> None:
        """Nobody asks the pool any more; what it is still asked comes to its end."""
        self.forget(pool)
        _close_idle(pool)


def _close_idle(pool: HTTPSConnectionPool) -> None:
    """Closes what nobody uses now; the pool stays open and connects anew when asked."""
    while (idle := pool.pool) is not None:
        try:
            connection = idle.get_nowait()
        except Empty:
            return
        if connection is not None:
            connection.close()
