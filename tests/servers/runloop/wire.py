"""HTTP/1.1: requests from connections that stay open, and replies, whole or damaged as a fault demands."""
import asyncio
import collections
import http.client
import json
import socket
import struct
import urllib.parse

HEAD_LIMIT = 64 * 1024
BODY_LIMIT = 1 << 30
Damage = collections.namedtuple("Damage", "cut piece pause how", defaults=(None, 0, 0, "close"))


class Problem(Exception):
    """Becomes an error reply: {"message": ...}."""

    def __init__(self, status, message, headers=None):
        super().__init__(message)
        self.status, self.message, self.headers = status, message, headers or {}

    def reply(self):
        return Reply(self.status, json_bytes({"message": self.message}), headers=self.headers)


class Hangup(Exception):
    """Ends the connection at once. how: close, or reset (the peer sees a reset connection)."""

    def __init__(self, how="close"):
        super().__init__(how)
        self.how = how


class Reply:
    """body: bytes, or an asynchronous generator of bytes, which is sent in chunks as it comes."""

    def __init__(self, status=200, body=b"", kind="application/json", headers=None):
        self.status, self.body, self.kind, self.headers = status, body, kind, dict(headers or {})
        self.damage = Damage()


class Request:
    def __init__(self, method, target, headers, body, connection):
        self.method, self.target, self.headers, self.body, self.connection = method, target, headers, body, connection
        parts = urllib.parse.urlsplit(target)
        self.path = parts.path
        self.query = dict(urllib.parse.parse_qsl(parts.query, keep_blank_values=True))
        self.closed_bodies = False

    def object(self):
        """The body as an object; nothing is an empty one."""
        if not self.body.strip():
            return {}
        try:
            value = json.loads(self.body)
        except ValueError as error:
            raise Problem(400, f"the body is not JSON: {error}") from None
        if not isinstance(value, dict):
            raise Problem(400, "the body is not a JSON object")
        return value

    def json(self, *known):
        """As object, without what is null. Unknown properties are refused where bodies are closed."""
        value = self.object()
        odd = sorted(set(value) - set(known))
        if odd and self.closed_bodies:
            raise Problem(400, f"unknown property '{odd[0]}'")
        return {name: one for name, one in value.items() if one is not None}


def json_bytes(value):
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")


def text_of(body, name, required=False):
    value = body.get(name)
    if value is None and not required:
        return None
    if not isinstance(value, str):
        raise Problem(400, f"'{name}' is missing" if value is None else f"'{name}' is not a text")
    return value


def number_of(body, name, default, low, high):
    """A JSON number, also 30.0 where an integer is meant, or its digits in a query; outside of the range: 400."""
    value = body.get(name, default)
    try:
        if isinstance(value, bool):
            raise ValueError
        value = float(value)
    except (TypeError, ValueError):
        raise Problem(400, f"'{name}' is not a number") from None
    if not low <= value <= high:
        raise Problem(400, f"'{name}' is outside of {low} to {high}")
    return value


def flag_of(body, name, default=False):
    value = body.get(name, default)
    if value in (True, "true"):
        return True
    if value in (False, "false", ""):
        return False
    raise Problem(400, f"'{name}' is neither true nor false")


def texts_of(body, name):
    """An object of texts, such as metadata."""
    value = body.get(name, {})
    if not isinstance(value, dict) or not all(isinstance(one, str) for one in value.values()):
        raise Problem(400, f"'{name}' is not an object of texts")
    return value


def text_list_of(body, name):
    """A list of texts, such as commands."""
    value = body.get(name) or []
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise Problem(400, f"'{name}' is not a list of texts")
    return value


