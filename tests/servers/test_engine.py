"""The docker provider against a daemon that lies, stalls and breaks off: never a false success, and each call ends in time."""
import base64
import json
import os
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import engine_double  # noqa: E402

MEBIBYTE = 1024


class Versions(engine_double.TestCase):
    def test_versions_outside_of_the_window_are_refused(self):
        for version, words in (("1.40", "1.41 or newer"), ("1.9", "1.41 or newer"), ("0.1", "no version"),
                               ("", "no version"), ("1.x", "no version"), ("-1.50", "no version"),
                               ("1.47 ", None), ("9" * 400, "no version"), ("1.47, 1.48", "no version")):
            self.ask("POST", "/_double/version", {"version": version})
            done = self.sbx("ls", "--provider", "d")
            if words is None:
                self.assertEqual(done.code, 0, done)
                continue
            self.assertEqual(done.code, 125, done)
            self.assertIn(words, done.err)

    def test_the_newest_version_that_both_know_is_spoken(self):
        for theirs, ours in (("1.41", "v1.41"), ("1.47", "v1.47"), ("1.99", "v1.52"), ("3.0", "v1.52")):
            self.ask("POST", "/_double/version", {"version": theirs})
            self.ok("ls")
            self.assertEqual(self.log()[-1]["version"], ours)

    def test_what_is_no_daemon_is_told(self):
        for body in ("SSH-2.0-OpenSSH_9.2\r\n", "HTTP/1.1 200 OK\r\n\r\n", "HTTP/9 x\r\n\r\n", "\0" * 100, "HTTP/1.1 ",
                     "HTTP/1.1 301 Moved\r\nLocation: http://localhost/\r\nContent-Length: 0\r\n\r\n"):
            self.fault(do="raw", path="/_ping", body=body)
            done = self.refused("ls", "--provider", "d")
            self.assertIn("open", done.err, body)


