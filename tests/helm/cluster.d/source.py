"""Records that are written all the time, to several shards at once."""

import json
import os
import threading

SHARDS = 8
# Between one record for each shard and the next.
PAUSE = 0.05


class Feed:
    """Appends to a file for each shard, from `with` on until `stop`."""

    def __init__(self, directory):
        self._directory = directory
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._write, daemon=True)
        self.written = 0

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self._stopped.set()
        self._thread.join()

    def _write(self):
        files = [open(os.path.join(self._directory, f"shard-{n}.jsonl"), "w", encoding="ascii")
                 for n in range(SHARDS)]
        while not self._stopped.wait(PAUSE):
            for file in files:
                file.write(json.dumps({"order": self.written}) + "\n")
                file.flush()
                self.written += 1
        for file in files:
            file.close()
