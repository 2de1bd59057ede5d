"""The account of a run: every record in, where it went, and what was done twice.

Made from three sources that do not know of each other: the files that the
records were read from, the log that the handlers wrote, and what the coordinator
says (its dead letters, and its metrics for comparison). Pure: values in, values
out.
"""

from collections import Counter
from dataclasses import dataclass, field

CAUSES = ("retry", "split", "partial", "lost")


@dataclass
class Delivery:
    """A batch that reached a handler, as the handler's log has it."""
    shard: str
    worker: str
    epoch: int
    batch: str
    attempt: int
    sequences: list
    outcome: str = "unfinished"  # or processed, reported, raised
    failed: str = ""             # the record at which the handler stopped
    lost: bool = False           # the worker died before it could report


@dataclass
class Ledger:
    records: int = 0
    processed: int = 0
    dead_lettered: int = 0
    lost: list = field(default_factory=list)            # (shard, sequence) in neither
    both: list = field(default_factory=list)            # in both
    unknown: list = field(default_factory=list)         # in no file
    disordered: list = field(default_factory=list)      # shards
    handed_over: int = 0
    again: Counter = field(default_factory=Counter)     # hand-overs beyond the first, by cause
    stored_twice: int = 0                               # records stored more than once
    counted: dict = field(default_factory=dict)         # what the coordinator should have counted

    def balances(self):
        return (self.records == self.processed + self.dead_lettered
                and not (self.lost or self.both or self.unknown or self.disordered))


def deliveries(log):
    """The deliveries that a handlers' log tells of, in the order they began."""
    found, running = [], {}
    for line in log:
        if line["event"] == "begin":
            delivery = Delivery(line["shard"], line["worker"], line["epoch"], line["batch"],
                                line["attempt"], line["sequences"])
            running[line["worker"], line["run"]] = delivery
            found.append(delivery)
        elif line["event"] == "end":
            delivery = running.pop((line["worker"], line["run"]))
            delivery.outcome = line["outcome"]
            delivery.failed = line.get("sequence", "")
    return found


def mark_lost(runs, killed, held):
    """Marks the deliveries that the killed worker did not report: for each shard
    that it held, {shard: epoch}, the last one, where its next try came elsewhere.
    (The next but one: it was reported, and the try after it was lost unbegun.)"""
    for shard, epoch in held.items():
        last = None
        for run in (r for r in runs if r.shard == shard):
            if run.worker == killed and run.epoch == epoch:
                last = run
            elif last is not None:
                last.lost = run.batch == last.batch and run.attempt == last.attempt + 1
                break


def cause_of_return(before):
    """Why the records of `before` came again, by the rules of a shard."""
    if before.lost:
        return "lost"
    if before.outcome == "raised" or before.failed == before.sequences[0]:
        return "split" if len(before.sequences) > 1 else "retry"
    return "partial"


def make(files, log, dead_letters, held, killed):
    """`files`: {shard: {sequence: line}}. `dead_letters`: as the coordinator lists
    them, each of one record. `held`: {shard: epoch} of the killed worker's leases
    when it was killed."""
    ledger = Ledger()
    everything = {(shard, s) for shard, found in files.items() for s in found}
    stored = Counter((l["shard"], l["sequence"]) for l in log if l["event"] == "stored")
    dead = Counter((l["shard"], l["first_sequence"]) for l in dead_letters)
    ledger.records = len(everything)
    ledger.processed = len(stored.keys() & everything)
    ledger.dead_lettered = sum(dead.values())
    ledger.lost = sorted(everything - stored.keys() - dead.keys())
    ledger.both = sorted(stored.keys() & dead.keys())
    ledger.unknown = sorted((stored.keys() | dead.keys()) - everything)
    ledger.stored_twice = sum(1 for times in stored.values() if times > 1)

    runs = deliveries(log)
    mark_lost(runs, killed, held)
    ledger.disordered = out_of_order(files, runs)
    count_returns(ledger, runs, held)
    return ledger


def out_of_order(files, runs):
    """The shards whose records were not first handed over one after the other."""
    to_come = {shard: iter(found) for shard, found in files.items()}
    seen, wrong = set(), set()
    for run in runs:
        for sequence in run.sequences:
            if (run.shard, sequence) not in seen:
                seen.add((run.shard, sequence))
                if next(to_come.get(run.shard, iter(())), None) != sequence:
                    wrong.add(run.shard)
    return sorted(wrong)


def count_returns(ledger, runs, held):
    """Counts what was handed over again and why, and what the coordinator should
    have counted: it counts with the report of a delivery, so a lost one not; and
    the whole batch that a dead worker held as lost, begun or not."""
    before, counted, pending = {}, Counter(), dict(held)
    for run in runs:
        causes = Counter()
        for sequence in run.sequences:
            previous = before.get((run.shard, sequence))
            if previous is not None:
                causes[cause_of_return(previous)] += 1
            before[run.shard, sequence] = run
        ledger.handed_over += len(run.sequences)
        ledger.again.update(causes)
        if run.lost:
            continue
        if run.epoch > pending.get(run.shard, run.epoch):
            del pending[run.shard]
            counted["lost"] += len(run.sequences)
        else:
            counted.update(causes)
    ledger.counted = {cause: counted[cause] for cause in CAUSES}