class Creating(engine_double.TestCase):
    def test_a_lost_reply_of_create_is_adopted(self):
        self.fault(do="drop", when="after", path="/containers/create")
        box = self.ok("create", "--label", "a=b").out.strip()
        self.assertEqual(len(self.containers()), 1)
        self.assertEqual(self.ok("exec", box, "--", "echo", "hello").out, "hello\n")
        self.ok("rm", box)
        self.assertEqual(self.containers(), [])

    def test_a_create_that_did_not_arrive_leaves_nothing_and_says_so(self):
        self.fault(do="drop", when="before", path="/containers/create")
        done = self.refused("create", "--json")
        self.assertFalse(done.json["ok"])
        self.assertEqual(self.containers(), [])

    def test_a_create_whose_outcome_stays_unknown_names_what_to_ask_about(self):
        self.fault(do="drop", when="after", path="/containers/create")
        self.fault(do="reply", method="GET", path="/containers/sbx-*/json", status=500, times=0)
        done = self.refused("create", "--name", "sbx-mine", "--json")
        self.assertEqual(done.json["error"]["code"], "unknown", done)
        self.assertEqual(done.json["error"]["resource_id"], "d/sbx-mine", done)

    def test_a_create_that_gets_no_reply_in_time_is_found_and_swept(self):
        self.fault(do="hang", when="after", path="/containers/create")
        self.late("create")
        self.ok("ls")
        self.assertEqual(self.containers(), [])

    def test_what_was_started_since_it_was_listed_is_not_swept(self):
        self.ok("create", "--name", "mine")
        items = [one for one in self.ask("GET", "/_double/containers") if one["Names"] != ["/theirs"]]
        for one in items:
            one["State"] = "created"
        self.fault(do="reply", path="/containers/json", status=200, body=json.dumps(items))
        self.ok("ls", "--provider", "d")
        self.assertEqual(self.containers(), ["/mine"])
        self.assertEqual(self.ok("exec", "d/mine", "--", "echo", "alive").out, "alive\n")

    def test_a_start_that_hangs_leaves_nothing(self):
        for when in ("before", "after"):
            self.fault(do="hang", when=when, path="/containers/*/start")
            self.late("create")
            self.assertEqual(self.containers(), [], when)

    def test_an_engine_that_hangs_altogether_ends_the_call_in_time(self):
        for skip in range(4):
            self.no_faults()
            self.fault(do="hang", skip=skip, times=0)
            self.late("create")

    def test_a_failed_start_leaves_nothing_and_its_reason_is_told(self):
        self.fault(do="reply", path="/containers/*/start", status=500, message="no runc here")
        done = self.refused("create")
        self.assertIn("no runc here", done.err)
        self.assertEqual(self.containers(), [])

    def test_a_guest_that_never_comes_is_no_success(self):
        self.fault(do="reply", path="/containers/*/start", status=204)
        self.refused("create")
        self.assertEqual(self.containers(), [])

    def test_a_conflict_leaves_the_connection_fit_for_the_next_request(self):
        self.ok("create", "--name", "taken")
        before = len(self.log())
        done = self.refused("create", "--name", "taken")
        self.assertIn("taken", done.err)
        asked = self.log()[before:]
        self.assertEqual(len({one["connection"] for one in asked}), 1, asked)
        self.assertGreater(len(asked), 2)
        self.assertEqual(len(self.containers()), 1)

    def test_a_refusal_before_all_was_sent_is_that_refusal(self):
        # More than a socket takes, so that the reply comes while the request is still on its way.
        labels = [word for i in range(15) for word in ("--label", f"k{i}={'v' * 100000}")]
        self.fault(do="early", path="/containers/create", status=404, message="No such image: busy")
        done = self.refused("create", *labels)
        self.assertIn("No such image", done.err)
        self.assertEqual(self.containers(), [])

    def test_replies_that_make_no_sense_are_no_success(self):
        for body in ("", "null", "[]", "{}", '{"Id":7}', '{"Id":""}', '{"Id":"../x"}', '{"Id":"' + "a" * 500 + '"}',
                     '{"Id":"a"', '{"Id":"a\\u0000b"}', "[" * 100000):
            self.fault(do="reply", path="/containers/create", status=201, body=body)
            self.refused("create")
        for body in ("", "null", "{", "[" * 100000, '{"Config":' * 2000):
            self.fault(do="reply", path="/images/*/json", status=200, body=body)
            self.assertIn(self.within(engine_double.PLENTY, "create").code, (0, 125))
            self.fault(do="reply", path="/containers/json", status=200, body=body)
            self.refused("ls", "--provider", "d")

    def test_an_image_that_is_there_is_pulled_where_that_is_asked_for_alone(self):
        for word, count in (("never", 0), ("missing", 0), ("always", 1)):
            self.configure("pull = .*", f"pull = {word}")
            self.ok("create")
            self.assertEqual(len([one for one in self.log() if "/images/create" in one["path"]]), count, word)

    def test_a_pull_tells_how_far_it_is(self):
        self.configure("pull = .*", "pull = missing")
        self.configure("default = d", "default = d\nlog_level = info")
        self.fault(do="trickle", path="/images/create", bytes=400, seconds=0.6)
        done = self.sbx("create", "--image", "other:3")
        self.assertEqual(done.code, 0, done)
        lines = done.err.splitlines()
        self.assertEqual(lines[0], "sbxctl: info: d: create: the daemon pulls image 'other:3'")
        self.assertGreater(len(lines), 1, done)
        self.assertLess(len(lines), 6, done)
        for line in lines[1:]:
            self.assertRegex(line, r"^sbxctl: info: d: create: image 'other:3': [12] of 2 layers, \d+\.0 MiB$")
        self.assertRegex(lines[-1], r"[1-9]\d*\.0 MiB$")
        done = self.sbx("-q", "create", "--image", "other:4")
        self.assertEqual((done.code, done.err), (0, ""), done)

    def test_a_pull_that_fails_at_its_end_is_told(self):
        self.configure("pull = .*", "pull = missing")
        self.fault(do="reply", path="/images/create", status=200,
                   body='{"status":"Pulling"}\r\n' + "x" * 200000 + '\r\n{"error":"manifest unknown"}')
        done = self.refused("create", "--image", "other:1")
        self.assertIn("manifest unknown", done.err)
        self.assertNotIn("docker pull", done.err)
        denied = "pull access denied for other, repository does not exist or may require 'docker login'"
        self.fault(do="reply", path="/images/create", status=404, message=denied)
        done = self.refused("create", "--image", "other:1")
        self.assertIn(denied, done.err)
        self.assertIn("`docker pull` it first", done.err)
        self.fault(do="cut", path="/images/create", bytes=60)
        self.refused("create", "--image", "other:1")
        self.fault(do="hang", path="/images/create", when="after")
        self.late("create", "--image", "other:2")
        self.fault(do="trickle", path="/images/create", bytes=1)
        self.ok("create", "--image", "another:2")


