"""Part 1: the same ten records through three kinds of retry."""

import json
import os
import sys

import terminal
from records import sequences

HERE = os.path.dirname(os.path.abspath(__file__))
SHARD = "shard-0"
RECORDS = 10
# What differs between the three: the policy, and how the handler says that a
# record failed.
MODES = [
    ("whole batch", "raise", {"report_batch_item_failures": False, "bisect_batch_on_failure": False}),
    ("bisect", "raise", {"report_batch_item_failures": False, "bisect_batch_on_failure": True}),
    ("lowest failed", "report", {"report_batch_item_failures": True,
                                 "bisect_batch_on_failure": True}),
]
EXPLAIN = {
    "whole batch": "Whole batch: whatever fails, all of it is sent again.",
    "bisect": "Bisect: a batch that fails is cut in half, and each half goes its own way.",
    "lowest failed": "Lowest failed: the handler names the record, which is the new checkpoint.",
}
# What docs/rules.md promises of the last of them.
PROMISED = [(1, "AT 4"), (4, "AT 7"), (7, "AT 10"), (10, "AFTER 10")]


def show(system):
    terminal.title("1. Ten records, three kinds of retry")
    terminal.say(terminal.fold(
        "One batch of ten records. Records 4, 7 and 10 each fail the first time that the handler "
        "meets them, as when a database is busy for a moment; the handler stops there. In each "
        "case a worker, its handler, the coordinator and PostgreSQL really run. In the tables "
        "+ is processed, x failed, . handed over but not reached."))
    terminal.say()
    source = os.path.join(system.directory, "ten")
    ordinals = write_records(source)
    step = terminal.Step("Running")
    walks = [start(system, source, ordinals, *mode) for mode in MODES]
    results = []
    for number, (name, stream, directory, worker) in enumerate(walks):
        step.update(f"{name} ({number + 1} of {len(walks)})")
        system.wait(lambda: at_end(system, stream, ordinals), f"the {name} walk to end", worker)
        results.append((name, read(system, stream, directory, ordinals)))
        system.end(worker)
    step.done("all ten records processed, in each case")
    for name, deliveries in results:
        terminal.say()
        terminal.say("  " + terminal.bold(EXPLAIN[name]))
        print_walk(deliveries)
    terminal.say()
    terminal.say("  " + terminal.bold("What it cost"))
    compare(results)
    seen = [(d["records"][0], d["checkpoint"]) for d in results[-1][1]]
    if seen != PROMISED:
        terminal.say(f"  WRONG: docs/rules.md promises {PROMISED}")
        return 1
    return 0


def write_records(directory):
    """Ten lines; returns {sequence number: ordinal}."""
    os.makedirs(directory)
    with open(os.path.join(directory, SHARD + ".jsonl"), "w", encoding="ascii") as file:
        for ordinal in range(1, RECORDS + 1):
            file.write(json.dumps({"order": 1000 + ordinal, "amount": 5 * ordinal}) + "\n")
    return {s: i + 1 for i, s in enumerate(sequences(directory)[SHARD])}


def start(system, source, ordinals, name, answer, policy):
    stream = "ten-" + name.replace(" ", "-")
    directory = os.path.join(system.directory, stream)
    os.makedirs(directory)
    with open(os.path.join(directory, "ordinals.json"), "w", encoding="ascii") as file:
        json.dump(ordinals, file)
    system.create_stream(stream, {"batch_size": RECORDS, "retry_backoff.initial": "100ms", **policy})
    handler = [sys.executable, "-I", os.path.join(HERE, "walk_handler.py"), answer, directory,
               system.programs["lowmark"], system.address]
    return name, stream, directory, system.start_file_worker(stream, stream, source, handler)


def at_end(system, stream, ordinals):
    shards = {shard["shard"]: shard for shard in system.shards(stream)}
    last = max(ordinals, key=ordinals.get)
    return shards.get(SHARD, {}).get("checkpoint", {}) == {"after_sequence": last}


def read(system, stream, directory, ordinals):
    """The walk as its handler logged it. The checkpoint after a delivery is what
    the coordinator answered when the next one began."""
    with open(os.path.join(directory, "log.jsonl"), encoding="utf-8") as file:
        lines = [json.loads(line) for line in file]
    shards = [line["shard"] for line in lines] + [system.shard(stream, SHARD)]
    deliveries = []
    for line, after in zip(lines, shards[1:]):
        deliveries.append({
            "number": line["shard"]["delivery"],
            "records": [ordinals[s] for s in line["sequences"]],
            "failed": ordinals.get(line["failed"]),
            "checkpoint": checkpoint(after["checkpoint"], ordinals),
        })
    return deliveries


def checkpoint(position, ordinals):
    if "at_sequence" in position:
        return f"AT {ordinals[position['at_sequence']]}"
    if "after_sequence" in position:
        return f"AFTER {ordinals[position['after_sequence']]}"
    return "TRIM_HORIZON"


def span(records):
    return str(records[0]) if len(records) == 1 else f"{records[0]}-{records[-1]}"


def strip(delivery):
    """One character a record: + processed, x failed, . handed over in vain."""
    cells = [" "] * RECORDS
    for record in delivery["records"]:
        failed = delivery["failed"]
        done = failed is None or record < failed
        cells[record - 1] = "+" if done else "x" if record == failed else "."
    return "".join(cells)


def print_walk(deliveries):
    rows = []
    for d in deliveries:
        outcome = "processed" if d["failed"] is None else f"record {d['failed']} failed"
        rows.append([d["number"], span(d["records"]), "|" + strip(d) + "|", outcome,
                     d["checkpoint"]])
    terminal.table(["delivery", "records", " 123456789X", "outcome", "checkpoint after it"], rows,
                   "><<<<")


def totals(deliveries):
    """Deliveries, records handed over beyond the first time, records that were
    processed and then handed over again."""
    handed = sum(len(d["records"]) for d in deliveries)
    done, repeated = set(), 0
    for d in deliveries:
        repeated += len(done.intersection(d["records"]))
        done.update(r for r in d["records"] if d["failed"] is None or r < d["failed"])
    return len(deliveries), handed - RECORDS, repeated


def compare(results):
    rows = [[name, *totals(deliveries)] for name, deliveries in results]
    terminal.table(["", "deliveries", "records again", "processed again"],
                   rows, "<>>>")