class Connection:
    """One client's connection. answer: the coroutine that makes a Reply out of a Request."""

    def __init__(self, number, reader, writer, knobs):
        self.number, self.reader, self.writer, self.knobs = number, reader, writer, knobs
        self.replies = 0

    async def serve(self, answer):
        try:
            while True:
                request = await self.read_request()
                if request is None:
                    return
                reply = await answer(request)
                self.replies += 1
                announced, silent = self.knobs["close_after"], self.knobs["close_silently_after"]
                last = bool(announced and self.replies >= announced)
                last = last or request.headers.get("connection", "").lower() == "close"
                await self.send(reply, last, request.method == "HEAD")
                if last or (silent and self.replies >= silent):
                    return
        except Problem as problem:  # the request itself could not be read
            await self.send(problem.reply(), True, False)
        except Hangup as hangup:
            self.hang_up(hangup.how)

    def hang_up(self, how):
        if how == "reset":
            sock = self.writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.writer.transport.abort()
        else:
            self.writer.close()

    async def read_request(self):
        try:
            head = await self.reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            return None
        except asyncio.LimitOverrunError:
            raise Problem(431, "the request's head is too long") from None
        lines = head.decode("latin-1").split("\r\n")[:-2]
        words = lines[0].split(" ")
        if len(words) != 3 or words[2] not in ("HTTP/1.1", "HTTP/1.0"):
            raise Problem(400, "that is not a request of HTTP/1.1")
        headers = {}
        for line in lines[1:]:
            name, colon, value = line.partition(":")
            if not colon or name != name.strip() or not name:
                raise Problem(400, "a header line is malformed")
            headers[name.lower()] = value.strip()
        if headers.get("expect", "").lower() == "100-continue":
            self.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        return Request(words[0], words[1], headers, await self.read_body(headers), self.number)

    async def read_body(self, headers):
        try:
            if headers.get("transfer-encoding", "").lower() == "chunked":
                return await self.read_chunks()
            length = headers.get("content-length", "0")
            if not length.isascii() or not length.isdigit() or int(length) > BODY_LIMIT:
                raise Problem(400, "content-length is no length, or too long")
            return await self.read_exactly(int(length))
        except asyncio.IncompleteReadError:
            raise Hangup() from None

    async def read_exactly(self, length):
        """As many bytes; a client that stays silent in between gets the service's 408."""
        parts, left = [], length
        while left > 0:
            try:
                part = await asyncio.wait_for(self.reader.read(min(left, 1 << 20)), self.knobs["upload_idle_seconds"])
            except asyncio.TimeoutError:
                raise Problem(408, "Request timed out waiting for request data") from None
            if not part:
                raise Hangup()
            parts.append(part)
            left -= len(part)
        return b"".join(parts)

    async def read_chunks(self):
        parts, total = [], 0
        while True:
            line = await self.reader.readline()
            try:
                size = int(line.split(b";")[0], 16)
            except ValueError:
                raise Problem(400, "a chunk's size is malformed") from None
            total += size
            if size < 0 or total > BODY_LIMIT:
                raise Problem(413, "the body is too long")
            if size == 0:
                while await self.reader.readline() not in (b"\r\n", b"\n", b""):
                    pass
                return b"".join(parts)
            parts.append(await self.read_exactly(size))
            await self.reader.readline()

    async def send(self, reply, last, head_only):
        whole = isinstance(reply.body, bytes)
        reason = http.client.responses.get(reply.status, "Unknown")
        lines = [f"HTTP/1.1 {reply.status} {reason}"]
        if reply.status != 204 and not (whole and not reply.body):
            lines.append(f"content-type: {reply.kind}")
        lines += [f"{name}: {value}" for name, value in reply.headers.items()]
        lines.append(f"content-length: {len(reply.body)}" if whole else "transfer-encoding: chunked")
        if last:
            lines.append("connection: close")
        self.writer.write("\r\n".join(lines).encode("latin-1", "replace") + b"\r\n\r\n")
        if head_only:
            await self.writer.drain()
        elif whole:
            await self.send_bytes(reply.body, reply.damage)
        else:
            await self.send_stream(reply.body)

    async def send_bytes(self, body, damage):
        if damage.piece:
            await self.writer.drain()
            for start in range(0, len(body), damage.piece):
                self.writer.write(body[start:start + damage.piece])
                await self.writer.drain()
                await asyncio.sleep(damage.pause)
        else:
            self.writer.write(body if damage.cut is None else body[:damage.cut])
        await self.writer.drain()
        if damage.cut is not None:
            raise Hangup(damage.how)

    async def send_stream(self, pieces):
        """Each piece is one chunk, out at once; the head goes out before the first one is there."""
        await self.writer.drain()
        try:
            async for piece in pieces:
                self.writer.write(b"%x\r\n%s\r\n" % (len(piece), piece))
                await self.writer.drain()
        finally:
            await pieces.aclose()
        self.writer.write(b"0\r\n\r\n")
        await self.writer.drain()