class Logins(engine_double.TestCase):
    """What `docker login` has kept goes to the daemon with a pull from that registry, and nowhere else."""
    DENIED = "pull access denied, repository does not exist or may require 'docker login'"

    def setUp(self):
        super().setUp()
        self.configure("pull = .*", "pull = missing")
        os.mkdir(self.folder + "/client", 0o700)

    def keep(self, config):
        with open(self.folder + "/client/config.json", "w", encoding="utf-8") as file:
            file.write(config if isinstance(config, str) else json.dumps(config))

    def sent(self):
        """The login of the last pull, None when there was none with it."""
        line = [one for one in self.log() if one["path"] == "/images/create"][-1]["registry_auth"]
        self.assertNotIn("+", line or "")
        self.assertNotIn("/", line or "")
        return None if line is None else json.loads(base64.urlsafe_b64decode(line))

    def test_a_login_goes_to_its_own_registry_alone(self):
        password = 'p:"\\\u00fb\u00ff~~~???>>>'
        pair = base64.b64encode(f"somebody:{password}".encode()).decode()
        self.keep({"auths": {"other.example": {"auth": base64.b64encode(b"x:y").decode()},
                             "https://registry.example:5000/v2/": {"auth": pair},
                             "https://index.docker.io/v1/": {"auth": "aHVidXNlcjpodWJwYXNz"},
                             "token.example": {"auth": base64.b64encode(b"<token>:").decode(), "identitytoken": "tok"}}})
        done = self.ok("create", "--verbose", "--image", "registry.example:5000/a/b:1")
        self.assertEqual(self.sent(), {"username": "somebody", "password": password,
                                       "serveraddress": "registry.example:5000"})
        self.assertNotIn(pair, done.err)
        self.assertNotIn("somebody", done.err)
        for image, user in (("a/b:1", "hubuser"), ("b:1", "hubuser"), ("docker.io/a/c:1", "hubuser"), ("other.example/a:1", "x"),
                            ("token.example/a:1", "<token>"), ("registry.example/a:1", None), ("localhost/a:1", None)):
            self.ok("create", "--image", image)
            login = self.sent()
            self.assertEqual(login and login["username"], user, image)
            self.assertEqual(login and login.get("identitytoken"), "tok" if user == "<token>" else None, image)

    def test_a_denied_pull_says_which_login_it_had(self):
        helped = {"auths": {"r.example": {}}, "credHelpers": {"r.example": "vault"}}
        kept = {"auths": {"r.example": {"auth": "YTpodXNo"}}}
        for config, words in ((None, "has no credentials for r.example: `docker login`"), (helped, "the helper 'vault'"),
                              ({"credsStore": "desktop"}, "the helper 'desktop'"), ("{", "it is no JSON"),
                              ({"auths": {"r.example": {"auth": "%%%"}}}, "has no credentials"),
                              ({"auths": [], "credHelpers": 7}, "has no credentials"), (kept, "r.example were sent")):
            if config is not None:
                self.keep(config)
            for status in (401, 404, 500):
                self.fault(do="reply", path="/images/create", status=status, message=self.DENIED)
                done = self.refused("create", "--image", "r.example/a:1")
                self.assertIn(words, done.err)
                self.assertNotIn("YTpodXNo", done.err)
                self.assertNotIn("hush", done.err)
            self.assertEqual(self.sent() is not None, config is kept)
            self.ok("create", "--image", "r.example/for-all:1")

    def test_a_file_of_somebody_else_is_not_believed(self):
        self.keep({"auths": {"r.example": {"auth": "YTpodXNo"}}})
        os.chown(self.folder + "/client/config.json", 65534, 65534)
        self.fault(do="reply", path="/images/create", status=404, message=self.DENIED)
        done = self.refused("create", "--image", "r.example/a:1")
        self.assertIn("cannot be used: ", done.err)
        self.assertIsNone(self.sent())
        os.remove(self.folder + "/client/config.json")
        os.mkfifo(self.folder + "/client/config.json")
        self.ok("create", "--image", "r.example/b:1")
        self.assertIsNone(self.sent())

    def test_no_login_travels_in_the_clear(self):
        self.keep({"auths": {"r.example": {"auth": "YTpodXNo"}}})
        for host, is_sent in (("127.0.0.1", True), ("127.0.0.2", False)):  # the second is as good as any other machine
            relay = engine_double.Relay(host, self.socket)
            self.addCleanup(relay.end)
            self.configure("host = .*", f"host = tcp://{host}:{relay.port}")
            self.fault(do="reply", path="/images/create", status=404, message=self.DENIED)
            done = self.refused("create", "--image", "r.example/a:1")
            self.assertEqual(self.sent() is not None, is_sent, done)
            self.assertEqual("without TLS" in done.err, not is_sent, done)


