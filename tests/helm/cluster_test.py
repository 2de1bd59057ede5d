"""What tests/helm/cluster finds out from logs, metrics and objects, without a cluster."""

import os
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "cluster.d"),
                os.path.join(HERE, "..", "..", "deploy", "quickstart.d")]
import account  # noqa: E402
import ledger  # noqa: E402
import names  # noqa: E402

FILES = {"shard-0": {"0": b"{}", "3": b"{}", "6": b"{}"}}


def delivery(number, sequences, worker="w", failed=None):
    """The lines of a handler that stops at `failed`."""
    yield {"event": "begin", "worker": worker, "run": number, "shard": "shard-0", "epoch": 1,
           "batch": str(number), "attempt": 1, "sequences": sequences}
    for sequence in sequences:
        if sequence == failed:
            yield {"event": "end", "worker": worker, "run": number, "outcome": "reported",
                   "sequence": sequence}
            return
        yield {"event": "stored", "shard": "shard-0", "sequence": sequence}
    yield {"event": "end", "worker": worker, "run": number, "outcome": "processed"}


def made(*deliveries):
    return ledger.make(FILES, [line for lines in deliveries for line in lines], [], {}, None)


class ExactlyOnce(unittest.TestCase):
    def test_is_true_across_workers(self):
        self.assertEqual(account.exactly_once(
            made(delivery(1, ["0", "3"], "a"), delivery(1, ["6"], "b"))), [])

    def test_is_not_where_a_record_came_again(self):
        wrong = account.exactly_once(made(delivery(1, ["0", "3"]), delivery(2, ["3", "6"])))
        self.assertRegex(wrong[0], "3 records were handed over 4 times.*1 were processed twice")

    def test_is_not_where_a_batch_came_again_to_a_handler_that_died(self):
        begun = list(delivery(1, ["0", "3", "6"], "a"))[:1]
        self.assertRegex(account.exactly_once(made(begun, delivery(1, ["0", "3", "6"], "b")))[0],
                         "handed over 6 times")

    def test_is_not_where_a_record_is_missing_or_out_of_order(self):
        self.assertRegex(account.exactly_once(made(delivery(1, ["0", "3"])))[0], "lost: .*'6'")
        wrong = account.exactly_once(made(delivery(1, ["3"]), delivery(2, ["0"]), delivery(3, ["6"])))
        self.assertRegex(wrong[0], "out of order: .*shard-0")


class Walk(unittest.TestCase):
    def test_is_by_ordinal(self):
        lines = [*delivery(1, ["0", "3", "6"], failed="3"), *delivery(2, ["3", "6"])]
        self.assertEqual(account.walk(ledger.deliveries(lines)), [(1, 3, 2), (2, 3, None)])


class Metrics(unittest.TestCase):
    CALLS = 'lowmark_worker_call_errors_total{method="Heartbeat",reason="UNAVAILABLE",stream="s"} %d\n'

    def test_failed_calls_are_those_since(self):
        before = {("worker", "old"): self.CALLS % 3, ("worker", "gone"): self.CALLS % 1}
        after = {**before, ("worker", "old"): self.CALLS % 4, ("worker", "new"): self.CALLS % 2}
        self.assertEqual(account.failed_calls(before, after), 3)
        found = account.since(before, after, "s")
        self.assertEqual(len(found), 2)
        self.assertIn("old: lowmark_worker_call_errors_total", found[1])

    def test_of_other_streams_and_of_before_nothing_counts(self):
        text = ('lowmark_records_redelivered_total{cause="partial",stream="ten"} 5\n'
                'lowmark_records_redelivered_total{cause="lost",stream="s"} 1\n'
                'lowmark_handoffs_total{kind="graceful",stream="s"} 7\n')
        self.assertEqual(account.since({("coordinator", "c"): text}, {("coordinator", "c"): text}, "s"),
                         [])
        self.assertEqual(account.since({}, {("coordinator", "c"): text}, "s"),
                         ['c: lowmark_records_redelivered_total{cause="lost",stream="s"} 1'])

    def test_errors_of_the_store_and_force_are_of_no_stream(self):
        text = ('lowmark_store_errors_total{operation="report",reason="TIMEOUT"} 1\n'
                'lowmark_handoffs_total{kind="forced",stream="t"} 1\n')
        self.assertEqual(account.since({}, {("coordinator", "c"): text}, "s"), [
            'c: lowmark_store_errors_total{operation="report",reason="TIMEOUT"} 1',
            "c: shards were taken by force"])


class Complaints(unittest.TestCase):
    def test_are_warnings_and_errors_since(self):
        line = '{"time":"2026-01-01T00:00:0%dZ","level":"%s","message":"m"}'
        late = (line % (3, "warning")).replace('"m"', '"handler out of reach"')
        logs = {"w": [line % (1, "warning"), line % (3, "info"), line % (3, "warning"), "plain", "3", late],
                "c": [line % (4, "error")]}
        self.assertEqual(account.complaints(logs, "2026-01-01T00:00:02Z"),
                         ["w: " + line % (3, "warning"), "c: " + line % (4, "error")])


class Hosts(unittest.TestCase):
    def test_a_headless_service_has_the_pods_that_are_ready(self):
        def about(name):
            return {"namespace": "n", "name": name}
        services = [{"metadata": about("plain"), "spec": {"clusterIP": "10.96.0.7"}},
                    {"metadata": about("headless"), "spec": {"clusterIP": "None"}},
                    {"metadata": about("empty"), "spec": {"clusterIP": "None"}}]
        endpoints = [{"metadata": about("headless"), "subsets": [
            {"addresses": [{"ip": "10.244.0.3"}, {"ip": "10.244.0.2"}],
             "notReadyAddresses": [{"ip": "10.244.0.4"}]}]}, {"metadata": about("empty")}]
        self.assertEqual(names.hosts(services, endpoints),
                         "10.244.0.2 headless.n.svc.cluster.local\n"
                         "10.244.0.3 headless.n.svc.cluster.local\n"
                         "10.96.0.7 plain.n.svc.cluster.local\n")


if __name__ == "__main__":
    unittest.main()
