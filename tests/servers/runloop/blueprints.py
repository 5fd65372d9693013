"""Blueprints: a directory in which the setup commands ran. A Dockerfile is taken and kept, and not built."""
import asyncio
import os

import box
import pages
import snapshots
import wire

BODY = ("name", "base_blueprint_id", "base_blueprint_name", "build_args", "build_context", "code_mounts", "dockerfile",
        "file_mounts", "launch_parameters", "metadata", "network_policy_id", "secrets", "services",
        "system_setup_commands")


class Blueprint(pages.Stateful):
    def __init__(self, service, body):
        super().__init__("queued")
        self.id, self.create_time_ms, self.finish_time_ms = pages.new_id("bpt_"), pages.now_ms(), None
        self.name, self.parameters = wire.text_of(body, "name", True), body
        self.metadata, self.deleted, self.failure = wire.texts_of(body, "metadata"), False, None
        self.root, self.logs = os.path.join(service.folder, self.id), []

    def view(self):
        return {"id": self.id, "name": self.name, "create_time_ms": self.create_time_ms, "parameters": self.parameters,
                "state": "deleted" if self.deleted else "created", "status": self.status, "metadata": self.metadata,
                "base_blueprint_id": self.parameters.get("base_blueprint_id"), "is_public": False,
                "build_finish_time_ms": self.finish_time_ms, "failure_reason": self.failure,
                "devbox_capabilities": [], "containerized_services": []}

    def log(self, message, level="info"):
        self.logs.append({"level": level, "message": message, "timestamp_ms": pages.now_ms()})


class Blueprints:
    def __init__(self, service):
        self.service, self.knobs, self.known = service, service.knobs, {}

    def routes(self):
        one = "/v1/blueprints"
        return [("POST", one, self.create), ("GET", one, self.list), ("GET", one + "/list_public", self.list_public),
                ("POST", one + "/preview", self.preview), ("GET", one + "/{id}", self.retrieve),
                ("POST", one + "/{id}/delete", self.delete), ("GET", one + "/{id}/logs", self.logs)]

    def find(self, id):
        if id not in self.known or self.known[id].deleted:
            raise wire.Problem(404, f"blueprint not found: {id}")
        return self.known[id]

    def newest(self, name):
        built = [one for one in self.known.values()
                 if one.name == name and one.status == "build_complete" and not one.deleted]
        if not built:
            raise wire.Problem(404, f"no blueprint of that name is built: {name}")
        return built[-1]

    def resolve(self, wish):
        """Sets the id where a name was given; refuses what is not built."""
        if wish.get("blueprint_name"):
            wish["blueprint_id"] = self.newest(wish["blueprint_name"]).id
        if wish.get("blueprint_id") and self.find(wish["blueprint_id"]).status != "build_complete":
            raise wire.Problem(400, f"blueprint {wish['blueprint_id']} is not built")

    async def create(self, request):
        body = request.json(*BODY)
        if body.get("base_blueprint_name"):
            body["base_blueprint_id"] = self.newest(body["base_blueprint_name"]).id
        wire.text_list_of(body, "system_setup_commands")
        made = Blueprint(self.service, body)
        self.known[made.id] = made
        self.service.background(self.build(made))
        return made.view()

    async def build(self, made):
        place = box.Box(made.root, self.service.wrapped)
        try:
            for status in ("provisioning", "building"):
                await asyncio.sleep(self.knobs["build_seconds"])
                made.become(status)
            if made.parameters.get("base_blueprint_id"):
                await snapshots.copy(self.find(made.parameters["base_blueprint_id"]).root, made.root)
            await place.open({})
            for path, text in wire.texts_of(made.parameters, "file_mounts").items():
                await self.service.objects.write(place, path, text.encode())
            for command in wire.text_list_of(made.parameters, "system_setup_commands"):
                code, output, errors = await place.call(command)
                made.log((output + errors).decode("utf-8", "replace"))
                if code != 0:
                    raise OSError(f"a setup command ended with {code}: {command}")
            status = "build_complete"
        except (OSError, wire.Problem) as error:
            made.log(str(error), "error")
            made.failure, status = "build_failed", "failed"
        await place.close()
        made.finish_time_ms = pages.now_ms()
        made.become(status)

    async def list(self, request):
        name, status = request.query.get("name"), request.query.get("status")
        return pages.page(self.knobs, request.query, "blueprints", [
            one for one in self.known.values()
            if not one.deleted and name in (None, one.name) and status in (None, one.status)])

    async def list_public(self, request):
        return pages.page(self.knobs, request.query, "blueprints", [])

    async def preview(self, request):
        body = request.json(*BODY)
        lines = [wire.text_of(body, "dockerfile") or "FROM runloop:runloop/starter-x86_64"]
        lines += [f"RUN {one}" for one in wire.text_list_of(body, "system_setup_commands")]
        return {"dockerfile": "\n".join(lines) + "\n"}

    async def retrieve(self, _, id):
        return self.find(id).view()

    async def delete(self, request, id):
        request.json()
        found = self.find(id)
        used = [one.id for one in self.service.devboxes.known.values()
                if one.blueprint_id == id and one.status in ("queued", "provisioning", "initializing")]
        if used:
            raise wire.Problem(409, f"blueprint {id} is in use by {used[0]}")
        found.deleted = True
        return {}

    async def logs(self, _, id):
        return {"blueprint_id": id, "logs": self.find(id).logs}
