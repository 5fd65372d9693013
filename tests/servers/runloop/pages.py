"""Ids, the clock, lists with pages, and states that may be waited for."""
import asyncio
import secrets
import time

import wire

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZabcdefghijkmnpqrstvwxyz"


def new_id(prefix):
    return prefix + "".join(secrets.choice(ALPHABET) for _ in range(22))


def now_ms():
    return time.time_ns() // 1000000


def page(knobs, query, name, items, default=20):
    """One page of items (each has an id), the newest first, behind starting_after."""
    limit = int(wire.number_of(query, "limit", default, 1, knobs["page_max"]))
    items = list(reversed(list(items)))
    total, start = len(items), 0
    after = query.get("starting_after")
    if after:
        places = [place for place, one in enumerate(items) if one.id == after]
        if not places:
            raise wire.Problem(400, f"starting_after names no item: {after}")
        start = places[0] + 1
    answer = {name: [one.view() for one in items[start:start + limit]], "has_more": start + limit < total}
    if knobs["total_count"] and wire.flag_of(query, "include_total_count", True):
        answer["total_count"] = total
    return answer


def metadata_filter(query):
    """The test that metadata[KEY]=VALUE and metadata[KEY][in]=A,B of a query ask for."""
    wanted = []
    for name, value in query.items():
        if name.startswith("metadata[") and name.endswith("]"):
            key = name[len("metadata["):].partition("]")[0]
            wanted.append((key, value.split(",") if name.endswith("[in]") else [value]))
    return lambda metadata: all(metadata.get(key) in values for key, values in wanted)


class Stateful:
    """Something with a status that one may wait for."""

    def __init__(self, status):
        self.status = status
        self.changed = asyncio.Event()

    def become(self, status):
        self.status = status
        self.tell()

    def tell(self):
        """Wakes everyone who waits."""
        changed, self.changed = self.changed, asyncio.Event()
        changed.set()

    async def reach(self, statuses, seconds):
        """Waits until the status is one of these: was it reached in time?"""
        until = time.monotonic() + seconds
        while self.status not in statuses:
            left = until - time.monotonic()
            if left <= 0:
                return False
            try:
                await asyncio.wait_for(self.changed.wait(), left)
            except asyncio.TimeoutError:
                pass
        return True


def statuses_of(body, known):
    """The statuses that a long poll asks for."""
    statuses = body.get("statuses")
    if not isinstance(statuses, list) or not statuses:
        raise wire.Problem(400, "'statuses' is not a list with something in it")
    for one in statuses:
        if one not in known:
            raise wire.Problem(400, f"no such status '{one}'")
    return statuses
