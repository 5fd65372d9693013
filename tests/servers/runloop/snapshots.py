"""Disk snapshots: copies of a devbox's directory at one moment. What a new devbox starts from."""
import asyncio
import os

import pages
import wire

BODY = ("name", "metadata", "commit_message")
COMMIT_MESSAGE_MAX = 1000


class Snapshot(pages.Stateful):
    def __init__(self, devbox, body):
        super().__init__("in_progress")
        self.id, self.devbox, self.create_time_ms = pages.new_id("snp_"), devbox, pages.now_ms()
        self.name, self.message = wire.text_of(body, "name"), wire.text_of(body, "commit_message")
        self.metadata, self.error, self.bytes = wire.texts_of(body, "metadata"), None, None
        self.root = os.path.join(devbox.service.folder, self.id)

    def view(self):
        return {"id": self.id, "create_time_ms": self.create_time_ms, "metadata": self.metadata, "name": self.name,
                "source_devbox_id": self.devbox.id, "commit_message": self.message, "size_bytes": self.bytes,
                "source_blueprint_id": self.devbox.blueprint_id}

    def state(self):
        return {"status": self.status, "error_message": self.error,
                "snapshot": self.view() if self.status == "complete" else None}


async def copy(source, target):
    """A directory as it is; what changes meanwhile may be missing."""
    process = await asyncio.create_subprocess_exec("cp", "-a", "--reflink=auto", source, target,
                                                   stdin=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE)
    _, errors = await process.communicate()
    if not os.path.isdir(target):
        raise OSError(errors.decode("utf-8", "replace").strip() or "cp made no copy")


def size_of(root):
    return sum(os.lstat(os.path.join(folder, one)).st_size for folder, _, files in os.walk(root) for one in files)


class Snapshots:
    def __init__(self, service):
        self.service, self.knobs, self.known = service, service.knobs, {}

    def routes(self):
        one = "/v1/devboxes/disk_snapshots"
        return [("GET", one, self.list), ("GET", one + "/list_public", self.list_public),
                ("POST", one + "/{id}", self.update), ("GET", one + "/{id}/status", self.state),
                ("POST", one + "/{id}/delete", self.delete),
                ("POST", "/v1/devboxes/{id}/snapshot_disk", self.take_and_wait),
                ("POST", "/v1/devboxes/{id}/snapshot_disk_async", self.take)]

    def find(self, id):
        if id not in self.known:
            raise wire.Problem(404, f"snapshot not found: {id}")
        return self.known[id]

    def begin(self, request, id):
        devbox, body = self.service.devboxes.find(id), request.json(*BODY)
        if devbox.status not in ("running", "suspended"):
            raise wire.Problem(400, f"devbox {id} has no disk to copy: it is {devbox.status}")
        if len(wire.text_of(body, "commit_message") or "") > COMMIT_MESSAGE_MAX:
            raise wire.Problem(400, "'commit_message' is too long")
        made = Snapshot(devbox, body)
        self.known[made.id] = made
        devbox.snapshots_running += 1
        self.service.background(self.work(made))
        return made

    async def work(self, snapshot):
        try:
            await asyncio.sleep(self.knobs["snapshot_seconds"])
            if self.knobs["failing_snapshots"] > 0:
                self.knobs["failing_snapshots"] -= 1
                raise OSError("a failure that was asked for")
            async with snapshot.devbox.box.at_rest():
                await copy(snapshot.devbox.box.root, snapshot.root)
            snapshot.bytes = size_of(snapshot.root)
        except OSError as error:
            snapshot.error = str(error)
        snapshot.devbox.snapshots_running -= 1
        snapshot.become("error" if snapshot.error else "complete")

    async def take(self, request, id):
        return self.begin(request, id).view()

    async def take_and_wait(self, request, id):
        made = self.begin(request, id)
        while not await made.reach(("complete", "error"), 3600):
            pass
        if made.status == "error":
            raise wire.Problem(500, f"the snapshot failed: {made.error}")
        return made.view()

    async def list(self, request):
        fits = pages.metadata_filter(request.query)
        devbox, blueprint = request.query.get("devbox_id"), request.query.get("source_blueprint_id")
        return pages.page(self.knobs, request.query, "snapshots", [
            one for one in self.known.values() if one.status != "deleted" and fits(one.metadata) and
            devbox in (None, one.devbox.id) and blueprint in (None, one.devbox.blueprint_id)])

    async def list_public(self, request):
        return pages.page(self.knobs, request.query, "snapshots", [])

    async def update(self, request, id):
        found, body = self.find(id), request.json(*BODY)
        found.name = wire.text_of(body, "name") or found.name
        found.message = wire.text_of(body, "commit_message") or found.message
        found.metadata = wire.texts_of(body, "metadata")
        return found.view()

    async def state(self, _, id):
        return self.find(id).state()

    async def delete(self, request, id):
        found = self.find(id)
        request.json()
        if found.status != "complete":
            raise wire.Problem(409, f"snapshot {id} is not complete: it is {found.status}")
        found.become("deleted")
        return {}

    def check_source(self, wish):
        """Refuses a creation from what is not there."""
        snapshot = wish.get("snapshot_id")
        if snapshot and self.find(snapshot).status != "complete":
            raise wire.Problem(400, f"snapshot {snapshot} is {self.known[snapshot].status}")
        self.service.blueprints.resolve(wish)

    async def fill(self, devbox):
        """Gives a new devbox its directory, where it starts from something."""
        source = devbox.snapshot_id and self.find(devbox.snapshot_id).root
        if devbox.blueprint_id:
            source = self.service.blueprints.find(devbox.blueprint_id).root
        if source:
            await copy(source, devbox.box.root)
