"""Files of a devbox, moved by commands in it, so that a path means what it means to a command."""
import re

import wire

# Exit codes by which the scripts say what is wrong.
MISSING, NO_FILE, FORBIDDEN = 44, 45, 46
PLACE = 'case "$1" in "~/"*) p=$HOME/${1#"~/"};; /*) p=$1;; *) p=./$1;; esac\n'
READ = PLACE + f"""[ -e "$p" ] || exit {MISSING}
[ -f "$p" ] || exit {NO_FILE}
[ -r "$p" ] || exit {FORBIDDEN}
exec cat -- "$p"
"""
WRITE = PLACE + """if [ "$2" = parents ]; then mkdir -p -- "$(dirname -- "$p")" || exit 1; fi
exec cat >"$p"
"""


class Files:
    def __init__(self, service):
        self.service, self.knobs = service, service.knobs

    def routes(self):
        one = "/v1/devboxes/{id}/"
        return [("POST", one + "read_file_contents", self.read), ("POST", one + "write_file_contents", self.write),
                ("POST", one + "download_file", self.download), ("POST", one + "upload_file", self.upload)]

    async def running(self, id, path):
        devbox = self.service.devboxes.find(id)
        if not path or "\0" in path:
            raise wire.Problem(400, "the path is empty or has a NUL in it")
        await devbox.ready_for_commands()
        return devbox

    async def bytes_of(self, id, path):
        devbox = await self.running(id, path)
        code, content, errors = await devbox.box.call(READ, path)
        if code == MISSING:
            raise wire.Problem(404, f"file not found: {path}")
        if code != 0:
            words = {NO_FILE: "not a file", FORBIDDEN: "permission denied"}
            raise wire.Problem(400, f"{words.get(code, errors.decode('utf-8', 'replace').strip())}: {path}")
        devbox.log("files", f"read {path}")
        return content

    async def read(self, request, id):
        content = await self.bytes_of(id, wire.text_of(request.json("file_path"), "file_path", True))
        return wire.Reply(200, content.decode("utf-8", "replace").encode(), "text/plain; charset=utf-8")

    async def download(self, request, id):
        path = wire.text_of(request.json("path"), "path", True)
        if path.startswith("/") and not self.knobs["absolute_downloads"]:
            raise wire.Problem(400, f"the path is absolute: {path}")
        content = await self.bytes_of(id, path)
        name = re.sub(r'[^\w.-]', "_", path.rpartition("/")[2], flags=re.ASCII)
        return wire.Reply(200, content, "application/octet-stream",
                          {"content-disposition": f'attachment; filename="{name}"'})

    async def put(self, id, path, content):
        """(exit code, what the devbox said)."""
        devbox = await self.running(id, path)
        code, _, errors = await devbox.box.call(WRITE, path, "parents" if self.knobs["make_parents"] else "",
                                                given=content)
        devbox.log("files", f"write {path}", exit_code=code)
        return code, errors.decode("utf-8", "replace")

    async def write(self, request, id):
        """A write that failed is a 200 too: its exit_status tells."""
        body = request.json("file_path", "contents")
        path, contents = wire.text_of(body, "file_path", True), wire.text_of(body, "contents", True)
        if self.knobs["write_exit_status"]:
            await self.running(id, path)
            code, errors = self.knobs["write_exit_status"], "a failure that was asked for\n"
        else:
            code, errors = await self.put(id, path, contents.encode("utf-8", "surrogatepass"))
        return {"devbox_id": id, "exit_status": code, "stdout": "", "stderr": errors}

    async def upload(self, request, id):
        fields = multipart(request)
        if "path" not in fields or "file" not in fields:
            raise wire.Problem(400, "the form lacks 'path' or 'file'")
        code, errors = await self.put(id, fields["path"].decode("utf-8", "surrogateescape"), fields["file"])
        if code != 0:
            raise wire.Problem(400, errors.strip() or f"writing ended with {code}")
        return {}


def multipart(request):
    """{field: bytes} of a multipart/form-data body."""
    kind, _, words = request.headers.get("content-type", "").partition(";")
    match = re.search(r'boundary=(?:"([^"]+)"|([^;\s]+))', words)
    if kind.strip().lower() != "multipart/form-data" or not match:
        raise wire.Problem(400, "the body is not multipart/form-data")
    edge = b"--" + (match.group(1) or match.group(2)).encode()
    if not request.body.startswith(edge):
        raise wire.Problem(400, "the form does not begin with its boundary")
    body, fields = b"\r\n" + request.body, {}
    for part in body.split(b"\r\n" + edge)[1:]:
        if part.startswith(b"--"):
            return fields
        head, empty, content = part.partition(b"\r\n\r\n")
        name = re.search(rb'content-disposition:[^\r\n]*?[ ;]name="([^"]*)"', head, re.IGNORECASE)
        if not empty or not name:
            raise wire.Problem(400, "a part of the form has no name")
        fields[name.group(1).decode()] = content
    raise wire.Problem(400, "the form has no end")