class Bounds(engine_double.TestCase):
    def refused_in(self, mebibytes, *words):
        done = self.refused(*words)
        if not engine_double.SANITIZED:
            self.assertLess(done.kilobytes, mebibytes * MEBIBYTE, done)

    def test_replies_without_end_are_cut_off_in_bounded_memory(self):
        box = self.ok("create").out.strip()
        for what in ("body", "json", "headers"):
            for path, mebibytes, words in (("/_ping", 64, ("ls", "--provider", "d")),
                                           ("/images/*", 96, ("create",)),
                                           ("/containers/create", 64, ("create",)),
                                           ("/containers/*/json", 96, ("inspect", box)),
                                           ("/containers/*/start", 64, ("create",))):
                self.no_faults()
                self.fault(do="flood", what=what, path=path, times=0)
                self.refused_in(mebibytes, *words)
        self.no_faults()
        self.ok("rm", box)

    def test_a_list_without_end_is_cut_off(self):
        self.fault(do="flood", what="json", path="/containers/json")
        self.refused_in(700, "ls", "--provider", "d")

    def test_a_reply_that_drips_ends_at_the_deadline(self):
        for path, words in (("/_ping", ("ls", "--provider", "d")), ("/containers/json", ("ls", "--provider", "d")),
                            ("/images/*", ("create",))):
            self.no_faults()
            self.fault(do="trickle", path=path, bytes=1, seconds=0.1)
            self.late(*words)

    def test_a_removal_is_not_said_to_have_been_without_a_reply(self):
        box = self.ok("create").out.strip()
        self.fault(do="drop", when="before", method="DELETE")
        self.refused("rm", box)
        self.assertEqual(len(self.containers()), 1)
        self.fault(do="hang", when="before", method="DELETE")
        self.late("rm", box)
        self.ok("rm", box)
        self.assertEqual(self.containers(), [])


