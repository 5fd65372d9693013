"""The service as a whole: who asks, for what, and what becomes of the answer. Also the control places."""
import asyncio
import collections
import hmac
import re
import time
import traceback

import blueprints
import devboxes
import executions
import files
import knobs
import network
import objects
import snapshots
import streams
import wire

LOG_ENTRIES = 50000
HANG_SECONDS = 600


def compiled(pattern):
    return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", pattern) + r"\Z")


class Service:
    """folder: where the devboxes' directories are. wrapped: commands run in bubblewrap."""

    def __init__(self, folder, key, wrapped, recorder):
        self.folder, self.key, self.wrapped, self.recorder = folder, key, wrapped, recorder
        self.knobs, self.faults = knobs.Knobs(), knobs.Faults()
        self.url = ""
        self.started = time.monotonic()
        self.log = collections.deque(maxlen=LOG_ENTRIES)
        self.counts = collections.Counter()
        self.answered, self.tasks = {}, set()
        self.open_connections = {}
        self.objects = objects.Objects(self)
        self.blueprints = blueprints.Blueprints(self)
        self.snapshots = snapshots.Snapshots(self)
        self.devboxes = devboxes.Devboxes(self)
        self.network = network.Network(self)
        parts = (self.snapshots, executions.Executions(self), streams.Streams(self), files.Files(self), self.network,
                 self.blueprints, self.objects, self.devboxes)
        listed = [route for part in parts for route in part.routes()]
        listed += [(method, "/_double/" + pattern, handler) for method, pattern, handler in self.control()]
        self.routes = [(method, compiled(pattern), handler) for method, pattern, handler in listed]

    def background(self, work):
        """Runs a coroutine beside the requests, and keeps it from being collected."""
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    async def connect(self, reader, writer):
        self.counts["connections"] += 1
        connection = wire.Connection(self.counts["connections"], reader, writer, self.knobs)
        self.open_connections[connection.number] = writer
        try:
            await connection.serve(self.answer)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            del self.open_connections[connection.number]
            writer.close()

    def note(self, request):
        headers = {name: value for name, value in request.headers.items() if name != "authorization"}
        entry = {"number": self.counts["requests"], "time": round(time.monotonic() - self.started, 4),
                 "connection": request.connection, "method": request.method, "path": request.path,
                 "query": request.query, "headers": headers, "body_bytes": len(request.body), "status": None}
        self.counts["requests"] += 1
        self.log.append(entry)
        return entry

    async def answer(self, request):
        if request.path.startswith("/_double/"):
            return await self.handle(request)
        tunnel = await self.network.passed_on(request)
        if tunnel is not None:
            return tunnel
        entry = self.note(request)
        reply = await self.spoiled(request, self.faults.take(request.method, request.path))
        entry["status"] = reply.status
        return self.recorder.watch(request, reply)

    async def spoiled(self, request, rule):
        """The reply under a rule, or under none."""
        if rule is None:
            return await self.deduplicated(request)
        do, early = rule["do"], rule.get("when", "before") == "before"
        if do == "hang":
            await asyncio.sleep(HANG_SECONDS)
            raise wire.Hangup()
        if do == "delay" and early:
            await asyncio.sleep(rule.get("seconds", 1))
        if do == "stream":
            request.rule = rule
        reply = None if early and do in ("reply", "drop") else await self.deduplicated(request)
        if do == "twice":
            reply = await self.deduplicated(request)
        if do == "drop":
            raise wire.Hangup(rule.get("how", "close"))
        if do == "delay" and not early:
            await asyncio.sleep(rule.get("seconds", 1))
        if do == "reply":
            reply = faulty_reply(rule)
        if do == "cut":
            reply.damage = wire.Damage(cut=rule.get("bytes", 0), how=rule.get("how", "close"))
        if do == "trickle":
            reply.damage = wire.Damage(piece=max(1, rule.get("bytes", 1)), pause=rule.get("seconds", 0))
        return reply

    async def deduplicated(self, request):
        token = request.headers.get("x-request-id")
        if not (token and self.knobs["dedupe"] and request.method != "GET"):
            return await self.handle(request)
        place = (token, request.method, request.path)
        if place not in self.answered:
            # The first comer answers; one that comes meanwhile waits for that answer.
            self.answered[place] = self.background(self.handle(request))
        return await asyncio.shield(self.answered[place])

    async def handle(self, request):
        request.closed_bodies = self.knobs["closed_bodies"]
        try:
            if request.path.startswith("/v1/"):
                self.authenticate(request)
            handler, words = self.route(request)
            result = await handler(request, **words)
        except wire.Problem as problem:
            return problem.reply()
        except OSError as error:
            return wire.Problem(500, f"the double: {error}").reply()
        except Exception:  # a mistake of the double's own: seen by whoever looks, and by the client
            traceback.print_exc()
            return wire.Problem(500, "the double has a mistake; its stderr says where").reply()
        return result if isinstance(result, wire.Reply) else wire.Reply(200, wire.json_bytes(result))

    def authenticate(self, request):
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not key:
            raise wire.Problem(401, "no API key in the Authorization header")
        if not hmac.compare_digest(key.strip().encode(), self.key.encode()):
            raise wire.Problem(401, "the API key is not valid")

    def route(self, request):
        allowed = []
        for method, pattern, handler in self.routes:
            match = pattern.match(request.path)
            if match and method == request.method:
                return handler, match.groupdict()
            if match:
                allowed.append(method)
        if allowed:
            raise wire.Problem(405, f"{request.method} is not for {request.path}", {"allow": ", ".join(allowed)})
        raise wire.Problem(404, f"nothing is at {request.path}")

    def control(self):
        return [("GET", "settings", self.get_settings), ("POST", "settings", self.post_settings),
                ("GET", "faults", self.get_faults), ("POST", "faults", self.post_faults),
                ("DELETE", "faults", self.delete_faults), ("GET", "requests", self.get_requests),
                ("DELETE", "requests", self.delete_requests), ("GET", "state", self.get_state),
                ("POST", "devboxes/{id}/end", self.end_devbox), ("POST", "devboxes/{id}/evict", self.evict_devbox)]

    async def get_settings(self, _):
        return dict(self.knobs)

    async def post_settings(self, request):
        self.knobs.turn(request.object())
        return dict(self.knobs)

    async def get_faults(self, _):
        return {"faults": [rule.view() for rule in self.faults.rules]}

    async def post_faults(self, request):
        body = request.object()
        self.faults.add(body.get("faults", body))
        return await self.get_faults(request)

    async def delete_faults(self, request):
        self.faults.clear()
        return await self.get_faults(request)

    async def get_requests(self, request):
        since = wire.number_of(request.query, "since", 0, 0, 1 << 53)
        return {"requests": [entry for entry in self.log if entry["number"] >= since]}

    async def delete_requests(self, _):
        self.log.clear()
        return {}

    async def get_state(self, _):
        boxes = self.devboxes.known.values()
        return {"wrapped": self.wrapped, "requests": self.counts["requests"], "connections": self.counts["connections"],
                "open_connections": len(self.open_connections), "devboxes": {one.id: one.status for one in boxes},
                "processes": sum(len(one.box.processes) for one in boxes)}

    async def end_devbox(self, request, id):
        body = request.json("status", "reason")
        devbox = self.devboxes.find(id)
        await devbox.end(body.get("status", "failure"), body.get("reason", "execution_failed"))
        return devbox.view()

    async def evict_devbox(self, request, id):
        body = request.json("seconds")
        self.devboxes.evict(self.devboxes.find(id), wire.number_of(body, "seconds", 60, 0, 86400))
        return {}


def faulty_reply(rule):
    headers = {name: str(value) for name, value in rule.get("headers", {}).items()}
    if "body" in rule:
        return wire.Reply(rule.get("status", 500), rule["body"].encode(), rule.get("type", "application/json"), headers)
    return wire.Problem(rule.get("status", 500), rule.get("message", "a fault that was asked for"), headers).reply()
