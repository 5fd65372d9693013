"""A double of a Docker daemon, which does what a real one won't do on demand. See tests/servers/README.md."""
import argparse
import json
import os
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time

from containers import Engine
from rules import Rules
from wire import Connection, Hangup, Reply


class Double:
    def __init__(self, options, folder):
        self.engine, self.rules = Engine(folder, options.version), Rules()
        self.lock, self.log, self.replies = threading.Lock(), [], {}

    # --- one connection ---

    def serve(self, sock, number):
        connection = Connection(sock, number)
        try:
            while True:
                request = connection.request()
                if request.path.startswith("/_double/"):
                    connection.send(self.control(request).to_bytes())
                    continue
                with self.lock:
                    self.log.append({"method": request.method, "path": request.path, "version": request.version,
                                     "connection": number,
                                     "registry_auth": request.headers.get("x-registry-auth")})
                self.reply(connection, request, self.rules.take(request.method, request.path))
        except Hangup:
            pass
        finally:
            try:
                sock.shutdown(socket.SHUT_RDWR)  # whatever thread still reads from it
            except OSError:
                pass
            sock.close()

    def control(self, request):
        what = request.path[len("/_double/"):]
        if what == "faults" and request.method == "POST":
            problem = self.rules.add(request.object())
            return Reply.problem(400, problem) if problem else Reply(200)
        if what == "faults":
            self.rules.clear()
            return Reply(200)
        if what == "log":
            with self.lock:
                return Reply(200, self.log)
        if what == "containers":
            with self.engine.lock:
                return Reply(200, [one.item() for one in self.engine.containers.values()])
        if what == "version":
            self.engine.version = request.object()["version"]
            return Reply(200)
        if what == "length":  # of the last whole reply to a request of that method and path
            return Reply(200, str(self.replies.get(request.query["of"], 0)).encode())
        return Reply.problem(404, "no such place")

    # --- one reply ---

    def reply(self, connection, request, rule):
        kind = rule["do"] if rule else None
        if kind == "early":  # before the body was read
            connection.send(Reply.problem(rule["status"], rule.get("message", "early")).to_bytes())
            connection.stall()
        if kind == "hang" and rule.get("when") == "body":
            connection.stall()
        if kind == "flood":
            request.body()
            connection.flood(rule.get("what", "body"))
        if kind in ("drop", "hang", "reply", "raw") and rule.get("when", "before") == "before":
            request.body()
            self.instead(connection, request, rule)
            return
        if request.path.startswith("/exec/") and request.path.endswith("/start"):
            self.stream(connection, request, rule)
            return
        answer = self.engine.answer(request)
        request.body()
        if kind in ("drop", "hang", "reply", "raw"):
            self.instead(connection, request, rule)
            return
        self.send(connection, request, answer.to_bytes(request.method), rule)

    @staticmethod
    def instead(connection, request, rule):
        if rule["do"] == "drop":
            raise Hangup
        if rule["do"] == "hang":
            connection.hang()
        if rule["do"] == "raw":
            connection.send(rule["body"].encode())
            raise Hangup
        body = rule.get("body")
        body = {"message": rule.get("message", "no")} if body is None else body.encode()
        connection.send(Reply(rule.get("status", 500), body, rule.get("headers")).to_bytes(request.method))

    def note(self, request, data):
        words = request.path.strip("/").split("/")
        with self.lock:
            self.replies[f"{request.method} {words[0]} {words[-1] if len(words) > 2 else ''}".strip()] = len(data)

    def send(self, connection, request, data, rule):
        self.note(request, data)
        if rule and rule["do"] == "cut" and rule["bytes"] < len(data):
            connection.send(data[:rule["bytes"]])
            raise Hangup
        if rule and rule["do"] == "trickle":
            connection.trickle(data, rule.get("bytes", 1), rule.get("seconds", 0))
        else:
            connection.send(data)

    # --- upgraded connections ---

    def stream(self, connection, request, rule):
        run = self.engine.execs.get(request.path.split("/")[2])
        request.body()
        if run is None:
            connection.send(Reply.problem(404, "No such exec instance").to_bytes())
            return
        head = Reply(101, b"", {"Content-Type": "application/vnd.docker.raw-stream", "Connection": "Upgrade",
                                "Upgrade": "tcp"}).to_bytes()
        self.note(request, head)
        what = rule.get("what") if rule and rule["do"] == "stream" else None
        if rule and rule["do"] == "cut":
            connection.send(head[:rule["bytes"]])
            if rule["bytes"] < len(head):
                raise Hangup
        else:
            connection.send(head)
        spoil = {
            None: lambda c, s, d: c.send(c.frame(s, d)),
            "bytes": lambda c, s, d: c.trickle(c.frame(s, d), 1, 0),
            "split": lambda c, s, d: [c.send(c.frame(s, d[at:at + 3])) for at in range(0, len(d), 3)],
            "empty": lambda c, s, d: c.send(c.frame(s, b"") + c.frame(2, b"") + c.frame(s, d)),
            "noise": lambda c, s, d: c.send(c.frame(2, b"a word\n") + c.frame(s, d)),
            "type": lambda c, s, d: c.send(c.frame(7, d)),
            "oversized": lambda c, s, d: c.send(b"\1\0\0\0\xff\xff\xff\xff" + d),
            "padding": lambda c, s, d: c.send(b"\1\1\1\1" + c.frame(s, d)[4:] + d),
        }
        endless = {"errors": connection.frame(2, b"e" * 60000), "nothing": connection.frame(1, b"") * 4096,
                   "zeros": connection.frame(1, b"\0" * 60000)}
        if what == "end":
            raise Hangup
        if what == "silence":
            connection.hang()
        while what in endless:
            connection.send(endless[what])
        run.run(connection, spoil[what])
        raise Hangup


def main():
    parser = argparse.ArgumentParser(prog="engine", description=__doc__)
    parser.add_argument("--socket", required=True, help="path of the socket to listen on")
    parser.add_argument("--version", default="1.47", help="of the API")
    parser.add_argument("--image", action="append", default=[], help="an image that is there")
    parser.add_argument("--foreign", action="append", default=[], help="a running container that somebody else made")
    parser.add_argument("--lifetime", type=float, default=600, help="seconds")
    options = parser.parse_args()
    folder = tempfile.mkdtemp(prefix="engine-double.")
    double = Double(options, folder)
    for name in options.image:
        double.engine.add_image(name)
    for name in options.foreign:
        double.engine.add_foreign(name)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(options.socket)
    listener.listen(64)

    def accept():
        number = 0
        while True:
            sock, _ = listener.accept()
            number += 1
            threading.Thread(target=double.serve, args=(sock, number), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    print("ready", flush=True)
    # It ends when its stdin does, whatever becomes of who started it.
    watch = threading.Thread(target=sys.stdin.buffer.read, daemon=True)
    watch.start()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        until = time.monotonic() + options.lifetime
        while watch.is_alive() and time.monotonic() < until:
            watch.join(0.1)
    finally:
        double.engine.end()
        shutil.rmtree(folder, True)
        os.unlink(options.socket)
        sys.stdout.flush()
        os._exit(0)


main()
