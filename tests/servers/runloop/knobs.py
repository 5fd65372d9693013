"""What a test may turn: settings that hold until they are changed, and rules that spoil single requests."""
import fnmatch
import json

import wire

# name: (value at the start, what it does). The type of the value is the type that is taken.
SETTINGS = {
    "queued_seconds": (0.0, "how long a new devbox is queued; 0: it begins as provisioning"),
    "provisioning_seconds": (0.1, "how long it is provisioning"),
    "initializing_seconds": (0.1, "how long it is initializing, beside what starting it takes"),
    "suspending_seconds": (0.1, "how long a devbox is suspending"),
    "resuming_seconds": (0.1, "how long a devbox is resuming"),
    "snapshot_seconds": (0.1, "how long a snapshot is in progress, beside the copying"),
    "build_seconds": (0.1, "how long each state of a blueprint's build lasts"),
    "stuck": ("", "a state that devboxes enter and never leave: queued, provisioning, initializing, ..."),
    "failing_creates": (0, "so many of the next devboxes end in failure"),
    "failure_reason": ("execution_failed", "with this reason"),
    "failing_snapshots": (0, "so many of the next snapshots end in error"),
    "odd_status": ("", "shown as the status of devboxes that run"),
    "max_running": (0, "more devboxes than this are refused with 429; 0: no limit"),
    "hold_scale": (1.0, "long polls last this part of their time; 0: 408 at once"),
    "await_running_seconds": (10.0, "how long create_and_await_running holds"),
    "wait_should_retry": (True, "408 of an execution's long poll says x-should-retry: true"),
    "last_n": (100, "lines of output in a view where the request names no number"),
    "view_bytes": (262144, "bytes of each output in a view, at most"),
    "output_bytes": (256 << 20, "bytes kept of each output; a command that writes more has to wait for ever"),
    "offsets": ("start", "an event's offset: start or end of its chunk in bytes, or absent"),
    "chunk_bytes": (4096, "bytes of output in an event, at most"),
    "comment_seconds": (10.0, "a silent stream gets a comment so often; 0: never"),
    "stream_idle_seconds": (30.0, "a stream silent for so long ends with the event error 408; 0: never"),
    "stream_form": ("plain", "how events are written: plain, crlf, named, multiline, bytewise or comments"),
    "background_holds": (True, "a run is not completed while something holds its output open"),
    "killed_exit_status": (137, "exit status of a run that was killed; -1 and null are possible too"),
    "execution_id": ("new", "of execute: new, or the request's command_id"),
    "command_id_reuse": (True, "execute with a command_id seen before answers with that run"),
    "exec_when_stopped": (400, "status of a command for a devbox that does not run; 0: it is resumed first"),
    "retention_seconds": (0.0, "a completed run is forgotten after so long; 0: never"),
    "keep_runs": (True, "runs can still be asked for after suspend and resume"),
    "stdin_ends_run": (False, "sending stdin ends the run"),
    "second_shutdown": (200, "status of a shutdown of what has been shut down"),
    "write_exit_status": (0, "write_file_contents writes nothing and answers 200 with this exit status"),
    "make_parents": (False, "writing and uploading make missing directories"),
    "absolute_downloads": (True, "download_file takes absolute paths; otherwise 400"),
    "page_max": (5000, "items on one page, at most"),
    "total_count": (True, "lists carry total_count"),
    "dedupe": (False, "a request with an x-request-id seen before gets the first answer again"),
    "closed_bodies": (False, "unknown properties of a body are refused"),
    "close_after": (0, "a connection is closed, with an announcement, after so many replies"),
    "close_silently_after": (0, "a connection is closed, without one, after so many replies"),
    "upload_idle_seconds": (30.0, "a request that stays silent for so long gets 408"),
}
NULLABLE = ("killed_exit_status",)
CHOICES = {
    "stuck": ("", "queued", "provisioning", "initializing", "suspending", "resuming"),
    "offsets": ("start", "end", "absent"),
    "stream_form": ("plain", "crlf", "named", "multiline", "bytewise", "comments"),
    "execution_id": ("new", "command_id"),
}
# What a rule does: {its own keys: their types}. Every rule has match keys and counts beside.
RULES = {
    "reply": {"status": int, "message": str, "body": str, "type": str, "headers": dict, "when": str},
    "drop": {"when": str, "how": str},
    "cut": {"bytes": int, "how": str},
    "delay": {"seconds": float, "when": str},
    "trickle": {"bytes": int, "seconds": float},
    "hang": {},
    "twice": {},
    "stream": {"what": str, "at_byte": int, "code": object, "message": str, "seconds": float},
}
COMMON = {"do": str, "method": str, "path": str, "skip": int, "times": int}
WORDS = {"when": ("before", "after"), "how": ("close", "reset"),
         "what": ("error", "end", "cut", "reset", "silence", "junk", "repeat", "half")}


class Knobs(dict):
    """The settings by name."""

    def __init__(self):
        super().__init__({name: value for name, (value, _) in SETTINGS.items()})

    def turn(self, changes):
        if not isinstance(changes, dict):
            raise wire.Problem(400, "settings are a JSON object")
        for name, value in changes.items():
            self[name] = checked_setting(name, value)


def checked_setting(name, value):
    if name not in SETTINGS:
        raise wire.Problem(400, f"no setting '{name}'")
    wanted = type(SETTINGS[name][0])
    if value is None and name in NULLABLE:
        return None
    if wanted is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if not isinstance(value, wanted) or (wanted is int and isinstance(value, bool)):
        raise wire.Problem(400, f"setting '{name}' takes a value like {json.dumps(SETTINGS[name][0])}")
    if value not in CHOICES.get(name, (value,)):
        raise wire.Problem(400, f"setting '{name}' has no choice '{value}'")
    return value


class Rule(dict):
    """One rule: which requests it spoils (method, path with wildcards, skip so many, then so many times), and how."""

    def __init__(self, text):
        super().__init__({"method": "*", "path": "*", "skip": 0, "times": 1, **checked_rule(text)})
        self.seen = self.used = 0

    def fits(self, method, path):
        return fnmatch.fnmatchcase(method, self["method"]) and fnmatch.fnmatchcase(path, self["path"])

    def take(self, method, path):
        """Is this request one to spoil? Counts it."""
        if not self.fits(method, path):
            return False
        self.seen += 1
        if self.seen <= self["skip"] or (self["times"] and self.used >= self["times"]):
            return False
        self.used += 1
        return True

    def view(self):
        return {**self, "seen": self.seen, "used": self.used}


def checked_rule(rule):
    if not isinstance(rule, dict) or rule.get("do") not in RULES:
        raise wire.Problem(400, f"a rule is an object whose 'do' is one of: {', '.join(RULES)}")
    known = {**COMMON, **RULES[rule["do"]]}
    for name, value in rule.items():
        if name not in known:
            raise wire.Problem(400, f"a rule of '{rule['do']}' has no '{name}'")
        wanted = (int, float) if known[name] is float else known[name]
        if not isinstance(value, wanted) or value not in WORDS.get(name, (value,)):
            raise wire.Problem(400, f"a rule's '{name}' cannot be {json.dumps(value)}")
    return rule


class Faults:
    """The rules in the order of their making. The first that fits and is not used up spoils the request."""

    def __init__(self):
        self.rules = []

    def add(self, rules):
        self.rules += [Rule(one) for one in (rules if isinstance(rules, list) else [rules])]

    def clear(self):
        self.rules = []

    def take(self, method, path):
        for rule in self.rules:
            if rule.take(method, path):
                return rule
        return None
