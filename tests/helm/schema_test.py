"""Wrong values are refused with words that help."""

import unittest

from chart import WithValues


class SchemaTest(WithValues):
    """Wrong values are refused, saying where and why."""

    def test_types_and_names(self):
        for text, where, why in (
                ("coordinator: {replicas: two}", "coordinator.replicas", "integer"),
                ("coordinator: {replica: 2}", "coordinator", "replica"),
                ("coordinator: {settings: {session_ttl: 1s}}", "coordinator.settings",
                 "session_ttl"),
                ("coordinator: {settings: {session-ttl: {a: 1s}}}", "coordinator.settings.session-ttl",
                 "string"),
                ("workers: {orders: {source: {type: kafka, kafka: {topic: {a: b}}}}}",
                 "workers.orders.source.kafka.topic", "string"),
                ("coordinator: {drainDelaySeconds: 1000}", "coordinator.drainDelaySeconds", "600"),
                ("migrations: {mode: later}", "migrations.mode", "startup"),
                ("workers: {Orders: {}}", "workers", "Orders"),
                ("workers: {orders: {streams: orders}}", "workers.orders", "streams"),
                ("workers: {orders: {stream: a b}}", "workers.orders.stream", "pattern"),
                ("workers: {orders: {autoscaling: {scaler: {wakeEvery: soon}}}}",
                 "workers.orders.autoscaling.scaler.wakeEvery", "pattern"),
                ("workers: {orders: {autoscaling: {type: vpa}}}", "workers.orders.autoscaling.type",
                 "hpa"),
                ("workers: {orders: {source: {type: 7}}}", "workers.orders.source.type", "string"),
                ("streams: {orders: {batch_size: 1}}", "streams.orders", "batch_size"),
                ("podSecurityContexts: {}", "", "podSecurityContexts"),
                ("database: {existingSecret: 5}", "database.existingSecret", "string"),
                ("tls: {enabled: sometimes}", "tls.enabled", "boolean"),
                ("tls: {secret: x}", "tls", "secret"),
                ("tls: {clientCA: x}", "tls.clientCA", "object"),
                ("auth: {workerKey: ''}", "auth.workerKey", "1")):
            for name, said in self.refused(text).items():
                with self.subTest(helm=name, values=text):
                    # One writes a.b, the other /a/b.
                    plain = said.replace("/", ".")
                    self.assertIn(where, plain)
                    self.assertIn(why, plain)
                    self.assertNotIn("nil pointer", said)

    def test_what_a_schema_cannot_say(self):
        database = "database: {url: x}\n"
        group = ("workers: {orders: {stream: orders, source: {type: file, path: /data},"
                 " handler: {type: exec, command: cat}, %s}}")
        for text, why in (
                ("{}", "no database: set database.existingSecret"),
                ("database: {url: x, existingSecret: z}", "are both set"),
                ("coordinator: {enabled: false}", "there is no coordinator.address"),
                (database + "coordinator: {address: 'a:1'}", "coordinator.address is set"),
                (database + "coordinator: {settings: {listen: 'a:1'}}",
                 "coordinator.settings.listen is set by the chart: use coordinator.listenHost"),
                (database + "migrations: {mode: job, useHelmHooks: true}", "hook runs before"),
                (database + "workers: {orders: {}}", "workers.orders.stream is missing"),
                (database + "workers: {orders: {stream: a}}", "workers.orders.source.type is missing"),
                (database + group % "settings: {grace: 5s}", "use workers.orders.graceSeconds"),
                (database + group % "settings: {source-path: /x}",
                 "settings.source-path is set, and the same by source or handler"),
                (database + group % "settings: {source: file}", "settings.source is set, and the same by source"),
                (database + group % "autoscaling: {enabled: true, minReplicas: 0}", "only KEDA"),
                (database + group % "autoscaling: {enabled: true, minReplicas: 3, maxReplicas: 2}",
                 "maxReplicas is less than minReplicas"),
                (database + group % "autoscaling: {enabled: true, targetCPUUtilizationPercentage: 0}",
                 "nothing to scale by"),
                (database + "tls: {enabled: true}", "no tls.existingSecret: set it to a secret with tls.crt"),
                (database + "tls: {clientCA: {existingSecret: x}}",
                 "tls.clientCA.existingSecret is set, and tls.enabled is not"),
                (database + "tls: {client: {existingSecret: x}}",
                 "tls.client.existingSecret is set, and tls.enabled is not"),
                (database + "tls: {enabled: true, existingSecret: x, clientCA: {existingSecret: x}}",
                 "no tls.client.existingSecret"),
                (database + "auth: {enabled: true, allowInsecure: true}",
                 "no auth.existingSecret: set it to a secret with tokens, in the keys worker and admin"),
                (database + "auth: {enabled: true, existingSecret: x}",
                 "others could read tokens on their way"),
                (database + "coordinator: {settings: {tls-cert: /x}}", "use tls.existingSecret"),
                (database + group % "settings: {token-file: /x}", "use auth.existingSecret"),
                (database + "workerDefaults: {resources: {requests: null}}\n" +
                 group % "autoscaling: {enabled: true}",
                 "resources.requests.cpu is missing"),
                (database + group % "autoscaling: {enabled: true}, sidecars: [{name: function, image: f}]",
                 "workers.orders.sidecars: function has no resources.requests.cpu"),
                ("coordinator: {enabled: false, address: 'a:1,b:1'}\n" +
                 group % "autoscaling: {enabled: true, type: keda}", "KEDA connects to one address"),
                (database + "fullnameOverride: my.release", '"my.release" cannot be part of a service')):
            for name, said in self.refused(text).items():
                with self.subTest(helm=name, values=text):
                    self.assertIn(why, said)


if __name__ == "__main__":
    unittest.main()
