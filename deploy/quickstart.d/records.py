"""The records of the second part: a public data set, or else a log of this machine."""

import json
import os
import shutil
import subprocess
import tarfile
import zlib
from dataclasses import dataclass

PACKAGE = "vega-datasets@3.2.1"
MEMBER = "package/data/movies.json"
LOG = "/var/log/dpkg.log"
SHARDS = 8


@dataclass
class Records:
    what: str       # for people
    unit: str       # "movies"
    rules: str      # which of rules.py
    directory: str  # one file a shard
    count: int


def load(cache):
    """Finds the records: returns (what they are, unit, rules, [(key, record)])."""
    movies = os.path.join(cache, "movies.json")
    if os.path.exists(movies) or fetch(cache, movies):
        with open(movies, encoding="utf-8") as file:
            rows = json.load(file)
        keyed = [(str(row["Title"]), row) for row in rows]
        return f"movies.json of the npm package {PACKAGE}", "movies", "movies", keyed
    if not os.path.exists(LOG):
        raise SystemExit(f"npm could not fetch {PACKAGE}, and there is no {LOG} to take instead.\n"
                         "Install npm, or see to its network, and run this again.")
    with open(LOG, encoding="utf-8", errors="replace") as file:
        lines = [line.rstrip("\n") for line in file][-6000:]
    keyed = [((line.split(" ") + [""] * 4)[3], {"line": line}) for line in lines]
    return f"{LOG} of this machine (npm could not fetch {PACKAGE})", "log lines", "log", keyed


def fetch(cache, movies):
    """Gets the data set once; False where npm or its registry is not there."""
    if shutil.which("npm") is None:
        return False
    os.makedirs(cache, exist_ok=True)
    try:
        packed = subprocess.run(["npm", "pack", "--silent", "--fetch-retries=1", PACKAGE], cwd=cache,
                                capture_output=True, text=True, timeout=120, check=True)
        archive = os.path.join(cache, packed.stdout.split()[-1])
        with tarfile.open(archive) as tar, open(movies + ".part", "wb") as part:
            shutil.copyfileobj(tar.extractfile(MEMBER), part)
        os.rename(movies + ".part", movies)
        os.remove(archive)
        return True
    except (subprocess.SubprocessError, OSError, tarfile.TarError, KeyError, IndexError):
        return False


def spread(keyed, directory):
    """Writes each record, as a line of JSON, to the shard that its key falls to."""
    os.makedirs(directory)
    files = [open(os.path.join(directory, f"shard-{n}.jsonl"), "w", encoding="utf-8")
             for n in range(SHARDS)]
    for key, record in keyed:
        files[zlib.crc32(key.encode()) % SHARDS].write(json.dumps(record) + "\n")
    for file in files:
        file.close()


def prepare(cache, directory):
    what, unit, rules, keyed = load(cache)
    spread(keyed, directory)
    return Records(what, unit, rules, directory, len(keyed))


def sequences(directory):
    """What the files hold: {shard: {sequence number: line}}, in order."""
    shards = {}
    for name in sorted(os.listdir(directory)):
        with open(os.path.join(directory, name), "rb") as file:
            found, offset = {}, 0
            for line in file:
                found[str(offset)] = line.rstrip(b"\n")
                offset += len(line)
        shards[name.removesuffix(".jsonl")] = found
    return shards
