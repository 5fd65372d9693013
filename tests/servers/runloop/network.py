"""Tunnels to the ports of a devbox, and its SSH keys.

A tunnel's address is PORT-KEY.tunnel.HOST; a request whose Host begins with PORT-KEY is passed on to that port of the
loopback interface, which devboxes of this double share.
"""
import asyncio
import hmac
import re
import secrets
import time

import ecdsa
import pages
import wire

HOST = re.compile(r"(\d{1,5})-([0-9a-z]+)\.")
ANSWER_SECONDS = 60


class Tunnel:
    def __init__(self, mode, keep_alive, wake):
        self.key, self.mode, self.keep_alive, self.wake = secrets.token_hex(10), mode, keep_alive, wake
        self.create_time_ms = pages.now_ms()
        self.token = secrets.token_hex(20) if mode == "authenticated" else None

    def view(self):
        return {"tunnel_key": self.key, "auth_mode": self.mode, "create_time_ms": self.create_time_ms,
                "http_keep_alive": self.keep_alive, "wake_on_http": self.wake, "auth_token": self.token}


class Network:
    def __init__(self, service):
        self.service, self.keys = service, {}

    def routes(self):
        one = "/v1/devboxes/{id}/"
        return [("POST", one + "enable_tunnel", self.enable), ("POST", one + "remove_tunnel", self.remove),
                ("POST", one + "create_pty_tunnel", self.create_pty_tunnel),
                ("POST", one + "create_ssh_key", self.create_ssh_key)]

    def new_tunnel(self, body):
        if not isinstance(body, dict):
            raise wire.Problem(400, "'tunnel' is not an object")
        mode = body.get("auth_mode") or "open"
        if mode not in ("open", "authenticated"):
            raise wire.Problem(400, f"no auth_mode '{mode}'")
        return Tunnel(mode, wire.flag_of(body, "http_keep_alive", True), wire.flag_of(body, "wake_on_http"))

    async def enable(self, request, id):
        devbox, body = self.service.devboxes.find(id), request.json("auth_mode", "http_keep_alive", "wake_on_http")
        devbox.need_running()
        if devbox.tunnel:
            raise wire.Problem(400, f"devbox {id} has a tunnel")
        devbox.tunnel = self.new_tunnel(body)
        return devbox.tunnel.view()

    async def remove(self, request, id):
        devbox = self.service.devboxes.find(id)
        request.json()
        if not devbox.tunnel:
            raise wire.Problem(404, f"devbox {id} has no tunnel")
        devbox.tunnel = None
        return {}

    async def create_pty_tunnel(self, request, id):
        """Only the key and the token: the terminal behind them is not part of this double."""
        request.json()
        self.service.devboxes.find(id).need_running()
        return {"tunnel_key": secrets.token_hex(10), "auth_token": secrets.token_hex(20)}

    async def create_ssh_key(self, request, id):
        devbox = self.service.devboxes.find(id)
        request.json()
        devbox.need_running()
        return {"id": pages.new_id("key_"), "url": f"{id.replace('_', '-').lower()}.ssh.invalid",
                "ssh_user": devbox.box.user, "ssh_private_key": ecdsa.new_private_key_pem()}

    async def passed_on(self, request):
        """The reply of what listens behind a tunnel; None where the request is for the service itself."""
        match = HOST.match(request.headers.get("host", ""))
        if not match:
            return None
        try:
            return await self.pass_on(request, int(match.group(1)), match.group(2))
        except wire.Problem as problem:
            return problem.reply()

    async def pass_on(self, request, port, key):
        found = [one for one in self.service.devboxes.known.values() if one.tunnel and one.tunnel.key == key]
        if not found:
            raise wire.Problem(404, "no such tunnel")
        devbox = found[0]
        if devbox.tunnel.token is not None:
            given = request.headers.get("x-runloop-tunnel-authorization", "")
            if not hmac.compare_digest(given.encode(), f"Bearer {devbox.tunnel.token}".encode()):
                raise wire.Problem(401, "the tunnel wants its token")
        if devbox.status == "suspended" and devbox.tunnel.wake:
            devbox.become("resuming")
            await devbox.resume()
        if devbox.status != "running":
            raise wire.Problem(502, f"devbox {devbox.id} is {devbox.status}")
        if devbox.tunnel.keep_alive:
            devbox.active = time.monotonic()
        try:
            return await asyncio.wait_for(exchange(request, port), ANSWER_SECONDS)
        except (OSError, ValueError, asyncio.IncompleteReadError, asyncio.TimeoutError):
            raise wire.Problem(502, f"nothing answers on port {port}") from None


async def exchange(request, port):
    """Asks the server on that port; its whole reply."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        hidden = ("connection", "x-runloop-tunnel-authorization", "transfer-encoding", "content-length", "expect")
        lines = [f"{request.method} {request.target} HTTP/1.0"]
        lines += [f"{name}: {value}" for name, value in request.headers.items() if name not in hidden]
        lines.append(f"content-length: {len(request.body)}")
        writer.write("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + request.body)
        await writer.drain()
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        body = await reader.read(wire.BODY_LIMIT)
    finally:
        writer.close()
    headers = dict((name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in head[1:-2]))
    for name in ("connection", "content-length", "keep-alive"):
        headers.pop(name, None)
    return wire.Reply(int(head[0].split(" ")[1]), body, headers.pop("content-type", "text/plain"), headers)
