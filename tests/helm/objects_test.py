"""What is rendered is what Kubernetes takes, and as safe as it should be."""

import json
import os
import subprocess
import unittest

from chart import CACHE, CHART, HERE, RENDERED, find, objects, rendered
import restricted


class TypesTest(unittest.TestCase):
    """Every object that is rendered has the form that Kubernetes asks for."""

    def check(self, entries):
        return subprocess.run(
            ["node", os.path.join(HERE, "objects.mjs"), os.path.join(CACHE, "node_modules")],
            input=json.dumps(entries), capture_output=True, text=True, check=False)

    def test_objects_are_well_formed(self):
        entries = []
        for values, kubernetes in RENDERED:
            for thing in rendered(values, kubernetes):
                where = f"{values} {kubernetes} {thing['kind']} {thing['metadata']['name']}"
                entries.append({"where": where, "object": thing})
        with open(os.path.join(CHART, "ci", "postgresql.yaml"), encoding="utf-8") as file:
            entries += [{"where": "ci/postgresql.yaml", "object": o} for o in objects(file.read())]
        done = self.check(entries)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn(f"{len(entries)} objects, 0 problems", done.stdout)

    def test_the_check_finds_what_is_wrong(self):
        good = find(rendered("minimal"), "Deployment", "mine-lowmark-coordinator")
        container = ("spec", "template", "spec", "containers", 0)
        cases = ((("spec", "replica"), 2, "does not exist in type 'IDeploymentSpec'"),
                 (("spec", "replicas"), "2", "spec/replicas must be integer"),
                 (container + ("ports", 0, "containerPort"), "7070", "containerPort must be integer"),
                 (container + ("command",), "serve", "command must be array"),
                 (("apiVersion",), "apps/v2", "there is no type for apps/v2 Deployment"))
        entries = []
        for path, value, _ in cases:
            wrong = json.loads(json.dumps(good))
            at = wrong
            for key in path[:-1]:
                at = at[key]
            at[path[-1]] = value
            entries.append({"where": ".".join(map(str, path)), "object": wrong})
        done = self.check(entries)
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        for entry, (_, _, problem) in zip(entries, cases):
            about = [line for line in done.stdout.splitlines() if line.startswith(entry["where"] + ":")]
            self.assertIn(problem, " ".join(about), done.stdout)


class RestrictedTest(unittest.TestCase):
    """Every pod, with what users add, is "restricted"."""

    def test_pods_are_restricted(self):
        pods = 0
        for values, kubernetes in RENDERED:
            for thing in rendered(values, kubernetes):
                pod = restricted.pod_of(thing)
                if pod is None:
                    continue
                pods += 1
                with self.subTest(values=values, name=thing["metadata"]["name"]):
                    self.assertEqual(list(restricted.problems(pod)), [])
                    self.assertIs(pod["automountServiceAccountToken"], False)
                    self.assertIs(pod["enableServiceLinks"], False)
        self.assertGreater(pods, 20)

    def test_the_check_finds_what_is_wrong(self):
        good = restricted.pod_of(find(rendered("minimal"), "Deployment", "mine-lowmark-coordinator"))
        self.assertEqual(list(restricted.problems(good)), [])

        def broken(change):
            pod = json.loads(json.dumps(good))
            change(pod, pod["containers"][0]["securityContext"])
            return " ".join(restricted.problems(pod))

        self.assertIn("hostNetwork", broken(lambda pod, c: pod.update(hostNetwork=True)))
        self.assertIn("may run as root", broken(lambda pod, c: pod.update(securityContext={})))
        self.assertIn("seccomp", broken(lambda pod, c: pod.update(securityContext={})))
        self.assertIn("may escalate", broken(lambda pod, c: c.pop("allowPrivilegeEscalation")))
        self.assertIn("keeps capabilities", broken(lambda pod, c: c.pop("capabilities")))
        self.assertIn("write to its root", broken(lambda pod, c: c.pop("readOnlyRootFilesystem")))
        self.assertIn("privileged", broken(lambda pod, c: c.update(privileged=True)))
        self.assertIn("is a hostPath", broken(lambda pod, c: pod.update(
            volumes=[{"name": "host", "hostPath": {"path": "/"}}])))
        self.assertIn("container x", broken(lambda pod, c: pod.update(
            initContainers=[{"name": "x"}])))


if __name__ == "__main__":
    unittest.main()
