"""Streams of the Runloop double, as they are and with every fault of theirs."""
import http.client
import time
import unittest

import double

TEXT = "".join(f"line {n} größe\n" for n in range(500))
PRINT = 'for n in $(seq 0 499); do echo "line $n größe"; done'


class Streams(double.TestCase):
    def open(self, run, offset=None, which="stdout"):
        connection = self.double.connect(20)
        self.addCleanup(connection.close)
        connection.request("GET", f"{run}/stream_{which}_updates" + ("" if offset is None else f"?offset={offset}"),
                           headers={"authorization": f"Bearer {double.KEY}", "accept": "text/event-stream"})
        return connection.getresponse()

    def read(self, run, offset=None, which="stdout"):
        """(events, how it ended): end or cut."""
        reply, data, how = self.open(run, offset, which), b"", "end"
        self.assertEqual(reply.status, 200)
        try:
            while True:
                part = reply.read1(65536)
                if not part:
                    break
                data += part
        except (http.client.IncompleteRead, ConnectionResetError) as error:
            data += getattr(error, "partial", b"")
            how = "cut"
        return double.events_of(data.decode()), how

    def text(self, events):
        return "".join(value["output"] for name, value in events if name != "error")

    def finished(self):
        run = self.start(self.running(), PRINT)
        self.completed(run)
        return run

    def test_a_stream_is_the_whole_output_and_ends_with_it(self):
        run = self.start(self.running(), "echo a; sleep 0.3; echo b; echo c >&2")
        self.assertEqual(self.text(self.read(run)[0]), "a\nb\n")
        self.assertEqual(self.text(self.read(run, 0, "stderr")[0]), "c\n")
        self.refused(404, "GET", run + "x/stream_stdout_updates")
        self.refused(400, "GET", run + "/stream_stdout_updates?offset=x")

    def test_the_head_comes_before_any_output(self):
        run = self.start(self.running(), "sleep 100")
        begun = time.monotonic()
        self.assertEqual(self.open(run).headers["content-type"], "text/event-stream")
        self.assertLess(time.monotonic() - begun, 2)

    def test_a_stream_resumes_at_a_byte(self):
        run, data = self.finished(), TEXT.encode()
        self.double.turn(chunk_bytes=100)
        inside = data.index("ö".encode()) + 1
        self.assertEqual(self.read(run, inside)[0][0][1]["output"][0], "ö")
        for offset in (0, 1, inside - 1, inside + 1, len(data) - 1, len(data), len(data) + 5):
            events, how = self.read(run, offset)
            self.assertEqual((self.text(events), how), (data[offset:].decode(), "end"), offset)

    def test_chunks_and_their_offsets_are_as_set(self):
        run = self.finished()
        for convention in ("start", "end", "absent"):
            self.double.turn(offsets=convention, chunk_bytes=64)
            place = 0
            for _, value in self.read(run)[0]:
                length = len(value["output"].encode())
                self.assertLessEqual(length, 64)
                wanted = {"start": place, "end": place + length, "absent": None}[convention]
                self.assertEqual(value.get("offset"), wanted)
                place += length
            self.assertEqual(place, len(TEXT.encode()))

    def test_a_character_is_never_cut(self):
        run = self.start(self.running(), "printf 'a\\303\\251\\360\\237\\230\\200b'")
        self.completed(run)
        for size in (1, 2, 3):
            self.double.turn(chunk_bytes=size)
            self.assertEqual(self.text(self.read(run)[0]), "aé\U0001f600b")

    def test_bytes_that_are_no_text_are_replaced(self):
        run = self.start(self.running(), "printf 'a\\377\\376b\\0c'")
        self.assertEqual(self.completed(run)["stdout"], "a\ufffd\ufffdb\0c")
        self.assertEqual(self.text(self.read(run)[0]), "a\ufffd\ufffdb\0c")

    def test_every_form_says_the_same(self):
        run = self.finished()
        for form in ("plain", "crlf", "named", "multiline", "bytewise", "comments"):
            self.double.turn(stream_form=form)
            events, how = self.read(run)
            self.assertEqual((self.text(events), how), (TEXT, "end"), form)

    def test_a_silent_stream_gets_comments(self):
        self.double.turn(comment_seconds=0.1)
        reply = self.open(self.start(self.running(), "sleep 0.5"))
        self.assertGreaterEqual(reply.read().count(b": keepalive\n\n"), 3)

    def test_an_idle_stream_ends_with_408(self):
        self.double.turn(stream_idle_seconds=0.3)
        run = self.start(self.running(), "echo a; sleep 1000")
        events, how = self.read(run)
        self.assertEqual((events[0][1]["output"], how), ("a\n", "end"))
        self.assertEqual((events[-1][0], events[-1][1]["code"]), ("error", 408))

    def spoiled(self, **rule):
        run = self.finished()
        self.double.turn(chunk_bytes=1000)
        self.double.fault(do="stream", path="*/stream_stdout_updates", **rule)
        events, how = self.read(run)
        again, after = self.read(run, len(self.text([one for one in events if isinstance(one[1], dict)
                                                     and "output" in one[1]]).encode()))
        self.assertEqual(after, "end")
        return events, how, again

    def test_an_error_event_ends_a_stream(self):
        for code in (408, "500", 503):
            events, how, again = self.spoiled(what="error", at_byte=1500, code=code, message="m")
            self.assertEqual((events[-1], how), (("error", {"code": code, "message": "m"}), "end"))
            self.assertEqual(len(self.text(events).encode()), 1500)
            self.assertEqual(self.text(events) + self.text(again), TEXT)

    def test_an_early_end_looks_like_an_end(self):
        events, how, again = self.spoiled(what="end", at_byte=2000)
        self.assertEqual((len(self.text(events).encode()), how), (2000, "end"))
        self.assertEqual(self.text(events) + self.text(again), TEXT)

    def test_a_cut_and_a_reset_end_the_connection(self):
        for what in ("cut", "reset"):
            events, how, again = self.spoiled(what=what, at_byte=1000)
            self.assertEqual((len(self.text(events).encode()), how), (1000, "cut"), what)
            self.assertEqual(self.text(events) + self.text(again), TEXT)

    def test_a_silence_lasts_as_long_as_it_was_told(self):
        begun = time.monotonic()
        events, how, _ = self.spoiled(what="silence", at_byte=100, seconds=0.7)
        self.assertGreater(time.monotonic() - begun, 0.6)
        self.assertEqual((self.text(events), how), (TEXT, "end"))

    def test_junk_is_an_event_that_is_no_json(self):
        run = self.finished()
        self.double.fault(do="stream", path="*/stream_stdout_updates", what="junk")
        self.assertEqual(self.read(run)[0][0], ("", "this is not JSON"))

    def test_a_repeated_event_comes_twice(self):
        events, _, _ = self.spoiled(what="repeat", at_byte=1000)
        self.assertEqual(events[0], events[1])
        self.assertEqual(self.text(events[1:]), TEXT)

    def test_half_an_event_lacks_its_blank_line(self):
        run = self.finished()
        self.double.turn(chunk_bytes=1000)
        self.double.fault(do="stream", path="*/stream_stdout_updates", what="half", at_byte=1000)
        data = self.open(run).read()
        self.assertFalse(data.endswith(b"\n\n"))
        self.assertEqual(len(double.events_of(data.decode())), 1)

    def test_a_stream_that_cannot_be_opened_says_so(self):
        run = self.finished()
        self.double.fault(do="reply", path="*/stream_*", status=408, message="m")
        self.assertEqual(self.refused(408, "GET", run + "/stream_stdout_updates"), "m")
        self.assertEqual(self.text(self.read(run)[0]), TEXT)

    def test_evictions_and_logs_are_streamed(self):
        box = self.running()
        self.ok("POST", f"/_double/{box.partition('/v1/')[2]}/evict", {"seconds": 5})
        for path, key in (("/v1/devboxes/evictions/watch", "devbox_id"), (box + "/logs/tail", "timestamp_ms")):
            self.sync(box, "true")
            connection = self.double.connect(20)
            connection.request("GET", path, headers={"authorization": f"Bearer {double.KEY}"})
            self.assertIn(key, double.events_of(connection.getresponse().read1(4096).decode())[0][1])
            connection.close()
        self.assertEqual(self.ok("GET", box + "/logs")["logs"][0]["source"], "exec")


if __name__ == "__main__":
    unittest.main()
