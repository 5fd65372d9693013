"""What the documentation of the Runloop service leaves open, asked of a service: each function asks one question on a
devbox that runs and answers what it found, in a few words. The last ones suspend the devbox and end it."""
import http.client
import json
import secrets
import time
import urllib.parse
import uuid

WAIT_SECONDS = 60
SILENT_SECONDS = 45


class Answer:
    """A reply as it came."""

    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body or b"null")

    @property
    def short(self):
        return f"HTTP {self.status}"


class Service:
    """Calls to a service, each on a connection of its own."""

    def __init__(self, url, key, record=None):
        self.url, self.key, self.seen, self.record = urllib.parse.urlsplit(url), key, set(), record

    def note(self, method, path, reply, body):
        """Writes an answer down as the fixtures have it, so that it can be one."""
        if self.record is not None:
            self.record.write(json.dumps({"method": method, "target": path, "status": reply.status,
                                          "type": reply.getheader("content-type", ""),
                                          "reply": {"text": body.decode("utf-8", "replace")}},
                                         ensure_ascii=False) + "\n")

    def open(self, method, path, body=None, headers=None, timeout=WAIT_SECONDS):
        """The connection and the reply of which the head has come."""
        kind = http.client.HTTPSConnection if self.url.scheme == "https" else http.client.HTTPConnection
        one = kind(self.url.hostname, self.url.port, timeout=timeout)
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        one.request(method, path, body, {"authorization": f"Bearer {self.key}", "content-type": "application/json",
                                         "accept": "application/json", **(headers or {})})
        reply = one.getresponse()
        self.seen.update(name.lower() for name, _ in reply.getheaders())
        return one, reply

    def call(self, method, path, body=None, **more):
        one, reply = self.open(method, path, body, **more)
        try:
            text = reply.read()
            self.note(method, path, reply, text)
            return Answer(reply.status, reply.headers, text)
        finally:
            one.close()

    def post(self, path, body=None, **more):
        return self.call("POST", path, {} if body is None else body, **more)

    def must(self, path, body=None, **more):
        """What a POST answers, where it answers well."""
        answer = self.post(path, body, **more)
        if answer.status != 200:
            raise OSError(f"{path}: {answer.short} {answer.body[:200]!r}")
        return answer.json


