"""The alerts and dashboards that the chart brings."""

import glob
import json
import os
import re
import subprocess
import unittest

import yaml

from chart import CHART, HERE, NEWEST, ROOT, find, rendered


class MonitoringTest(unittest.TestCase):
    """Alerts and dashboards speak of metrics that there are; alerts fire."""

    FILES = os.path.join(CHART, "files")
    RUNBOOK = os.path.join(ROOT, "docs", "runbook.md")

    def metrics(self):
        with open(os.path.join(ROOT, "docs", "metrics.md"), encoding="utf-8") as file:
            return set(re.findall(r"`((?:lowmark|process|grpc_server)_\w+)`", file.read()))

    def test_every_metric_is_documented(self):
        known = self.metrics()
        files = glob.glob(os.path.join(self.FILES, "**", "*.*"), recursive=True)
        for path in files + [self.RUNBOOK]:
            with open(path, encoding="utf-8") as file:
                named = set(re.findall(r"\b((?:lowmark|process|grpc_server)_\w+)", file.read()))
            self.assertTrue(named, path)
            plain = {re.sub(r"_(bucket|sum|count)$", "", n) if n not in known else n for n in named}
            self.assertEqual(plain - known, set(), path)

    def test_rules(self):
        for command in (["check", "rules", os.path.join(self.FILES, "alerts.yaml")],
                        ["test", "rules", os.path.join(HERE, "alerts_test.yaml")]):
            done = subprocess.run(["promtool", *command], capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def alerts(self):
        with open(os.path.join(self.FILES, "alerts.yaml"), encoding="utf-8") as file:
            return [r for g in yaml.safe_load(file)["groups"] for r in g["rules"]]

    def test_every_alert_is_tested_and_says_what_to_do(self):
        alerts = self.alerts()
        with open(os.path.join(HERE, "alerts_test.yaml"), encoding="utf-8") as file:
            tested = {case["alertname"] for test in yaml.safe_load(file)["tests"]
                      for case in test["alert_rule_test"] if case.get("exp_alerts")}
        self.assertEqual({a["alert"] for a in alerts}, tested)
        for alert in alerts:
            self.assertIn(alert["labels"]["severity"], ("warning", "critical"))
            self.assertEqual(set(alert["annotations"]), {"summary", "description", "runbook_url"})
            self.assertEqual(alert["annotations"]["runbook_url"],
                             "docs/runbook.md#" + alert["alert"].lower())

    def test_the_runbook_has_a_section_for_each_alert(self):
        with open(self.RUNBOOK, encoding="utf-8") as file:
            sections = re.split(r"^## ", file.read(), flags=re.MULTILINE)[1:]
        headings = [section.split("\n")[0] for section in sections]
        self.assertEqual(headings, [alert["alert"] for alert in self.alerts()])
        for section in sections:
            for part in ("**Means**", "**Look**", "**Do**"):
                self.assertIn(part, section)

    def test_the_chart_says_where_the_runbook_is(self):
        for base, values in (("", "minimal"), ("https://wiki.example.com/lowmark/", "full")):
            rules = find(rendered(values, NEWEST, "--set", "metrics.prometheusRule.enabled=true"),
                         "PrometheusRule", "mine-lowmark")
            for rule in rules["spec"]["groups"][0]["rules"]:
                self.assertEqual(rule["annotations"]["runbook_url"],
                                 f"{base}docs/runbook.md#{rule['alert'].lower()}")

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
