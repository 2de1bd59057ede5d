"""Whether all went as it should, from what is left of it. Pure: values in, problems out.

A *failed call* is one to a coordinator that came to a worker's own code with an error, after
what gRPC tries again by itself: lowmark_worker_call_errors_total, of all workers that there
were, as each said last. As it is read each second only, what a worker writes to its log
counts, too: it has a warning for the first call that fails of each kind.
"""

import json
import re
from collections import Counter

CALLS = "lowmark_worker_call_errors_total"
# What a graceful change makes none of, by component.
NONE_OF = {
    "worker": (CALLS, "lowmark_worker_leases_lost_total", "lowmark_worker_report_retries_total",
               "lowmark_worker_records_redelivered_total"),
    "coordinator": ("lowmark_store_errors_total", "lowmark_reports_refused_total",
                    "lowmark_deliveries_lost_total", "lowmark_records_redelivered_total",
                    "lowmark_retries_total"),
}
# No call to a coordinator: before Kubernetes 1.29 a handler beside the worker may listen only
# after the worker has its first batch, which then waits, and is handed over once.
NO_CALL = "handler out of reach"
SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$", re.MULTILINE)


def samples(text):
    """{(name, labels): value} of what /metrics answers."""
    return {(name, labels): float(value) for name, labels, value in SAMPLE.findall(text)}


def since(before, after, stream):
    """What of NONE_OF the pods count in `after`, and did not in `before`, as texts.
    Both are {(component, pod): text of /metrics}."""
    found = []
    for (component, pod), text in sorted(after.items()):
        old = samples(before.get((component, pod), ""))
        for (name, labels), value in samples(text).items():
            more = value - old.get((name, labels), 0)
            if name in NONE_OF[component] and of_stream(labels, stream) and more > 0:
                found.append(f"{pod}: {name}{{{labels}}} {more:g}")
        if forced(text) > forced(before.get((component, pod), "")):
            found.append(f"{pod}: shards were taken by force")
    return found


def of_stream(labels, stream):
    """The store's errors are of no stream."""
    return "stream=" not in labels or f'stream="{stream}"' in labels


def forced(text):
    return sum(value for (name, labels), value in samples(text).items()
               if name == "lowmark_handoffs_total" and 'kind="forced"' in labels)


def failed_calls(before, after):
    """How many, in all."""
    def count(texts):
        return sum(value for text in texts.values()
                   for (name, _), value in samples(text).items() if name == CALLS)
    return int(count(after) - count({pod: before[pod] for pod in before if pod in after}))


def complaints(logs, begin):
    """Lines of level warning or worse that programs wrote after `begin`, a time as they
    write it. `logs`: {name: lines}."""
    found = []
    for name, lines in logs.items():
        for line in lines:
            try:
                entry = json.loads(line)
            except ValueError:
                continue  # of another program
            if isinstance(entry, dict) and entry.get("level") in ("warning", "error") \
                    and entry.get("time", "") > begin and entry.get("message") != NO_CALL:
                found.append(f"{name}: {line}")
    return found


def exactly_once(ledger):
    """What is wrong where each record should have been handed over once, and in order.
    `ledger`: as deploy/quickstart.d/ledger.py makes it."""
    wrong = {"lost": ledger.lost, "processed, but never written": ledger.unknown,
             "shards out of order": ledger.disordered}
    found = [f"{what}: {which[:5]}" for what, which in wrong.items() if which]
    again = Counter(ledger.again)
    if again.total() or ledger.stored_twice or ledger.handed_over != ledger.records:
        found.append(f"{ledger.records} records were handed over {ledger.handed_over} times, again "
                     f"because of {dict(again)}; {ledger.stored_twice} were processed twice")
    return found


def walk(runs):
    """[(first, last, where it failed)] of deliveries of one shard, by ordinal."""
    ordinals = {}
    for run in runs:
        for sequence in run.sequences:
            ordinals.setdefault(sequence, len(ordinals) + 1)
    return [(ordinals[run.sequences[0]], ordinals[run.sequences[-1]],
             ordinals.get(run.failed)) for run in runs]
