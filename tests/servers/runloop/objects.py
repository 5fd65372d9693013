"""Storage objects and secrets, and what a creation mounts of them."""
import hmac
import secrets

import pages
import wire

KINDS = ("unspecified", "text", "binary", "gzip", "tar", "tgz")
MOUNTS = ("object_mount", "file_mount")


class Object:
    def __init__(self, service, body):
        self.service, self.id, self.token = service, pages.new_id("obj_"), secrets.token_hex(16)
        self.name, self.kind = wire.text_of(body, "name", True), wire.text_of(body, "content_type", True)
        self.metadata, self.state, self.create_time_ms = wire.texts_of(body, "metadata"), "UPLOADING", pages.now_ms()
        self.expires = body.get("ttl_ms") and self.create_time_ms + int(wire.number_of(body, "ttl_ms", 0, 1, 1 << 53))
        self.content = None

    def url(self):
        return f"{self.service.url}/_objects/{self.id}?token={self.token}"

    def view(self):
        return {"id": self.id, "name": self.name, "content_type": self.kind, "create_time_ms": self.create_time_ms,
                "state": self.state, "delete_after_time_ms": self.expires, "metadata": self.metadata,
                "size_bytes": None if self.content is None else len(self.content),
                "upload_url": self.url() if self.state == "UPLOADING" else None}


class Secret:
    def __init__(self, name, value):
        self.id, self.name, self.value, self.create_time_ms = pages.new_id("sec_"), name, value, pages.now_ms()
        self.update_time_ms = self.create_time_ms

    def view(self):
        return {"id": self.id, "name": self.name, "create_time_ms": self.create_time_ms,
                "update_time_ms": self.update_time_ms}


class Objects:
    def __init__(self, service):
        self.service, self.knobs, self.known, self.secrets = service, service.knobs, {}, {}

    def routes(self):
        one, secret = "/v1/objects", "/v1/secrets"
        return [("POST", one, self.create), ("GET", one, self.list), ("GET", one + "/list_public", self.list_public),
                ("GET", one + "/{id}", self.retrieve), ("POST", one + "/{id}/complete", self.complete),
                ("GET", one + "/{id}/download", self.download), ("POST", one + "/{id}/delete", self.delete),
                ("PUT", "/_objects/{id}", self.put_content), ("GET", "/_objects/{id}", self.get_content),
                ("POST", secret, self.create_secret), ("GET", secret, self.list_secrets),
                ("GET", secret + "/{name}", self.retrieve_secret), ("POST", secret + "/{name}", self.update_secret),
                ("POST", secret + "/{name}/delete", self.delete_secret)]

    def find(self, id):
        if id not in self.known or self.known[id].state == "DELETED":
            raise wire.Problem(404, f"object not found: {id}")
        return self.known[id]

    async def create(self, request):
        made = Object(self.service, request.json("name", "content_type", "metadata", "ttl_ms"))
        if made.kind not in KINDS:
            raise wire.Problem(400, f"no content type '{made.kind}'")
        self.known[made.id] = made
        return made.view()

    async def list(self, request):
        name, state = request.query.get("name"), request.query.get("state")
        return pages.page(self.knobs, request.query, "objects", [
            one for one in self.known.values()
            if one.state != "DELETED" and name in (None, one.name) and state in (None, one.state)])

    async def list_public(self, request):
        return pages.page(self.knobs, request.query, "objects", [])

    async def retrieve(self, _, id):
        return self.find(id).view()

    async def complete(self, request, id):
        request.json()
        found = self.find(id)
        if found.content is None:
            raise wire.Problem(400, f"nothing was put into object {id}")
        found.state = "READ_ONLY"
        return found.view()

    async def download(self, _, id):
        if self.find(id).state != "READ_ONLY":
            raise wire.Problem(400, f"object {id} is not complete")
        return {"download_url": self.find(id).url()}

    async def delete(self, request, id):
        request.json()
        found = self.find(id)
        found.state, found.content = "DELETED", None
        return found.view()

    def behind_token(self, request, id):
        found = self.find(id)
        if not hmac.compare_digest(request.query.get("token", "").encode(), found.token.encode()):
            raise wire.Problem(403, "the address is not signed")
        return found

    async def put_content(self, request, id):
        found = self.behind_token(request, id)
        if found.state != "UPLOADING":
            raise wire.Problem(409, f"object {id} is complete")
        found.content = request.body
        return wire.Reply(200)

    async def get_content(self, request, id):
        return wire.Reply(200, self.behind_token(request, id).content or b"", "application/octet-stream")

    async def create_secret(self, request):
        body = request.json("name", "value")
        name, value = wire.text_of(body, "name", True), wire.text_of(body, "value", True)
        if name in self.secrets:
            raise wire.Problem(409, f"there is a secret of that name: {name}")
        self.secrets[name] = Secret(name, value)
        return self.secrets[name].view()

    def find_secret(self, name):
        if name not in self.secrets:
            raise wire.Problem(404, f"secret not found: {name}")
        return self.secrets[name]

    async def list_secrets(self, request):
        return pages.page(self.knobs, request.query, "secrets", self.secrets.values())

    async def retrieve_secret(self, _, name):
        return self.find_secret(name).view()

    async def update_secret(self, request, name):
        found = self.find_secret(name)
        found.value, found.update_time_ms = wire.text_of(request.json("value"), "value", True), pages.now_ms()
        return found.view()

    async def delete_secret(self, request, name):
        request.json()
        return self.find_secret(name) and self.secrets.pop(name).view()

    def secrets_of(self, wish):
        """{variable: value} of the secrets that a creation asks for."""
        return {variable: self.find_secret(name).value for variable, name in wire.texts_of(wish, "secrets").items()}

    def check_mounts(self, wish):
        self.secrets_of(wish)
        wire.texts_of(wish, "file_mounts")
        mounts = wish.get("mounts", [])
        if not isinstance(mounts, list):
            raise wire.Problem(400, "'mounts' is not a list")
        for one in mounts:
            if not isinstance(one, dict) or one.get("type") not in MOUNTS:
                raise wire.Problem(400, f"this double mounts only: {', '.join(MOUNTS)}")
            if one["type"] == "object_mount" and self.find(wire.text_of(one, "object_id", True)).state != "READ_ONLY":
                raise wire.Problem(400, f"object {one['object_id']} is not complete")
            wire.text_of(one, "object_path" if one["type"] == "object_mount" else "target", True)
            if one["type"] == "file_mount":
                wire.text_of(one, "content", True)
        if wish.get("code_mounts"):
            raise wire.Problem(400, "this double mounts no code")

    async def mount_all(self, devbox):
        for path, text in wire.texts_of(devbox.wish, "file_mounts").items():
            await self.write(devbox.box, path, text.encode())
        for one in devbox.wish.get("mounts", []):
            if one["type"] == "file_mount":
                await self.write(devbox.box, one["target"], one["content"].encode())
            else:
                await self.write(devbox.box, one["object_path"], self.find(one["object_id"]).content)

    async def write(self, box, path, content):
        code, _, errors = await box.call('mkdir -p -- "$(dirname -- "$1")" && cat >"$1"', path, given=content)
        if code != 0:
            raise OSError(errors.decode("utf-8", "replace").strip() or f"{path} cannot be written")
