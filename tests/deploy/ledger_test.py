#!/usr/bin/python3
"""Tests the quickstart's ledger: it must find what is wrong, and count by cause."""

import os
import sys
import unittest

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
sys.path.insert(0, os.path.join(ROOT, "deploy", "quickstart.d"))
import ledger  # noqa: E402

FILES = {"a": {str(n): b"" for n in range(0, 60, 10)}}


class Log:
    """A handlers' log, written as the handlers would."""

    def __init__(self):
        self.lines = []
        self.runs = 0

    def run(self, sequences, outcome, failed=None, batch="1", worker="w", epoch=1, attempt=1):
        self.runs += 1
        about = {"worker": worker, "run": self.runs, "shard": "a"}
        self.lines.append({"event": "begin", **about, "epoch": epoch, "batch": batch,
                           "attempt": attempt, "sequences": sequences.split()})
        for sequence in sequences.split():
            if sequence == failed:
                break
            self.lines.append({"event": "stored", "shard": "a", "sequence": sequence})
        if outcome:
            self.lines.append({"event": "end", **about, "outcome": outcome, "sequence": failed})
        return self


def dead(*sequences):
    return [{"shard": "a", "first_sequence": s} for s in sequences]


def make(log, dead_letters=(), held=None, killed=None):
    return ledger.make(FILES, log.lines, list(dead_letters), held or {}, killed)


class LedgerTest(unittest.TestCase):
    def test_balances_when_every_record_is_processed_once(self):
        account = make(Log().run("0 10 20 30 40 50", "processed"))
        self.assertTrue(account.balances())
        self.assertEqual((account.processed, account.handed_over), (6, 6))

    def test_finds_a_record_that_is_lost(self):
        account = make(Log().run("0 10 20", "processed").run("40 50", "processed", batch="2"))
        self.assertEqual(account.lost, [("a", "30")])
        self.assertEqual(account.disordered, ["a"])
        self.assertFalse(account.balances())

    def test_finds_a_record_that_is_processed_and_dead(self):
        account = make(Log().run("0 10 20 30 40 50", "processed"), dead("10"))
        self.assertEqual(account.both, [("a", "10")])
        self.assertFalse(account.balances())

    def test_finds_a_record_that_was_never_there(self):
        account = make(Log().run("0 10 20 30 40 50", "processed"), dead("55"))
        self.assertFalse(account.balances())

    def test_counts_hand_overs_by_cause(self):
        log = (Log().run("0 10 20 30", "reported", "20").run("20 30", "reported", "20", batch="2")
               .run("20", "reported", "20", batch="3").run("20", "reported", "20", batch="3", attempt=2)
               .run("30", "processed", batch="5").run("40 50", "processed", batch="6"))
        account = make(log, dead("20"))
        self.assertTrue(account.balances())
        self.assertEqual(dict(account.again), {"partial": 2, "split": 2, "retry": 1})
        self.assertEqual(account.counted, {"partial": 2, "split": 2, "retry": 1, "lost": 0})

    def test_a_batch_in_flight_at_the_kill_is_lost(self):
        log = (Log().run("0 10 20", "processed", worker="k")
               .run("30 40", None, "40", batch="2", worker="k")
               .run("30 40", "processed", batch="2", epoch=2, attempt=2).run("50", "processed", batch="3", epoch=2))
        account = make(log, held={"a": 1}, killed="k")
        self.assertTrue(account.balances())
        self.assertEqual(account.again["lost"], 2)
        self.assertEqual(account.counted["lost"], 2)
        self.assertEqual(account.stored_twice, 1)

    def test_a_batch_held_but_not_begun_counts_as_lost_at_the_coordinator_alone(self):
        log = (Log().run("0 10 20", "processed", worker="k")
               .run("30 40 50", "processed", batch="2", epoch=2, attempt=2))
        account = make(log, held={"a": 1}, killed="k")
        self.assertEqual(account.again.total(), 0)
        self.assertEqual(account.counted["lost"], 3)

    def test_what_others_did_before_the_killed_worker_had_the_shard_is_not_lost(self):
        log = (Log().run("0 10", "processed", epoch=1)
               .run("20 30", None, worker="k", batch="2", epoch=2)
               .run("20 30 40 50", "processed", batch="2", epoch=3, attempt=2))
        account = make(log, held={"a": 2}, killed="k")
        self.assertTrue(account.balances())
        self.assertEqual(account.counted["lost"], 4)

    def test_a_failure_reported_before_the_kill_is_a_retry(self):
        log = (Log().run("0", "reported", "0", worker="k")
               .run("0", "processed", epoch=2, attempt=3)
               .run("10 20 30 40 50", "processed", batch="3", epoch=2))
        account = make(log, held={"a": 1}, killed="k")
        self.assertEqual(dict(account.again), {"retry": 1})
        self.assertEqual(account.counted["lost"], 1)


if __name__ == "__main__":
    unittest.main()
