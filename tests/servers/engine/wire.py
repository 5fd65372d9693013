"""HTTP/1.1 on a unix socket: requests of connections that stay open, and replies, whole or spoilt."""
import json
import socket
import struct
import time
import urllib.parse

HEAD_LIMIT = 64 * 1024
HANG_SECONDS = 600


class Hangup(Exception):
    """Ends the connection at once."""


class Reply:
    def __init__(self, status=200, body=b"", headers=None):
        self.status, self.headers = status, dict(headers or {})
        self.body = body if isinstance(body, bytes) else json.dumps(body, separators=(",", ":")).encode()

    @classmethod
    def problem(cls, status, message):
        return cls(status, {"message": message})

    def to_bytes(self, method="GET"):
        words = {101: "UPGRADED", 200: "OK", 201: "Created", 204: "No Content"}
        head = [f"HTTP/1.1 {self.status} {words.get(self.status, 'Problem')}"]
        headers = dict(self.headers)
        if self.status not in (101, 204):
            headers.setdefault("Content-Length", str(len(self.body)))
        head += [f"{name}: {value}" for name, value in headers.items()]
        body = b"" if method == "HEAD" or self.status == 204 else self.body
        return "\r\n".join(head).encode() + b"\r\n\r\n" + body


class Request:
    def __init__(self, method, target, headers, connection):
        self.method, self.target, self.headers, self.connection = method, target, headers, connection
        parts = urllib.parse.urlsplit(target)
        path = parts.path
        # /v1.41/containers/json is /containers/json
        first, _, rest = path[1:].partition("/")
        self.version = first if first.startswith("v1.") else None
        self.path = "/" + rest if self.version else path
        self.query = dict(urllib.parse.parse_qsl(parts.query, keep_blank_values=True))
        self.read = False

    def body(self):
        """All of it, once."""
        if self.read:
            return b""
        self.read = True
        if self.headers.get("expect", "").lower() == "100-continue":
            self.connection.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        if self.headers.get("transfer-encoding", "").lower() == "chunked":
            return self.connection.chunks()
        return self.connection.exactly(int(self.headers.get("content-length", "0")))

    def object(self):
        return json.loads(self.body() or b"{}")


class Connection:
    def __init__(self, sock, number):
        self.sock, self.number, self.rest = sock, number, b""

    def receive(self):
        try:
            data = self.sock.recv(65536)
        except OSError:
            raise Hangup from None
        if not data:
            raise Hangup
        return data

    def until(self, mark):
        while mark not in self.rest:
            if len(self.rest) > HEAD_LIMIT:
                raise Hangup
            self.rest += self.receive()
        text, _, self.rest = self.rest.partition(mark)
        return text

    def exactly(self, count):
        pieces, have = [self.rest], len(self.rest)
        while have < count:
            pieces.append(self.receive())
            have += len(pieces[-1])
        data = b"".join(pieces)
        self.rest = data[count:]
        return data[:count]

    def chunks(self):
        data = b""
        while True:
            size = int(self.until(b"\r\n").split(b";")[0], 16)
            data += self.exactly(size)
            self.until(b"\r\n")
            if size == 0:
                return data

    def request(self):
        lines = self.until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        method, target, _ = lines[0].split(" ")
        headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            headers[name.strip().lower()] = value.strip()
        return Request(method, target, headers, self)

    def send(self, data):
        try:
            self.sock.sendall(data)
        except OSError:
            raise Hangup from None

    def trickle(self, data, piece, seconds):
        for at in range(0, len(data), piece):
            self.send(data[at:at + piece])
            time.sleep(seconds)

    def hang(self):
        """Says nothing until the other side goes away."""
        self.sock.settimeout(HANG_SECONDS)
        while True:
            self.receive()

    def stall(self):
        """Reads nothing either, until the other side goes away."""
        until = time.monotonic() + HANG_SECONDS
        while time.monotonic() < until:
            # A peer that closed with bytes of ours unread, or of its own on the way, is seen by an empty write.
            time.sleep(0.05)
            state = self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if state != 0 or self.peer_closed():
                break
        raise Hangup

    def peer_closed(self):
        try:
            return self.sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True

    def flood(self, what):
        heads = {"body": b"HTTP/1.1 200 OK\r\nApi-Version: 1.47\r\nTransfer-Encoding: chunked\r\n\r\n",
                 "json": b"HTTP/1.1 200 OK\r\nApi-Version: 1.47\r\n\r\n[", "headers": b"HTTP/1.1 200 OK\r\n"}
        parts = {"body": b"10000\r\n" + b"x" * 65536 + b"\r\n", "json": b'{"Id":"a","State":"b"},' * 3000,
                 "headers": b"X-More: " + b"y" * 1000 + b"\r\n"}
        self.send(heads[what])
        while True:
            self.send(parts[what])

    @staticmethod
    def frame(stream, data):
        return struct.pack(">BxxxI", stream, len(data)) + data
