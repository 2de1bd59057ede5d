"""The alerts and dashboards that the chart brings."""

import glob
import json
import os
import re
import subprocess
import unittest

import yaml

from chart import CHART, HERE, ROOT


class MonitoringTest(unittest.TestCase):
    """Alerts and dashboards speak of metrics that there are; alerts fire."""

    FILES = os.path.join(CHART, "files")

    def metrics(self):
        with open(os.path.join(ROOT, "docs", "metrics.md"), encoding="utf-8") as file:
            return set(re.findall(r"`((?:lowmark|process)_\w+)`", file.read()))

    def test_every_metric_is_documented(self):
        known = self.metrics()
        for path in glob.glob(os.path.join(self.FILES, "**", "*.*"), recursive=True):
            with open(path, encoding="utf-8") as file:
                named = set(re.findall(r"\b((?:lowmark|process)_\w+)", file.read()))
            self.assertTrue(named, path)
            plain = {re.sub(r"_(bucket|sum|count)$", "", n) if n not in known else n for n in named}
            self.assertEqual(plain - known, set(), path)

    def test_rules(self):
        for command in (["check", "rules", os.path.join(self.FILES, "alerts.yaml")],
                        ["test", "rules", os.path.join(HERE, "alerts_test.yaml")]):
            done = subprocess.run(["promtool", *command], capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_every_alert_is_tested_and_says_what_to_do(self):
        with open(os.path.join(self.FILES, "alerts.yaml"), encoding="utf-8") as file:
            alerts = [r for g in yaml.safe_load(file)["groups"] for r in g["rules"]]
        with open(os.path.join(HERE, "alerts_test.yaml"), encoding="utf-8") as file:
            tested = {case["alertname"] for test in yaml.safe_load(file)["tests"]
                      for case in test["alert_rule_test"] if case.get("exp_alerts")}
        self.assertEqual({a["alert"] for a in alerts}, tested)
        for alert in alerts:
            self.assertIn(alert["labels"]["severity"], ("warning", "critical"))
            self.assertEqual(set(alert["annotations"]), {"summary", "description"})

    def test_dashboards_can_be_imported_anywhere(self):
        for path in glob.glob(os.path.join(self.FILES, "dashboards", "*.json")):
            with open(path, encoding="utf-8") as file:
                dashboard = json.load(file)
            self.assertGreaterEqual(dashboard["schemaVersion"], 36)
            names = [v["name"] for v in dashboard["templating"]["list"]]
            self.assertIn("datasource", names)
            ids = [p["id"] for p in dashboard["panels"]]
            self.assertEqual(len(ids), len(set(ids)))
            for panel in dashboard["panels"]:
                self.assertEqual(panel["datasource"]["uid"], "${datasource}", panel["title"])
                self.assertTrue(panel["title"])
                for target in panel["targets"]:
                    self.assertTrue(target["expr"])


if __name__ == "__main__":
    unittest.main()