class Box:
    """A devbox that runs. silent: how long a stream that says nothing is listened to."""

    def __init__(self, service, id, created, silent=SILENT_SECONDS):
        self.service, self.id, self.created, self.silent = service, id, created, silent
        self.path = f"/v1/devboxes/{id}"

    def start(self, command, **more):
        """The path of a run."""
        view = self.service.must(self.path + "/execute_async", {"command": command, **more})
        return f"{self.path}/executions/{view['execution_id']}"

    def wait(self, run, seconds=WAIT_SECONDS):
        """Its view when it has ended; None: it has not."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            left = max(1, min(25, int(until - time.monotonic())))
            answer = self.service.post(run + "/wait_for_status", {"statuses": ["completed"], "timeout_seconds": left})
            if answer.status == 200:
                return answer.json
            if answer.status != 408:
                raise OSError(f"wait_for_status: {answer.short}")
            time.sleep(0.25)
        return None

    def run(self, command, **more):
        view = self.wait(self.start(command, **more))
        if view is None:
            raise OSError("the command has not ended")
        return view

    def await_begun(self, run):
        """Until it no longer waits to be started."""
        self.service.post(run + "/wait_for_status", {"statuses": ["running", "completed"], "timeout_seconds": 20})

    def kill(self, run):
        self.service.must(run + "/kill", {"kill_process_group": True})

    def await_status(self, *statuses):
        until = time.monotonic() + 2 * WAIT_SECONDS
        while time.monotonic() < until:
            answer = self.service.post(self.path + "/wait_for_status",
                                       {"statuses": list(statuses), "timeout_seconds": 20})
            if answer.status == 200:
                return answer.json["status"]
            if answer.status != 408:
                raise OSError(f"wait_for_status: {answer.short}")
            time.sleep(0.25)
        raise OSError(f"the devbox is not {' or '.join(statuses)}")

    def stream(self, run, offset=0, seconds=WAIT_SECONDS, word=None):
        """(seconds since the head, line) of its standard output's stream, and at last (seconds, None). word: a line
        with it is the last one."""
        path, text = f"{run}/stream_stdout_updates?offset={offset}", b""
        one, reply = self.service.open("GET", path, headers={"accept": "text/event-stream"}, timeout=seconds)
        begin, lines = time.monotonic(), []
        try:
            if reply.status != 200:
                raise OSError(f"the stream: HTTP {reply.status}")
            while time.monotonic() - begin < seconds:
                line = reply.readline()
                text += line
                if not line:
                    return lines + [(time.monotonic() - begin, None)]
                lines.append((time.monotonic() - begin, line.decode().rstrip("\r\n")))
                if word is not None and word in lines[-1][1]:
                    return lines
        except TimeoutError:
            pass
        finally:
            self.service.note("GET", path, reply, text)
            one.close()
        return lines

    def chunks(self, run, offset=0):
        """[(output, offset or None)] of a run that has ended."""
        found = []
        for _, line in self.stream(run, offset):
            if line and line.startswith("data:"):
                value = json.loads(line[5:])
                if "output" in value:
                    found.append((value["output"], value.get("offset")))
        return found


# --- questions ------------------------------------------------------------------------------------------------------

def error_body(box):
    """What does an error say?"""
    answer = box.service.call("GET", "/v1/devboxes/dbx_nosuchdevbox")
    try:
        return f"{answer.short}, JSON with {', '.join(sorted(answer.json)) or 'nothing'}"
    except (ValueError, TypeError):
        return f"{answer.short}, no object: {answer.body[:80]!r}"


def request_id(box):
    """Is a request with an x-request-id that was seen before carried out again?"""
    headers = {"x-request-id": "sbx-live-" + secrets.token_hex(8)}
    runs = [box.service.must(box.path + "/execute_async", {"command": "true"}, headers=headers)["execution_id"]
            for _ in range(2)]
    return "the first answer again" if runs[0] == runs[1] else "carried out again"


def command_id(box):
    """Is the execution's id the command_id, and what does the same one used again do?"""
    random = uuid.uuid4().hex
    token = f"{int(time.time() * 1000):012x}"
    token = str(uuid.UUID(hex=token + "7" + random[13:16] + "8" + random[17:]))
    first, second = (box.service.post(box.path + "/execute", {"command": f"echo {word}", "command_id": token})
                     for word in ("one", "two"))
    if first.status != 200:
        return first.short
    own = "the command_id" if first.json["execution_id"] == token else "another one"
    if second.status != 200:
        return f"{own}; again: {second.short}"
    same = second.json["execution_id"] == first.json["execution_id"]
    return f"{own}; again: {'the same run' if same else 'a new run'}, output {second.json.get('stdout')!a}"


def execute_over_time(box):
    """What does execute answer when the command takes longer than its optimistic_timeout?"""
    token = str(uuid.UUID(hex=f"{int(time.time() * 1000):012x}7{secrets.token_hex(8)[:3]}8{secrets.token_hex(8)[:15]}"))
    answer = box.service.post(box.path + "/execute", {"command": "sleep 3", "command_id": token,
                                                      "optimistic_timeout": 1})
    return f"{answer.short}, {answer.json.get('status')}" if answer.status == 200 else answer.short


def offsets(box):
    """Is an event's offset the first byte of its chunk, or the one behind it?"""
    run = box.start("printf aaaa; sleep 1; printf bbbb; sleep 1; printf cccc")
    place, kinds = 0, set()
    for output, offset in box.chunks(run):
        end = place + len(output.encode())
        kinds.add("absent" if offset is None else "start" if offset == place else "end" if offset == end else "other")
        place = end
    box.wait(run)
    resumed = "".join(output for output, _ in box.chunks(run, 4))
    return f"{' and '.join(sorted(kinds)) or 'no event'}; from offset 4 on comes {resumed!a}"


