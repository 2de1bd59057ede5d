"""What the chart tells the programs, they understand. With a build alone."""

import os
import subprocess
import sys
import tempfile
import unittest

from chart import RENDERED, ROOT, arguments, find, rendered, variables
import restricted

BUILD = os.environ["LOWMARK_BUILD_DIR"]
sys.path.insert(0, os.path.join(ROOT, "tests", "docs"))
import servers  # noqa: E402


class ProgramsTest(unittest.TestCase):
    """What the chart tells the programs, they understand."""

    @classmethod
    def setUpClass(cls):
        folders = [os.path.join(BUILD, part) for part in ("service", "service/cli", "worker")]
        os.environ["PATH"] = ":".join(folders + [os.environ["PATH"]])

    def test_every_variable_and_flag_is_an_option(self):
        texts = {name: servers.help_of([name]) for name in ("lowmark", "lowmark-coordinator",
                                                            "lowmark-worker")}
        # The command line runs in coordinators' pods.
        texts["lowmark-coordinator"] += texts["lowmark"]
        checked = set()
        for values, kubernetes in RENDERED:
            for thing in rendered(values, kubernetes):
                for container in (restricted.pod_of(thing) or {}).get("containers", []):
                    text = texts.get(container.get("command", [""])[0])
                    for variable in variables(container) if text else ():
                        if variable.startswith("LOWMARK_"):
                            self.assertRegex(text, rf"\b{variable}\b")
                            checked.add(variable)
                    for flag in arguments(container) if text else ():
                        self.assertRegex(text, rf"--{flag}\b")
                        checked.add(flag)
        self.assertGreater(len(checked), 20)

    def test_streams_are_read_by_the_command_line(self):
        for name in ("full", "sidecar", "minimal"):
            text = find(rendered(name), "ConfigMap", "mine-lowmark-streams")["data"]["streams.yaml"]
            with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
                file.write(text)
                file.flush()
                done = subprocess.run(["lowmark", "streams", "apply", "--file", file.name,
                                       "--coordinator", "127.0.0.1:1"], capture_output=True,
                                      text=True, check=False)
            # It got as far as to ask a coordinator.
            self.assertIn("cannot reach a coordinator", done.stderr)


if __name__ == "__main__":
    unittest.main()
