"""Builds the programs, with a line that shows how far it is."""

import os
import re
import subprocess

import terminal

PROGRAMS = ["lowmark", "lowmark-coordinator", "lowmark-worker"]
# What one compiler of the gRPC headers may take; more of them at once would swap.
BYTES_A_JOB = 1 << 30


def jobs():
    with open("/proc/meminfo", encoding="ascii") as file:
        available = int(re.search(r"MemAvailable:\s+(\d+)", file.read()).group(1)) * 1024
    return max(1, min(len(os.sched_getaffinity(0)), available // BYTES_A_JOB))


def run(command, step, progress=None):
    """Runs a command; its output is shown only where it fails."""
    kept = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors="replace", env={**os.environ, "NINJA_STATUS": "%f/%t "}) as process:
        for line in process.stdout:
            moved = progress(line) if progress else None
            if moved:
                step.update(moved)
            else:
                kept.append(line)
    if process.returncode != 0:
        step.clear()
        terminal.say("".join(kept).rstrip())
        raise SystemExit(f"\nThis failed: {' '.join(command)}")


def compiled(line):
    """The progress that a line of ninja tells of."""
    match = re.match(r"(\d+)/(\d+) (?:Building|Linking|Running|Generating)?(.*)", line)
    if match is None:
        return None
    what = os.path.basename(match.group(3).split(" ")[-1].strip()).removesuffix(".o")
    done, total = int(match.group(1)), int(match.group(2))
    return f"{terminal.bar(done, total)} {done}/{total} {what}"


def build(root, directory):
    step = terminal.Step("Building")
    if not os.path.exists(os.path.join(directory, "build.ninja")):
        step.update("looking at the compiler and the libraries")
        # The tests need packages of their own, which tests/run installs.
        run(["cmake", "-S", root, "-B", directory, "-G", "Ninja", "-DLOWMARK_TESTS=OFF"], step)
    before = newest(directory)
    run(["cmake", "--build", directory, "--parallel", str(jobs()), "--target", *PROGRAMS], step,
        compiled)
    step.done("was up to date" if newest(directory) == before else "done: " + directory)
    return programs(directory)


def programs(directory):
    """Where each program is that was built there."""
    return {name: find(directory, name) for name in PROGRAMS}


def find(directory, name):
    for folder, _, files in os.walk(directory):
        if name in files and os.access(os.path.join(folder, name), os.X_OK):
            return os.path.join(folder, name)
    raise SystemExit(f"{directory} has no program {name}; remove it and run this again.")


def newest(directory):
    """When the programs were last linked."""
    times = []
    for folder, _, files in os.walk(directory):
        times += [os.path.getmtime(os.path.join(folder, f)) for f in files if f in PROGRAMS]
    return times
