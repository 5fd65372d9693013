"""Containers: their life, what runs in them, and their files. A container is a directory; its processes are this machine's."""
import io
import json
import os
import secrets
import shutil
import subprocess
import tarfile
import threading

from wire import Hangup, Reply


class Container:
    def __init__(self, folder, name, config):
        self.id, self.name, self.config = secrets.token_hex(32), name, config
        self.folder = os.path.join(folder, self.id)
        os.mkdir(self.folder)
        self.state, self.process = "created", None

    def where(self, path):
        """A path of the container as one of this machine: of a mount, or below its directory."""
        for mount in self.config.get("HostConfig", {}).get("Mounts", []):
            target = mount["Target"]
            if path == target or path.startswith(target + "/"):
                return mount["Source"] + path[len(target):]
        return os.path.join(self.folder, path.lstrip("/"))

    def here(self, words):
        """A command line whose paths of mounts and of the container's own files are this machine's."""
        found = [self.where(word) for word in words]
        return [new if word.startswith("/") and os.path.exists(new) else word for word, new in zip(words, found)]

    def start(self):
        words = self.here(self.config.get("Entrypoint") or [])
        # Its own process ids: the guest serves nobody whom it can see.
        self.process = subprocess.Popen(["unshare", "--pid", "--fork", "--kill-child", *words], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        self.state = "running"

    def look(self):
        if self.process is not None and self.process.poll() is not None:
            self.state = "exited"
        return self.state

    def end(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
        self.state = "exited"
        shutil.rmtree(self.folder, True)

    def labels(self):
        return self.config.get("Labels") or {}

    def view(self):
        return {"Id": self.id, "Name": "/" + self.name, "Created": "2026-01-02T03:04:05Z",
                "State": {"Status": self.look(), "Pid": self.process.pid if self.process else 0, "ExitCode": 0},
                "Config": {"Image": self.config.get("Image", ""), "Labels": self.labels(),
                           "User": self.config.get("User", ""), "WorkingDir": self.config.get("WorkingDir", "/"),
                           "Env": self.config.get("Env", [])},
                "HostConfig": {"Memory": 0}}

    def item(self):
        return {"Id": self.id, "Names": ["/" + self.name], "State": self.look(), "Created": 1767323045,
                "Image": self.config.get("Image", ""), "Labels": self.labels()}


class Exec:
    """A command in a container, carried by one connection."""

    def __init__(self, container, wish):
        self.id, self.container, self.wish = secrets.token_hex(32), container, wish
        self.process, self.code = None, None

    def view(self):
        running = self.process is not None and self.process.poll() is None
        return {"ID": self.id, "Running": running, "Pid": self.process.pid if self.process else 0,
                "ExitCode": None if self.process is None or running else self.process.returncode}

    def run(self, connection, frame_filter):
        """Bytes of the connection are its stdin; its streams come back as frames, or what the filter makes of them."""
        folder = next((one for one in self.container.here([self.wish.get("WorkingDir") or "/"]) if os.path.isdir(one)), "/")
        variables = dict(one.split("=", 1) for one in self.wish.get("Env") or [])
        self.process = subprocess.Popen(
            self.container.here(self.wish["Cmd"]), stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
            stdin=subprocess.PIPE if self.wish.get("AttachStdin") else subprocess.DEVNULL, cwd=folder,
            env={"PATH": os.environ["PATH"], **variables})
        lock, gone = threading.Lock(), threading.Event()

        def carry(stream, source):
            while True:
                data = os.read(source.fileno(), 32768)
                if not data:
                    return
                if gone.is_set():
                    continue  # as a daemon does: the command goes on
                try:
                    with lock:
                        frame_filter(connection, stream, data)
                except (OSError, Hangup):
                    gone.set()

        def feed():
            try:
                while True:
                    data = connection.rest or connection.sock.recv(65536)
                    connection.rest = b""
                    if not data:
                        break
                    if self.process.stdin is not None:
                        self.process.stdin.write(data)
                        self.process.stdin.flush()
            except OSError:
                pass
            try:
                if self.process.stdin is not None:
                    self.process.stdin.close()
            except OSError:
                pass

        threads = [threading.Thread(target=carry, args=pair, daemon=True)
                   for pair in ((1, self.process.stdout), (2, self.process.stderr))]
        for thread in threads:
            thread.start()
        threading.Thread(target=feed, daemon=True).start()
        for thread in threads:
            thread.join()
        self.process.wait()


def pull_lines(query):
    """Two layers, one of which is there already; the tag and the digest have lines, too."""
    name, tag, whole = query.get("fromImage"), query.get("tag", "latest"), 50 << 20
    yield {"status": f"Pulling from {name}", "id": tag}
    yield {"status": "Already exists", "progressDetail": {}, "id": "0123456789ab"}
    yield {"status": "Pulling fs layer", "progressDetail": {}, "id": "ba9876543210"}
    for part in range(10):
        yield {"status": "Downloading", "progressDetail": {"current": whole * part // 10, "total": whole},
               "progress": "[=>   ]", "id": "ba9876543210"}
    for status in ("Verifying Checksum", "Download complete", "Extracting", "Pull complete"):
        yield {"status": status, "progressDetail": {}, "id": "ba9876543210"}
    yield {"status": "Digest: sha256:" + "0" * 64}
    yield {"status": f"Status: Downloaded newer image for {name}:{tag}"}


class Engine:
    def __init__(self, folder, version):
        self.folder, self.version = folder, version
        self.lock = threading.RLock()
        self.containers, self.execs, self.images = {}, {}, {}

    def add_image(self, name, config=None):
        self.images[name] = {"Id": "sha256:" + secrets.token_hex(32), "Config": config or {}}

    def add_foreign(self, name):
        """A container that somebody else made and that runs."""
        one = Container(self.folder, name, {"Image": "theirs", "WorkingDir": self.folder})
        one.state = "running"
        self.containers[one.id] = one

    def find(self, reference):
        with self.lock:
            for one in self.containers.values():
                if reference in (one.id, one.name):
                    return one
            found = [one for one in self.containers.values() if one.id.startswith(reference)]
            return found[0] if len(found) == 1 else None

    def end(self):
        for one in list(self.containers.values()):
            one.end()
        for one in list(self.execs.values()):
            if one.process is not None and one.process.poll() is None:
                one.process.kill()

    # --- requests ---

    def create(self, request):
        name, wish = request.query.get("name") or secrets.token_hex(6), request.object()
        if wish.get("Image") not in self.images:
            return Reply.problem(404, f"No such image: {wish.get('Image')}")
        with self.lock:
            if any(one.name == name for one in self.containers.values()):
                return Reply.problem(409, f'Conflict. The container name "/{name}" is already in use.')
            one = Container(self.folder, name, wish)
            self.containers[one.id] = one
        return Reply(201, {"Id": one.id, "Warnings": []})

    def start(self, one):
        if one.look() == "running":
            return Reply(304)
        one.start()
        return Reply(204)

    def remove(self, one):
        with self.lock:
            self.containers.pop(one.id, None)
        one.end()
        return Reply(204)

    def list(self, request):
        wanted = json.loads(request.query.get("filters", "{}")).get("label", [])
        with self.lock:
            items = [one.item() for one in self.containers.values()
                     if all(one.labels().get(label.partition("=")[0]) == label.partition("=")[2] for label in wanted)]
        return Reply(200, items)

    def archive(self, request, one):
        path = one.where(request.query.get("path", "/"))
        if not os.path.lexists(path):
            return Reply.problem(404, f"Could not find the file {request.query.get('path')} in container {one.id}")
        if request.method == "HEAD":
            return Reply(200, b"", {"X-Docker-Container-Path-Stat": "e30="})
        if request.method == "PUT":
            with tarfile.open(fileobj=io.BytesIO(request.body())) as tar:
                tar.extractall(path)
            return Reply(200)
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as tar:
            tar.add(path, os.path.basename(path))
        return Reply(200, packed.getvalue(), {"Content-Type": "application/x-tar"})

    def add_exec(self, request, one):
        if one.look() != "running":
            return Reply.problem(409, f"container {one.id} is not running")
        made = Exec(one, request.object())
        self.execs[made.id] = made
        return Reply(201, {"Id": made.id})

    def of_container(self, request, words):
        one = self.find(words[1])
        if one is None:
            return Reply.problem(404, f"No such container: {words[1]}")
        if len(words) == 2 and request.method == "DELETE":
            return self.remove(one)
        what = (request.method, words[2] if len(words) == 3 else "")
        if what == ("GET", "json"):
            return Reply(200, one.view())
        if what == ("POST", "start"):
            return self.start(one)
        if what == ("POST", "exec"):
            return self.add_exec(request, one)
        if what in (("HEAD", "archive"), ("GET", "archive"), ("PUT", "archive")):
            return self.archive(request, one)
        if what in (("POST", "pause"), ("POST", "unpause")):
            one.state = "paused" if words[2] == "pause" else "running"
            return Reply(204)
        return None

    def answer(self, request):
        words = request.path.strip("/").split("/")
        if request.path == "/_ping":
            return Reply(200, b"OK", {"Api-Version": self.version})
        if request.path == "/containers/create":
            return self.create(request)
        if request.path == "/containers/json":
            return self.list(request)
        reply = None
        if words[0] == "containers" and len(words) > 1:
            reply = self.of_container(request, words)
        elif words[0] == "images" and words[-1] == "json":
            image = self.images.get("/".join(words[1:-1]))
            reply = Reply(200, image) if image else Reply.problem(404, "No such image: " + "/".join(words[1:-1]))
        elif request.path == "/images/create":
            self.add_image(f"{request.query.get('fromImage')}:{request.query.get('tag')}")
            reply = Reply(200, "".join(json.dumps(line) + "\r\n" for line in pull_lines(request.query)).encode())
        elif words[0] == "exec" and words[-1] == "json" and words[1] in self.execs:
            reply = Reply(200, self.execs[words[1]].view())
        return reply or Reply.problem(404, "page not found")
