"""Which requests are spoilt, and how."""
import fnmatch
import threading

KINDS = {
    "reply": ("status", "message", "body", "headers", "when"),
    "cut": ("bytes",),
    "drop": ("when",),
    "hang": ("when",),
    "trickle": ("bytes", "seconds"),
    "early": ("status", "message"),
    "flood": ("what",),
    "raw": ("body", "when"),
    "stream": ("what", "piece"),
}
COMMON = ("do", "method", "path", "skip", "times")


class Rules:
    """The first rule that fits a request is used: skip of them first are not, then times are (1; 0: always)."""

    def __init__(self):
        self.lock = threading.Lock()
        self.rules = []

    def add(self, rule):
        kind = rule.get("do")
        if kind not in KINDS:
            return f"'{kind}' is none of {', '.join(KINDS)}"
        for key in rule:
            if key not in COMMON + KINDS[kind]:
                return f"'{kind}' has no '{key}'"
        with self.lock:
            self.rules.append({"skip": 0, "times": 1, **rule})
        return None

    def clear(self):
        with self.lock:
            self.rules = []

    def take(self, method, path):
        with self.lock:
            for rule in self.rules:
                if not (fnmatch.fnmatchcase(method, rule.get("method", "*")) and
                        fnmatch.fnmatchcase(path, rule.get("path", "*"))):
                    continue
                if rule["skip"] > 0:
                    rule["skip"] -= 1
                    continue
                if rule["times"] == 1:
                    self.rules.remove(rule)
                elif rule["times"] > 1:
                    rule["times"] -= 1
                return rule
        return None