def utf8_edges(box):
    """Is a character at the edge of a chunk cut?"""
    text = "\u00e4\u20ac\U0001f600" * 100
    run = box.start(f"i=0; while [ $i -lt 200 ]; do printf %s '{text}'; i=$((i+1)); done")
    box.wait(run)
    got = "".join(output for output, _ in box.chunks(run))
    if got == text * 200:
        return "never"
    return "replacement characters" if "\ufffd" in got else f"{len(got.encode())} of {len(text.encode()) * 200} bytes"


def invalid_bytes(box):
    """What becomes of bytes that are no UTF-8?"""
    run = box.start(r"printf 'a\377b\000c'")
    view = box.wait(run) or {}
    return f"{''.join(output for output, _ in box.chunks(run))!a} in the stream, {view.get('stdout')!a} in the view"


def silent_stream(box):
    """How does a stream end on which nothing is said?"""
    run = box.start("sleep 300")
    lines = box.stream(run, 0, box.silent)
    box.kill(run)
    comments = sum(1 for _, line in lines if line and line.startswith(":"))
    names = [line[6:].strip() for _, line in lines if line and line.startswith("event:")]
    data = [line[5:].strip() for _, line in lines if line and line.startswith("data:")]
    if not lines or lines[-1][1] is not None:
        return f"not within {box.silent:g} s; {comments} comments"
    how = f"by the event {names[-1]} {data[-1] if data else ''}".rstrip() if names else "without an event"
    return f"after {lines[-1][0]:.0f} s {how}; {comments} comments"


def killed_run(box):
    """What is told of a run that was killed?"""
    run = box.start("echo begun; sleep 300")
    box.stream(run, 0, 20, "begun")
    box.kill(run)
    view = box.wait(run, 20)
    if view is None:
        return "it does not end"
    return f"{view['status']}, exit status {view.get('exit_status')}, output {view.get('stdout')!a}"


def own_signal(box):
    """What is told of a command that died of a signal by itself?"""
    return f"exit status {box.run('kill -SEGV $$').get('exit_status')}"


def killed_in_queue(box):
    """May a run be killed that still waits for its shell?"""
    shell = "live" + secrets.token_hex(4)
    first = box.start("sleep 300", shell_name=shell)
    second = box.start("echo ran", shell_name=shell)
    answer = box.service.post(second + "/kill", {})
    box.kill(first)
    view = box.wait(second, 20)
    told = "it does not end" if view is None else f"exit status {view.get('exit_status')}, output {view.get('stdout')!a}"
    return f"{answer.short}, {told}"


def background(box):
    """Is a run completed while something in the background holds its output?"""
    run = box.start("sleep 300 & echo done")
    view = box.wait(run, 3)
    box.kill(run)
    return "yes" if view else "not within 3 s"


def view_bytes(box):
    """How much of a long output is in a view?"""
    view = box.run("head -c 1980000 /dev/zero | tr '\\0' x | fold -w 20000")
    flag = "flagged" if view.get("stdout_truncated") else "not flagged"
    return f"{len((view.get('stdout') or '').encode())} of 1980098 bytes, {flag}"


def stdin(box):
    """Does sending standard input work?"""
    run = box.start("cat; echo end", attach_stdin=True)
    box.await_begun(run)
    text = box.service.post(run + "/send_std_in", {"text": "hello\n"})
    end = box.service.post(run + "/send_std_in", {"signal": "EOF"})
    view = box.wait(run, 10)
    if view is None:
        box.kill(run)
        return f"text: {text.short}, EOF: {end.short}, it does not end"
    return f"text: {text.short}, EOF: {end.short}, exit status {view.get('exit_status')}, output {view.get('stdout')!a}"


def upload(box, path, data):
    mark = secrets.token_hex(12)
    body = (f'--{mark}\r\ncontent-disposition: form-data; name="path"\r\n\r\n{path}\r\n--{mark}\r\ncontent-disposition: '
            f'form-data; name="file"; filename="f"\r\ncontent-type: application/octet-stream\r\n\r\n').encode()
    return box.service.post(box.path + "/upload_file", body + data + f"\r\n--{mark}--\r\n".encode(),
                            headers={"content-type": f"multipart/form-data; boundary={mark}"})