class Streams(engine_double.TestCase):
    """A container that somebody else made: the guest is put there, and speaks over the one upgraded connection."""

    def hello(self, **more):
        return self.ok("exec", "d/theirs", "--", "echo", "hello", **more)

    def test_frames_may_be_split_and_merged_in_any_way(self):
        for what in ("bytes", "split", "empty", "noise"):
            self.fault(do="stream", what=what, path="/exec/*/start")
            self.assertEqual(self.hello().out, "hello\n", what)
        self.fault(do="stream", what="split", path="/exec/*/start")
        done = self.ok("exec", "d/theirs", "--", "sh", "-c", "head -c 300000 /dev/zero | tr '\\0' x")
        self.assertEqual(done.out, "x" * 300000)

    def test_frames_that_are_none_are_no_success(self):
        for what in ("type", "oversized", "padding", "end"):
            self.no_faults()
            self.fault(do="stream", what=what, path="/exec/*/start", times=0)
            done = self.refused("exec", "d/theirs", "--", "echo", "hello")
            self.assertEqual(done.out, "", what)

    def test_streams_without_end_or_word_end_at_the_deadline(self):
        for what, codes in (("silence", (124,)), ("errors", (124, 125)), ("nothing", (124, 125)), ("zeros", (124, 125))):
            self.no_faults()
            self.fault(do="stream", what=what, path="/exec/*/start", times=0)
            done = self.within(engine_double.DEADLINE, "exec", "d/theirs", "--", "echo", "hello")
            self.assertIn(done.code, codes, (what, done))
            self.assertEqual(done.out, "")

    def test_refusals_of_a_stream_are_told(self):
        for status, words in ((404, "No such exec"), (409, "is paused"), (500, "oci runtime"), (400, "bad parameter")):
            self.fault(do="reply", path="/exec/*/start", status=status, message=words)
            done = self.refused("exec", "d/theirs", "--", "echo", "hello")
            self.assertEqual(done.out, "")
        for body in ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "nonsense\r\n\r\n", "HTTP/1.1 101 UPGRADED\r\n",
                     "HTTP/1.1 204 No Content\r\n\r\n", "x" * 300000):
            self.no_faults()
            self.fault(do="raw", path="/exec/*/start", body=body, times=0)
            done = self.refused("exec", "d/theirs", "--", "echo", "hello")
            self.assertEqual(done.out, "")

    def test_a_stalled_transfer_ends_at_the_deadline_and_the_container_can_be_removed(self):
        for rule in ({"method": "PUT", "when": "body"}, {"method": "PUT", "when": "after"}, {"method": "HEAD", "when": "before"}):
            self.no_faults()
            self.fault(do="hang", path="/containers/*/archive", times=0, **rule)
            self.late("exec", "d/theirs", "--", "echo", "hello")
        self.ok("rm", "d/theirs")
        self.assertEqual(self.sbx("inspect", "d/theirs").code, 125)

    def test_a_refusal_while_the_program_travels_is_that_refusal(self):
        self.fault(do="early", method="PUT", path="/containers/*/archive", status=404, message="No such container")
        self.refused("exec", "d/theirs", "--", "echo", "hello")
        self.fault(do="early", method="PUT", path="/containers/*/archive", status=403, message="read-only file system")
        done = self.refused("exec", "d/theirs", "--", "echo", "hello")
        self.assertIn("read-only file system", done.err)
        self.assertEqual(self.hello().out, "hello\n")

    def test_an_exec_that_may_have_been_started_is_not_started_again(self):
        self.fault(do="drop", when="after", path="/containers/*/exec")
        before = len([one for one in self.log() if one["path"].endswith("/start")])
        self.sbx("exec", "d/theirs", "--deadline", "2s", "--", "echo", "hello")
        asked = [one for one in self.log() if one["path"].endswith("/start")]
        self.assertLessEqual(len(asked) - before, 1)


