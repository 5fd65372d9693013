"""Devboxes: their states, from queued to shutdown, and the calls that move them."""
import asyncio
import math
import os
import shutil
import time

import box
import launch
import pages
import streams
import wire

STATUSES = ("queued", "scheduled", "provisioning", "initializing", "running", "suspending", "suspended", "resuming",
            "failure", "shutdown")
GONE = ("failure", "shutdown")
CREATE = ("name", "metadata", "environment_variables", "secrets", "blueprint_id", "blueprint_name", "snapshot_id",
          "entrypoint", "launch_parameters", "mounts", "code_mounts", "file_mounts", "tunnel", "gateways", "mcp",
          "repo_connection_id")
WAIT_DEFAULT, WAIT_MAX = 10, 30
MOST = 500


class Devbox(pages.Stateful):
    """One devbox. wish: the checked body of its creation."""

    def __init__(self, store, wish, parameters):
        self.store, self.service, self.knobs = store, store.service, store.service.knobs
        queued = self.knobs["queued_seconds"] or self.knobs["stuck"] == "queued"
        super().__init__("queued" if queued else "provisioning")
        self.id = pages.new_id("dbx_")
        self.wish, self.parameters = wish, parameters
        self.name, self.metadata = wish.get("name"), wire.texts_of(wish, "metadata")
        self.create_time_ms, self.end_time_ms = pages.now_ms(), None
        self.blueprint_id, self.snapshot_id = wish.get("blueprint_id"), wish.get("snapshot_id")
        self.failure_reason = self.shutdown_reason = self.tunnel = self.entrypoint = None
        self.transitions, self.logs = [], []
        self.note_transition()
        user, uid = launch.account(parameters)
        self.box = box.Box(os.path.join(self.service.folder, self.id), self.service.wrapped, user, uid)
        self.runs, self.run_of_command, self.shells = {}, {}, {}
        self.snapshots_running, self.mounted = 0, False
        self.started, self.active, self.uses = time.monotonic(), time.monotonic(), 0
        self.active_seconds, self.running_since = 0.0, None

    def note_transition(self):
        self.transitions.append({"status": self.status, "transition_time_ms": pages.now_ms(),
                                 **({"failure_reason": self.failure_reason} if self.status == "failure" else {})})

    def become(self, status):
        """A state that is final stays."""
        if self.status in GONE or self.status == status:
            return
        if self.running_since is not None:
            self.active_seconds += time.monotonic() - self.running_since
        self.running_since = time.monotonic() if status == "running" else None
        self.status = status
        if status in GONE:
            self.end_time_ms = pages.now_ms()
        self.note_transition()
        self.tell()

    def view(self):
        shown = self.knobs["odd_status"] or self.status if self.status == "running" else self.status
        return {"id": self.id, "status": shown, "name": self.name, "create_time_ms": self.create_time_ms,
                "end_time_ms": self.end_time_ms, "metadata": self.metadata, "launch_parameters": self.parameters,
                "capabilities": [], "state_transitions": self.transitions, "blueprint_id": self.blueprint_id,
                "snapshot_id": self.snapshot_id, "failure_reason": self.failure_reason,
                "shutdown_reason": self.shutdown_reason, "initiator_type": "api", "initiator_id": None,
                "tunnel": self.tunnel.view() if self.tunnel else None}

    def usage(self):
        cores, memory, disk = {"X_SMALL": (0.5, 1, 4), "SMALL": (1, 2, 4), "MEDIUM": (2, 4, 8), "LARGE": (2, 8, 16),
                               "X_LARGE": (4, 16, 16), "XX_LARGE": (8, 32, 16)}.get(
            self.parameters["resource_size_request"], (2, 4, 4))
        seconds = self.active_seconds + (time.monotonic() - self.running_since if self.running_since else 0)
        elapsed = (self.end_time_ms or pages.now_ms()) - self.create_time_ms
        return {"id": self.id, "status": self.status, "start_time_ms": self.create_time_ms,
                "end_time_ms": self.end_time_ms, "total_elapsed_seconds": elapsed // 1000,
                "total_active_seconds": int(seconds), "vcpu_seconds": seconds * cores,
                "memory_gb_seconds": seconds * memory, "disk_gb_seconds": elapsed / 1000 * disk}

    def log(self, source, message="", level="info", **more):
        if len(self.logs) < 10000:
            self.logs.append({"level": level, "source": source, "timestamp_ms": pages.now_ms(), "message": message,
                              **more})

    async def pause_in(self, status, seconds):
        """Is in that state for so long; for ever where states of that name are stuck."""
        self.become(status)
        while self.knobs["stuck"] == status and self.status == status:
            await asyncio.sleep(0.02)
        await asyncio.sleep(self.knobs[seconds])

    async def come_up(self):
        """From a request to a running devbox, or to a failure."""
        try:
            if self.status == "queued":
                await self.pause_in("queued", "queued_seconds")
            await self.pause_in("provisioning", "provisioning_seconds")
            await self.pause_in("initializing", "initializing_seconds")
            if self.store.failing():
                raise wire.Problem(500, "a failure that was asked for")
            if self.status in GONE:
                return
            await self.service.snapshots.fill(self)
            await self.start()
        except (wire.Problem, OSError) as error:
            self.log("setup_commands", str(error), "error")
            await self.end("failure", self.knobs["failure_reason"])
            return
        await self.watch()

    async def start(self):
        """Starts it: also after a suspend."""
        environment = {**wire.texts_of(self.wish, "environment_variables"),
                       **self.service.objects.secrets_of(self.wish), "DEVBOX_ID": self.id}
        await self.box.open(environment)
        self.active = time.monotonic()
        if not self.mounted:
            self.mounted = True
            await self.service.objects.mount_all(self)
        for command in self.parameters["launch_commands"]:
            code, _, errors = await self.box.call(command)
            self.log("setup_commands", errors.decode("utf-8", "replace"), cmd=command, exit_code=code)
            if code != 0:
                raise wire.Problem(500, f"a launch command ended with {code}")
        if self.wish.get("entrypoint"):
            self.entrypoint = await self.box.start(["bash", "-c", self.wish["entrypoint"]])
            self.service.background(self.follow_entrypoint(self.entrypoint))
        if self.status in GONE:
            await self.box.close()
        self.become("running")

    async def follow_entrypoint(self, process):
        async def note(reader):
            async for line in reader:
                self.log("entrypoint", line.decode("utf-8", "replace"))
        await asyncio.gather(note(process.stdout), note(process.stderr))
        code = await process.wait()
        if self.status == "running":
            self.log("entrypoint", f"ended with {code}", exit_code=code)
            await self.end("shutdown", "entrypoint_exit")

    async def watch(self):
        """Its lifetime, and what is to happen when nobody uses it."""
        idle = launch.idle_policy(self.parameters)  # where there is one, the lifetime is ignored
        until = math.inf if idle else self.started + self.parameters["keep_alive_time_seconds"]
        while self.status not in GONE:
            await asyncio.sleep(0.05)
            if time.monotonic() >= until:
                await self.end("shutdown", "keep_alive_timeout")
            elif idle and self.status == "running" and self.uses == 0 and \
                    time.monotonic() - self.active >= idle["idle_time_seconds"]:
                if idle["on_idle"] == "suspend":
                    await self.suspend()
                else:
                    await self.end("shutdown", "idle")

    async def stop(self):
        """The end of every process and shell; the disk stays."""
        await self.box.close()
        self.shells.clear()
        if not self.knobs["keep_runs"]:
            self.runs.clear()
            self.run_of_command.clear()

    async def suspend(self):
        self.become("suspending")
        try:
            for command in launch.suspend_commands(self.parameters):
                code, _, _ = await self.box.call(command)
                self.log("setup_commands", cmd=command, exit_code=code)
        except OSError as error:
            self.log("setup_commands", str(error), "error")
        await self.stop()
        await self.pause_in("suspending", "suspending_seconds")
        self.become("suspended")

    async def resume(self):
        self.become("resuming")
        try:
            await self.pause_in("resuming", "resuming_seconds")
            await self.start()
        except (wire.Problem, OSError) as error:
            self.log("setup_commands", str(error), "error")
            await self.end("failure", self.knobs["failure_reason"])

    async def end(self, status, reason):
        """failure or shutdown, with the reason."""
        if self.status in GONE:
            return
        if status == "failure":
            self.failure_reason = reason
        else:
            self.shutdown_reason = reason
        self.become(status)
        await self.stop()
        if not self.snapshots_running:
            await asyncio.get_running_loop().run_in_executor(None, lambda: shutil.rmtree(self.box.root, True))

    def need_running(self):
        if self.status != "running":
            raise wire.Problem(400, f"devbox {self.id} is not running: it is {self.status}")

    async def ready_for_commands(self):
        """What a command does to a devbox that does not run is a setting."""
        if self.status == "running":
            return
        if self.knobs["exec_when_stopped"]:
            raise wire.Problem(self.knobs["exec_when_stopped"], f"devbox {self.id} is not running: it is {self.status}")
        if self.status == "suspended":
            await self.resume()
        self.need_running()


