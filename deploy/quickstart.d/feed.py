"""Part 2: real records, three workers, one of them killed."""

import json
import os
import re
import signal
import sys

import ledger
import records
import rules
import terminal

HERE = os.path.dirname(os.path.abspath(__file__))
STREAM = "feed"
WORKERS = ("one", "two", "three")
POLICY = {"batch_size": 50, "maximum_retry_attempts": 1, "retry_backoff.initial": "100ms"}
SECONDS_A_RECORD = "0.001"
KILL_AT = 0.3  # of the records
KILLED_BATCH = 10  # records in flight, at least, with the worker that is killed


def show(system):
    """Runs it and returns the exit code."""
    source = records.prepare(system.cache, os.path.join(system.directory, STREAM))
    files = records.sequences(source.directory)
    terminal.title(f"2. {source.count:,} {source.unit}, three workers, one killed")
    terminal.say(terminal.fold(
        f"{source.what}: as it is, with its faults, in {len(files)} shards by a hash of "
        "its key. The handler, feed_handler.py, processes what is good, reports what it can tell "
        "is bad, and crashes on what nobody foresaw."))
    terminal.say()
    log = os.path.join(system.directory, "handlers.jsonl")
    system.create_stream(STREAM, POLICY)
    workers = {name: start_worker(system, source, name, log) for name in WORKERS}
    step = terminal.Step("Running")
    killed, held = run(system, step, source.count, files, workers, log)
    with open(os.path.join(system.directory, "killed.json"), "w", encoding="ascii") as file:
        json.dump({"worker": killed, "held": held}, file)
    step.done(f"all {len(files)} shards read to the end; '{killed}' killed")

    dead_letters = system.dead_letters(STREAM)
    lines = read_log(log)
    account = ledger.make(files, lines, dead_letters, held, killed)
    print_records(account, reasons(source, files, lines, dead_letters))
    print_hand_overs(account, killed)
    return verdict(account, counted(system.metrics()))


def start_worker(system, source, name, log):
    handler = [sys.executable, "-I", "-S", os.path.join(HERE, "feed_handler.py"), name, log,
               source.rules, SECONDS_A_RECORD]
    return system.start_file_worker(STREAM, name, source.directory, handler)


def run(system, step, count, files, workers, log):
    """Until every shard is at its end. Returns which worker was killed, and the
    leases that it held."""
    ends = {shard: list(found)[-1] for shard, found in files.items() if found}
    killed, held = None, {}
    progress = Progress(log)

    def finished():
        nonlocal killed, held
        moved = progress.read()
        stored = len(progress.stored)
        note = f", '{killed}' killed" if killed else ""
        step.update(f"{terminal.bar(stored, count)} {stored:,} of {count:,}{note}")
        if killed is None and stored > KILL_AT * count:
            killed, held = kill_one(system, workers, log)
        # Asking takes the processors from those that are asked about: only when
        # the last records have been seen, and nothing goes on.
        if killed is None or moved or not progress.seen.issuperset(ends.items()):
            return False
        return all_at_end(system, ends)

    system.wait(finished, "all shards to be read to their end", *workers.values())
    return killed, held


class Progress:
    """The handlers' log as it grows: which records were stored, and which were
    stored or failed, as (shard, sequence number)."""

    def __init__(self, path):
        self._path = path
        self._offset = 0
        self.stored = set()
        self.seen = set()

    def read(self):
        """Reads what is new, and returns whether anything is."""
        if not os.path.exists(self._path):
            return False
        with open(self._path, "rb") as file:
            file.seek(self._offset)
            new = file.read()
        new = new[:new.rfind(b"\n") + 1]
        self._offset += len(new)
        for line in map(json.loads, new.splitlines()):
            if line.get("sequence"):
                self.seen.add((line["shard"], line["sequence"]))
            if line["event"] == "stored":
                self.stored.add((line["shard"], line["sequence"]))
        return bool(new)


def all_at_end(system, ends):
    at = {s["shard"]: s["checkpoint"].get("after_sequence") for s in system.shards(STREAM)}
    return all(at.get(shard) == last for shard, last in ends.items())


