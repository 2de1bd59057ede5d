"""What the quickstart prints: steps with their time, progress, tables."""

import sys
import time

LIVE = sys.stdout.isatty()
WIDTH = 78


def bold(text):
    return f"\033[1m{text}\033[0m" if LIVE else text


def fold(text, indent="  "):
    """The words of `text`, in lines that fit the page."""
    lines, line = [], indent.rstrip("\n")
    for word in text.split():
        if len(line) + len(word) + 1 > WIDTH and line.strip():
            lines.append(line)
            line = indent
        line += ("" if line.endswith(" ") or not line else " ") + word
    return "\n".join(lines + [line])


def say(text=""):
    print(text, flush=True)


def title(text):
    say()
    say(bold(text))
    say()


class Step:
    """One step: a line that moves while it runs and ends with the time it took.

    Where the output is no terminal, a step that takes long says from time to time
    how far it is, in lines of their own."""

    def __init__(self, name):
        self._name = name
        self._start = time.monotonic()
        self._said = self._start
        self.update("")

    def update(self, text):
        if LIVE:
            line = f"  {self._name:<22}  {text}"
            sys.stdout.write(f"\r\033[K{line[:WIDTH]}")
            sys.stdout.flush()
        elif text and time.monotonic() - self._said > 20:
            self._said = time.monotonic()
            say(f"  {'...':<22}  {text}")

    def done(self, text):
        seconds = time.monotonic() - self._start
        took = f"{seconds:.1f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
        if LIVE:
            sys.stdout.write("\r\033[K")
        say(f"  {self._name:<22}  {text:<46}{took:>7}")

    def clear(self):
        """Takes the line away, for an error message in its place."""
        if LIVE:
            sys.stdout.write("\r\033[K")
            sys.stdout.flush()


def bar(done, total, width=24):
    filled = width * done // max(total, 1)
    return "[" + "#" * filled + "." * (width - filled) + "]"


def table(header, rows, align):
    """Prints rows of texts; `align` has "<" or ">" for each column."""
    rows = [[str(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in [header] + rows) for i in range(len(header))]

    def line(cells):
        return ("  " + "  ".join(f"{c:{a}{w}}" for c, a, w in zip(cells, align, widths))).rstrip()

    say(bold(line(header)))
    for row in rows:
        say(line(row))
