"""Server-sent events: the output of a run from an offset on, and what can go wrong with it."""
import asyncio
import json
import time

import wire

SILENCE_SECONDS = 600


def event(value, form="plain", name=None):
    """One event as it stands on the wire."""
    text = json.dumps(value, ensure_ascii=False)
    lines = [f"event: {name}"] if name else ["event: update", "id: 7"] if form == "named" else []
    if form == "multiline":
        lines += [f"data: {part}" for part in json.dumps(value, ensure_ascii=False, indent=1).split("\n")]
    else:
        lines.append(f"data: {text}" if form != "crlf" else f"data:{text}")
    if form == "comments":
        lines = [": a comment", *lines, ":"]
    end = "\r\n" if form == "crlf" else "\n"
    return (end.join(lines) + end + end).encode()


def error_event(code, message):
    return event({"code": code, "message": message}, name="error")


def boundary(data, place):
    """The last place up to this one where a character begins."""
    while 0 < place < len(data) and data[place] & 0xC0 == 0x80:
        place -= 1
    return place


class Stream:
    """The events of one output from an offset. rule: a fault, or None."""

    def __init__(self, output, offset, knobs, rule):
        self.output, self.knobs, self.rule = output, knobs, rule
        self.place = boundary(output.bytes, min(offset, len(output.bytes)))
        if offset > self.place and offset > len(output.bytes):
            self.place = offset  # nothing until the output is as long
        self.last = None

    def next_chunk(self):
        """The next event's value, or None where there is nothing now."""
        data = self.output.bytes
        end = min(len(data), self.place + self.knobs["chunk_bytes"])
        if self.rule is not None and self.place < self.rule.get("at_byte", 0) < end:
            end = self.rule["at_byte"]
        cut = boundary(data, end)
        if cut <= self.place:
            cut = end
            while cut < len(data) and data[cut] & 0xC0 == 0x80:
                cut += 1
        if cut <= self.place:
            return None
        value = {"output": data[self.place:cut].decode("utf-8", "replace")}
        if self.knobs["offsets"] != "absent":
            value["offset"] = self.place if self.knobs["offsets"] == "start" else cut
        self.place = cut
        return value

    async def events(self):
        form, heard = self.knobs["stream_form"], time.monotonic()
        commented = heard
        while True:
            if self.rule is not None and self.place >= self.rule.get("at_byte", 0):
                async for piece in self.spoil():
                    yield piece
            changed, value = self.output.changed, self.next_chunk()
            if value is not None:
                self.last = event(value, form)
                for piece in pieces(self.last, form):
                    yield piece
                heard = commented = time.monotonic()
                continue
            if self.output.done:
                return
            now, idle, comment = time.monotonic(), self.knobs["stream_idle_seconds"], self.knobs["comment_seconds"]
            if idle and now - heard >= idle:
                yield error_event(408, "the stream was idle")
                return
            if comment and now - commented >= comment:
                yield b": keepalive\n\n"
                commented = now
            left = [heard + idle - now] * bool(idle) + [commented + comment - now] * bool(comment)
            try:
                await asyncio.wait_for(changed.wait(), max(0.01, min(left)) if left else None)
            except asyncio.TimeoutError:
                pass

    async def spoil(self):
        """Does what the rule wants, once. What ends the stream does so by an exception."""
        rule, self.rule = self.rule, None
        what = rule.get("what", "error")
        if what == "error":
            yield error_event(rule.get("code", 408), rule.get("message", "a fault that was asked for"))
            raise Done
        if what == "end":
            raise Done
        if what in ("cut", "reset"):
            raise wire.Hangup("reset" if what == "reset" else "close")
        if what == "silence":
            await asyncio.sleep(rule.get("seconds", SILENCE_SECONDS))
        elif what == "junk":
            yield b"data: this is not JSON\n\n"
        elif what == "repeat" and self.last is not None:
            yield self.last
        elif what == "half":
            yield (self.last or b"data: {")[:-1]
            raise Done


class Done(Exception):
    """The stream ends here, as if the output had."""


def pieces(data, form):
    """One write each."""
    if form != "bytewise":
        return [data]
    return [data[place:place + 1] for place in range(len(data))]


class Streams:
    def __init__(self, service):
        self.service, self.knobs = service, service.knobs

    def routes(self):
        run = "/v1/devboxes/{id}/executions/{run}"
        return [("GET", run + "/stream_stdout_updates", self.stdout),
                ("GET", run + "/stream_stderr_updates", self.stderr)]

    async def stdout(self, request, id, run):
        return self.stream(request, self.find(id, run).stdout)

    async def stderr(self, request, id, run):
        return self.stream(request, self.find(id, run).stderr)

    def find(self, id, run):
        devbox = self.service.devboxes.find(id)
        if run not in devbox.runs:
            raise wire.Problem(404, f"execution not found: {run}")
        return devbox.runs[run]

    def stream(self, request, output):
        offset = int(wire.number_of(request.query, "offset", 0, 0, 1 << 62))
        source = Stream(output, offset, self.knobs, getattr(request, "rule", None))

        async def events():
            try:
                async for piece in source.events():
                    yield piece
            except Done:
                return
        return wire.Reply(200, events(), "text/event-stream", {"cache-control": "no-cache"})