def kill_one(system, workers, log):
    """Kills a worker that has a batch in flight; (None, {}) where none has just
    now. It is stopped first, so that what it holds can be read off."""
    run = in_flight(log)
    if run is None:
        return None, {}
    worker = workers[run.worker]
    worker.send_signal(signal.SIGSTOP)
    if in_flight(log, run.worker) is None:  # it was faster
        worker.send_signal(signal.SIGCONT)
        return None, {}
    shards = system.shards(STREAM)
    owner = next(s["owner"] for s in shards if s["shard"] == run.shard)
    held = {s["shard"]: int(s["epoch"]) for s in shards if s["owner"] == owner}
    system.kill(worker)
    return run.worker, held


def in_flight(log, worker=None):
    """The newest batch that a handler has begun and not ended, of that worker."""
    for run in reversed(ledger.deliveries(read_log(log))):
        large = len(run.sequences) >= KILLED_BATCH
        if large and run.outcome == "unfinished" and worker in (None, run.worker):
            return run
    return None


def read_log(path):
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file if line.endswith("\n")]


def entry(name, number, note=""):
    terminal.say(f"  {name:<24}{number:>7,}   {note}".rstrip())


def print_records(account, why_dead):
    terminal.say()
    terminal.say(terminal.bold("  Where every record went"))
    entry("in the files", account.records)
    entry("processed", account.processed, "in the handlers' log")
    entry("dead letters", account.dead_lettered, "in the coordinator's list")
    for why, number, example in why_dead:
        why = why if len(why) <= 46 else why[:43] + "..."
        terminal.say(f"  {number:>6}  {why:<46}  {example}"[:terminal.WIDTH])
    entry("in neither, so lost", len(account.lost))
    entry("in both", len(account.both))


def print_hand_overs(account, killed):
    terminal.say()
    terminal.say(terminal.bold("  How often records were handed to a handler"))
    entry("for the first time", account.handed_over - account.again.total())
    for cause, why in (("partial", "from the lowest failed record on"),
                       ("split", "their batch failed and was cut in two"),
                       ("retry", "the same batch failed, and came once more"),
                       ("lost", f"in flight when worker '{killed}' was killed")):
        entry(f"again: {cause}", account.again[cause], why)
    entry("in all", account.handed_over)
    entry("processed twice or more", account.stored_twice, "handlers must bear \"at least once\"")
    terminal.say()


def counted(metrics):
    """The records delivered again that the coordinator counted, by cause."""
    found = dict.fromkeys(ledger.CAUSES, 0)
    for labels, number in re.findall(r"^lowmark_records_redelivered_total\{(.*)\} (\S+)$", metrics,
                                     re.MULTILINE):
        cause = re.search(r'cause="(\w+)"', labels).group(1)
        if f'stream="{STREAM}"' in labels and cause in found:
            found[cause] = int(float(number))
    return found


def reasons(source, files, lines, dead_letters):
    """[(why, how many, an example)] of dead letters, as the handlers saw it."""
    why = {(l["shard"], l["sequence"]): l["why"] for l in lines if "why" in l}
    found = {}
    for letter in dead_letters:
        key = letter["shard"], letter["first_sequence"]
        record = json.loads(files[key[0]][key[1]])
        found.setdefault(why.get(key, "?"), []).append(rules.NAMES[source.rules](record))
    return [(reason, len(names), min(names, key=len))
            for reason, names in sorted(found.items(), key=lambda item: -len(item[1]))]


def verdict(account, metrics):
    """Says whether all agrees; the exit code."""
    problems = []
    if not account.balances():
        problems.append("the ledger does not balance")
    for name, found in (("lost", account.lost), ("both processed and dead-lettered", account.both),
                        ("in no file", account.unknown), ("out of order", account.disordered)):
        if found:
            problems.append(f"{name}: {found[:5]}")
    if metrics != account.counted:
        problems.append(f"the coordinator counted {metrics}, the handlers' log says "
                        f"{account.counted}")
    for problem in problems:
        terminal.say("  WRONG: " + problem)
    if not problems:
        terminal.say(terminal.fold(
            "The ledger balances: every record is processed or a dead letter, none was first "
            "handed over out of order, and the coordinator's /metrics count the same as the "
            "handlers' log."))
    return 1 if problems else 0
