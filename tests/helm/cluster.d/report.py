"""What the test says: a line for each step, with the time it took, and figures in the end."""

import contextlib
import json
import time


class Step:
    """A step that runs; `text` is what came of it."""

    def __init__(self):
        self.text = ""


class Report:
    """Kept in a file, since the steps are taken by two processes, one after the other."""

    def __init__(self, path):
        self._path = path

    @contextlib.contextmanager
    def step(self, name):
        start, step = time.monotonic(), Step()
        print(f"  {name} ...", flush=True)
        try:
            yield step
        except BaseException:
            print(f"  {name:<34}{'FAILED':<52}{time.monotonic() - start:>8.1f} s", flush=True)
            raise
        seconds = time.monotonic() - start
        print(f"  {name:<34}{step.text:<52}{seconds:>8.1f} s", flush=True)
        self._keep(step=name, seconds=seconds)

    def figure(self, name, value):
        self._keep(figure=name, value=str(value))

    def _keep(self, **line):
        with open(self._path, "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def print_summary(self):
        with open(self._path, encoding="utf-8") as file:
            lines = [json.loads(line) for line in file]
        print("\n== Summary")
        for line in lines:
            if "step" in line:
                print(f"  {line['step']:<62}{line['seconds']:>8.1f} s")
        print()
        for line in lines:
            if "figure" in line:
                print(f"  {line['figure']:<62}{line['value']:>10}")
        print(f"\n  total: {sum(line.get('seconds', 0) for line in lines):.0f} s", flush=True)