def missing_parents(box):
    """Do writing and uploading make missing directories?"""
    wrote = box.service.post(box.path + "/write_file_contents", {"file_path": "live-a/b/f", "contents": "x"})
    sent = upload(box, "live-c/d/f", b"x")
    found = box.run("cat live-a/b/f live-c/d/f 2>/dev/null | wc -c")["stdout"].strip()
    told = f" with exit status {wrote.json.get('exit_status')}" if wrote.status == 200 else ""
    return f"write: {wrote.short}{told}, upload: {sent.short}, {found} of 2 are there"


def file_modes(box):
    """Which mode does a new file have?"""
    box.service.post(box.path + "/write_file_contents", {"file_path": "live-w", "contents": "x"})
    upload(box, "live-u", b"x")
    return "write %s, upload %s" % tuple((box.run("stat -c %a live-w live-u")["stdout"].split() + ["?", "?"])[:2])


def absolute_download(box):
    """Does download_file take an absolute path?"""
    box.run("echo x >/tmp/live-d")
    return box.service.post(box.path + "/download_file", {"path": "/tmp/live-d"}).short


def command_length(box):
    """How long may a command be?"""
    found = []
    for size in (100000, 200000, 1000000):
        answer = box.service.post(box.path + "/execute_async", {"command": ": " + "x" * size})
        if answer.status == 200:
            view = box.wait(f"{box.path}/executions/{answer.json['execution_id']}", 20) or {}
            found.append(f"{size}: exit status {view.get('exit_status')}")
        else:
            found.append(f"{size}: {answer.short}")
    return ", ".join(found)


def unknown_property(box):
    """Are unknown properties of a body refused?"""
    answer = box.service.post(box.path + "/execute_async", {"command": "true", "sbx_live": 1})
    return "ignored" if answer.status == 200 else answer.short


def rate_headers(box):
    """Which headers tell of limits? None is provoked."""
    return ", ".join(sorted(name for name in box.service.seen if "rate" in name or "retry" in name)) or "none seen"


def await_running(box):
    """How does create_and_await_running answer?"""
    return box.created


def idle_timer(_):
    """What counts as use of a devbox?"""
    return "not asked: it takes the idle time of a devbox"


def over_suspend(box):
    """What is left of a run over a suspend, and what does a command for a suspended devbox answer?"""
    run = box.start("echo kept")
    box.wait(run)
    box.service.must(box.path + "/suspend", b"")
    if box.await_status("suspended", "failure", "shutdown") != "suspended":
        return "it was not suspended"
    asleep = box.service.post(box.path + "/execute_async", {"command": "true"})
    now = box.service.call("GET", box.path).json["status"]
    if now in ("suspended", "suspending"):
        box.service.must(box.path + "/resume", b"")
    if box.await_status("running", "failure", "shutdown") != "running":
        return "it was not resumed"
    again = box.service.call("GET", run)
    kept = again.json.get("stdout") if again.status == 200 else again.short
    return f"asleep: {asleep.short}, then {now}; the run afterwards: {kept!a}"


def after_shutdown(box):
    """What do a command and a shutdown answer when the devbox was shut down?"""
    view = box.service.must(box.path + "/shutdown?force=true", b"")
    run = box.service.post(box.path + "/execute_async", {"command": "true"})
    again = box.service.post(box.path + "/shutdown", b"")
    return f"{view['status']}; a command: {run.short}, a shutdown: {again.short}"


QUESTIONS = (await_running, error_body, request_id, command_id, execute_over_time, offsets, utf8_edges, invalid_bytes,
             silent_stream, killed_run, own_signal, killed_in_queue, background, view_bytes, stdin, missing_parents,
             file_modes, absolute_download, command_length, unknown_property, idle_timer, over_suspend, after_shutdown,
             rate_headers)