class Devboxes:
    def __init__(self, service):
        self.service, self.knobs = service, service.knobs
        self.known, self.evictions, self.evicted = {}, [], pages.Stateful("")

    def routes(self):
        one = "/v1/devboxes/{id}"
        return [("POST", "/v1/devboxes", self.create), ("GET", "/v1/devboxes", self.list),
                ("POST", "/v1/devboxes/create_and_await_running", self.create_and_wait),
                ("GET", "/v1/devboxes/evictions/watch", self.watch_evictions),
                ("GET", "/v1/devboxes/metadata/keys", self.keys),
                ("GET", "/v1/devboxes/metadata/keys/{key}/values", self.values),
                ("GET", one, self.retrieve), ("POST", one, self.update), ("POST", one + "/suspend", self.suspend),
                ("POST", one + "/resume", self.resume), ("POST", one + "/shutdown", self.shutdown),
                ("POST", one + "/keep_alive", self.keep_alive), ("POST", one + "/wait_for_status", self.wait),
                ("GET", one + "/usage", self.usage), ("GET", one + "/logs", self.logs),
                ("GET", one + "/logs/tail", self.tail)]

    def find(self, id):
        if id not in self.known:
            raise wire.Problem(404, f"devbox not found: {id}")
        return self.known[id]

    def failing(self):
        """Is the devbox that starts one of those that are to fail?"""
        left = self.knobs["failing_creates"]
        self.knobs["failing_creates"] = max(0, left - 1)
        return left > 0

    async def create(self, request):
        return self.make(request.json(*CREATE)).view()

    def make(self, wish):
        running = sum(one.status not in (*GONE, "suspended") for one in self.known.values())
        if len(self.known) >= MOST or (self.knobs["max_running"] and running >= self.knobs["max_running"]):
            raise wire.Problem(429, "too many devboxes")
        sources = [name for name in ("blueprint_id", "blueprint_name", "snapshot_id") if wish.get(name)]
        if len(sources) > 1:
            raise wire.Problem(400, f"only one of {', '.join(sources)} can be given")
        for name in ("name", "entrypoint", *sources):
            wire.text_of(wish, name)
        wire.texts_of(wish, "environment_variables")
        self.service.snapshots.check_source(wish)
        self.service.objects.check_mounts(wish)
        devbox = Devbox(self, wish, launch.checked(wish.get("launch_parameters", {})))
        if "tunnel" in wish:
            devbox.tunnel = self.service.network.new_tunnel(wish["tunnel"])
        self.known[devbox.id] = devbox
        self.service.background(devbox.come_up())
        return devbox

    async def create_and_wait(self, request):
        devbox = self.make(request.json(*CREATE))
        await devbox.reach(("running", *GONE), self.knobs["await_running_seconds"])
        return devbox.view()

    async def list(self, request):
        status = request.query.get("status")
        if status is not None and status not in STATUSES:
            raise wire.Problem(400, f"no such status '{status}'")
        return pages.page(self.knobs, request.query, "devboxes", [
            one for one in self.known.values() if status in (None, one.status)])

    async def keys(self, _):
        return {"keys": sorted({key for one in self.known.values() for key in one.metadata})}

    async def values(self, _, key):
        return {"values": sorted({one.metadata[key] for one in self.known.values() if key in one.metadata})}

    async def retrieve(self, _, id):
        return self.find(id).view()

    async def update(self, request, id):
        devbox, body = self.find(id), request.json("name", "metadata")
        devbox.name = wire.text_of(body, "name") or devbox.name
        if "metadata" in body:
            devbox.metadata = wire.texts_of(body, "metadata")
        return devbox.view()

    async def suspend(self, request, id):
        devbox = self.find(id)
        request.json()
        devbox.need_running()
        devbox.become("suspending")
        self.service.background(devbox.suspend())
        return devbox.view()

    async def resume(self, request, id):
        devbox = self.find(id)
        request.json()
        if devbox.status != "suspended":
            raise wire.Problem(400, f"devbox {id} is not suspended: it is {devbox.status}")
        devbox.become("resuming")
        self.service.background(devbox.resume())
        return devbox.view()

    async def shutdown(self, request, id):
        devbox = self.find(id)
        request.json()
        if devbox.status in GONE and self.knobs["second_shutdown"] != 200:
            raise wire.Problem(self.knobs["second_shutdown"], f"devbox {id} is {devbox.status}")
        if devbox.snapshots_running and devbox.status not in GONE and not wire.flag_of(request.query, "force"):
            raise wire.Problem(409, f"a snapshot of devbox {id} is in progress")
        await devbox.end("shutdown", "api_shutdown")
        return devbox.view()

    async def keep_alive(self, request, id):
        request.json()
        self.find(id).active = time.monotonic()
        return {}

    async def wait(self, request, id):
        devbox, body = self.find(id), request.json("statuses", "timeout_seconds")
        statuses = pages.statuses_of(body, STATUSES)
        seconds = min(wire.number_of(body, "timeout_seconds", WAIT_DEFAULT, 0, 86400), WAIT_MAX)
        if not await devbox.reach(statuses, seconds * self.knobs["hold_scale"]):
            raise wire.Problem(408, f"devbox {id} is still {devbox.status}")
        return devbox.view()

    async def usage(self, _, id):
        return self.find(id).usage()

    async def logs(self, request, id):
        wanted = {"cmd_id": request.query.get("execution_id"), "shell_name": request.query.get("shell_name")}
        return {"logs": [one for one in self.find(id).logs
                         if all(value is None or one.get(key) == value for key, value in wanted.items())]}

    async def tail(self, _, id):
        devbox = self.find(id)

        async def events():
            told = 0
            while True:
                for entry in devbox.logs[told:]:
                    told += 1
                    yield streams.event(entry)
                if devbox.status in GONE:
                    return
                await asyncio.sleep(0.05)
        return wire.Reply(200, events(), "text/event-stream")

    def evict(self, devbox, seconds):
        self.evictions.append({"devbox_id": devbox.id, "eviction_deadline_ms": pages.now_ms() + int(seconds * 1000)})
        self.evicted.tell()

    async def watch_evictions(self, _):
        async def events():
            told = 0
            while True:
                changed = self.evicted.changed
                for one in self.evictions[told:]:
                    told += 1
                    yield streams.event(one)
                await changed.wait()
        return wire.Reply(200, events(), "text/event-stream")

    async def close(self):
        await asyncio.gather(*(one.box.close() for one in self.known.values()))