class Alone(engine_double.TestCase):
    """Without the guest: what a command came to is told by its streams and by what the daemon says of it afterwards."""

    def setUp(self):
        super().setUp()
        with open(self.config, "a", encoding="utf-8") as ini:
            ini.write("guest = never\n")

    def words(self, line="echo hello"):
        return "exec", "d/theirs", "--", "sh", "-c", line

    def test_a_command_by_the_api_alone_is_told_exactly(self):
        done = self.sbx(*self.words("printf 'a\\nb'; echo c >&2; exit 7"))
        self.assertEqual((done.code, done.out, done.err), (7, "a\nb", "c\n"))
        for what in ("bytes", "split", "empty"):
            self.fault(do="stream", what=what, path="/exec/*/start")
            self.assertEqual(self.ok(*self.words()).out, "hello\n", what)

    def test_a_stream_that_ends_without_a_status_is_unknown(self):
        for body in ('{"Running":false,"Pid":7,"ExitCode":null}', '{"Running":false,"Pid":7}', "{}", "null", "",
                     '{"Running":false,"Pid":7,"ExitCode":"0"}', '{"Running":false,"Pid":7,"ExitCode":-1}',
                     '{"Running":false,"Pid":7,"ExitCode":256}', '{"ExitCode":0}'):
            self.fault(do="reply", path="/exec/*/json", status=200, body=body)
            done = self.refused("exec", "--json", *self.words()[1:])
            self.assertFalse(done.json["ok"], body)

    def test_a_stream_that_is_broken_off_is_no_success(self):
        for what in ("type", "oversized", "padding", "end"):
            self.fault(do="stream", what=what, path="/exec/*/start")
            done = self.within(engine_double.PLENTY, *self.words("echo hello; sleep 0.1"))
            self.assertIn(done.code, (124, 125), (what, done))

    def test_a_daemon_that_stops_answering_under_a_command_ends_the_call_in_time(self):
        for rules in ([{"do": "hang", "path": "/exec/*/json"}],
                      [{"do": "stream", "what": "silence", "path": "/exec/*/start"}, {"do": "hang"}],
                      [{"do": "stream", "what": "type", "path": "/exec/*/start"}, {"do": "hang"}],
                      [{"do": "stream", "what": "type", "path": "/exec/*/start"},
                       {"do": "hang", "path": "/containers/*/json", "skip": 1}],
                      [{"do": "hang", "when": "after", "path": "/containers/*/exec"}],
                      [{"do": "stream", "what": "errors", "path": "/exec/*/start"}, {"do": "hang"}]):
            self.no_faults()
            for rule in rules:
                after = {"skip": 3} if rule == {"do": "hang"} else {}
                self.fault(times=0 if rule["do"] == "hang" else 1, **{**after, **rule})
            done = self.within(engine_double.DEADLINE, *self.words())
            self.assertIn(done.code, (124, 125), (rules, done))

    def test_a_time_limit_kills_what_runs(self):
        mark = f"987.{os.getpid()}"
        done = self.sbx("exec", "--timeout", "0.5", *self.words(f"echo before; sleep {mark} & sleep {mark}")[1:])
        self.assertEqual((done.code, done.out), (124, "before\n"), done)
        self.assertNotIn(mark, subprocess.run(["ps", "-eo", "args"], stdout=subprocess.PIPE, text=True, check=True).stdout)


class Cuts(engine_double.TestCase):
    """Every reply cut at every byte, by a program that uses libsbx."""

    def cut(self, case):
        env = {**os.environ, **self.environment()}
        done = subprocess.run([os.environ["SBX_TEST_CUTS"], self.socket, case], env=env, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=170, check=False)
        self.assertEqual(done.returncode, 0, done.stdout[-4000:])
        self.assertIn("replies cut", done.stdout)

    def test_no_cut_of_a_greeting_is_a_success(self):
        self.cut("ping")

    def test_no_cut_of_an_image_is_a_success(self):
        self.cut("image")

    def test_a_cut_reply_of_create_is_found_again(self):
        self.cut("create")

    def test_no_cut_reply_of_start_is_a_success(self):
        self.cut("start")

    def test_no_cut_reply_of_a_removal_is_a_success(self):
        self.cut("remove")

    def test_no_cut_list_is_a_success(self):
        self.cut("list")

    def test_no_cut_inspection_is_a_success(self):
        self.cut("inspect")

    def test_no_cut_reply_about_a_file_is_a_success(self):
        self.cut("look")

    def test_no_cut_reply_of_exec_is_a_success(self):
        self.cut("exec")

    def test_no_cut_upgrade_is_a_success(self):
        self.cut("stream")


if __name__ == "__main__":
    unittest.main()
