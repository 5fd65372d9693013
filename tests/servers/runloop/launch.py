"""launch_parameters of a devbox: checked, and filled with what holds where nothing was said."""
import wire

SIZES = ("X_SMALL", "SMALL", "MEDIUM", "LARGE", "X_LARGE", "XX_LARGE", "CUSTOM_SIZE")
KEEP_ALIVE_DEFAULT, KEEP_ALIVE_MAX = 3600, 172800
CUSTOM = {"custom_cpu_cores": (0.5, 16), "custom_gb_memory": (1, 64), "custom_disk_size": (2, 64)}


def checked(given):
    """The parameters as the devbox's view shows them."""
    if not isinstance(given, dict):
        raise wire.Problem(400, "'launch_parameters' is not an object")
    made = {name: value for name, value in given.items() if value is not None}
    made.setdefault("resource_size_request", "SMALL")
    made.setdefault("architecture", "x86_64")
    if made["resource_size_request"] not in SIZES:
        raise wire.Problem(400, f"no resource size '{made['resource_size_request']}'")
    if made["architecture"] not in ("x86_64", "arm64"):
        raise wire.Problem(400, f"no architecture '{made['architecture']}'")
    made["keep_alive_time_seconds"] = int(wire.number_of(made, "keep_alive_time_seconds", KEEP_ALIVE_DEFAULT, 1,
                                                         KEEP_ALIVE_MAX))
    check_size(made)
    idle = idle_policy(made)
    if idle:
        wire.number_of(idle, "idle_time_seconds", None, 1, KEEP_ALIVE_MAX)
        if idle.get("on_idle") not in ("shutdown", "suspend"):
            raise wire.Problem(400, "'on_idle' is neither shutdown nor suspend")
    made["launch_commands"] = wire.text_list_of(made, "launch_commands")
    suspend_commands(made)
    account(made)
    return made


def check_size(made):
    if made["resource_size_request"] != "CUSTOM_SIZE":
        return
    for name, (low, high) in CUSTOM.items():
        value = wire.number_of(made, name, 2, low, high)
        if value > 1 and value % 2 != 0:
            raise wire.Problem(400, f"'{name}' is not even")
    ratio = made.get("custom_gb_memory", 4) / made.get("custom_cpu_cores", 2)
    if not 2 <= ratio <= 8:
        raise wire.Problem(400, "memory is not 2 to 8 GiB for each core")


def idle_policy(made):
    """lifecycle.after_idle, or the older place; {} where nothing is to happen."""
    lifecycle = made.get("lifecycle") or {}
    if not isinstance(lifecycle, dict):
        raise wire.Problem(400, "'lifecycle' is not an object")
    new, old = lifecycle.get("after_idle"), made.get("after_idle")
    if new and old and new != old:
        raise wire.Problem(400, "after_idle is given twice, and not alike")
    policy = new or old or {}
    if not isinstance(policy, dict):
        raise wire.Problem(400, "'after_idle' is not an object")
    return policy


def suspend_commands(made):
    hooks = (made.get("lifecycle") or {}).get("lifecycle_hooks") or {}
    if not isinstance(hooks, dict):
        raise wire.Problem(400, "'lifecycle_hooks' is not an object")
    return wire.text_list_of(hooks, "suspend_commands")


def account(made):
    """(name, id) of the devbox's user."""
    user = made.get("user_parameters") or {"username": "user", "uid": 1000}
    if not isinstance(user, dict) or not isinstance(user.get("username"), str) \
            or not user["username"].replace("-", "").replace("_", "").isalnum():
        raise wire.Problem(400, "'user_parameters' has no good username")
    uid = int(wire.number_of(user, "uid", 1000, 0, 60000))
    if (uid == 0) != (user["username"] == "root"):
        raise wire.Problem(400, "uid 0 is root's, and root's alone")
    return user["username"], uid
