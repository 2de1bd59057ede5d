{{/* What a schema cannot say about values. Each message says what to do. */}}
{{- define "lowmark.checks" -}}
{{- $name := include "lowmark.fullname" . -}}
{{- if not (regexMatch "^[a-z]([-a-z0-9]*[a-z0-9])?$" $name) -}}
{{- fail (printf "%q cannot be part of a service's name: set fullnameOverride to lower-case letters, digits and dashes, a letter first" $name) -}}
{{- end -}}
{{- include "lowmark.checkDatabase" . -}}
{{- include "lowmark.checkSecurity" . -}}
{{- include "lowmark.checkSettings" (dict "at" "coordinator.settings" "settings" .Values.coordinator.settings "reserved" (dict "database" "database.existingSecret" "migrate" "migrations.mode" "listen" "coordinator.listenHost" "http-listen" "coordinator.listenHost" "drain-delay" "coordinator.drainDelaySeconds" "drain-timeout" "coordinator.drainTimeoutSeconds" "log-level" "coordinator.logLevel" "tls-cert" "tls.existingSecret" "tls-key" "tls.existingSecret" "tls-client-ca" "tls.clientCA" "admin-tokens" "auth.existingSecret" "worker-tokens" "auth.existingSecret" "allow-insecure-tokens" "auth.allowInsecure")) -}}
{{- range $group, $values := .Values.workers -}}
{{- include "lowmark.checkGroup" (dict "at" (printf "workers.%s" $group) "values" (include "lowmark.workerValues" (dict "root" $ "values" $values) | fromYaml) "coordinators" (include "lowmark.coordinatorAddress" $)) -}}
{{- end -}}
{{- end -}}

{{- define "lowmark.checkDatabase" -}}
{{- if .Values.coordinator.enabled -}}
{{- if and .Values.database.existingSecret .Values.database.url -}}
{{- fail "database.existingSecret and database.url are both set: set one of them" -}}
{{- end -}}
{{- if not (or .Values.database.existingSecret .Values.database.url) -}}
{{- fail "no database: set database.existingSecret to a secret with PostgreSQL's connection string, or database.url" -}}
{{- end -}}
{{- if and (eq .Values.migrations.mode "job") .Values.migrations.useHelmHooks (not (or .Values.database.existingSecret .Values.migrations.existingSecret)) -}}
{{- fail "migrations.useHelmHooks is set, and database.url: the hook runs before the chart's secret is there; use database.existingSecret" -}}
{{- end -}}
{{- if .Values.coordinator.address -}}
{{- fail "coordinator.address is set, and this release has coordinators: set coordinator.enabled to false, or no address" -}}
{{- end -}}
{{- else if not .Values.coordinator.address -}}
{{- fail "coordinator.enabled is false, and there is no coordinator.address: set it to host:port of the coordinators" -}}
{{- end -}}
{{- end -}}

{{- define "lowmark.checkSecurity" -}}
{{- if and .Values.tls.enabled (not .Values.tls.existingSecret) -}}
{{- fail "tls.enabled is set, and no tls.existingSecret: set it to a secret with tls.crt, tls.key and ca.crt" -}}
{{- end -}}
{{- if and .Values.tls.clientCA.existingSecret (not .Values.tls.enabled) -}}
{{- fail "tls.clientCA.existingSecret is set, and tls.enabled is not: clients' certificates take TLS" -}}
{{- end -}}
{{- if and .Values.tls.client.existingSecret (not .Values.tls.enabled) -}}
{{- fail "tls.client.existingSecret is set, and tls.enabled is not: clients' certificates take TLS" -}}
{{- end -}}
{{- if and .Values.tls.clientCA.existingSecret (not .Values.tls.client.existingSecret) -}}
{{- fail "tls.clientCA.existingSecret is set, and no tls.client.existingSecret: the release's own workers and jobs need a certificate, too" -}}
{{- end -}}
{{- if and .Values.auth.enabled (not .Values.auth.existingSecret) -}}
{{- fail (printf "auth.enabled is set, and no auth.existingSecret: set it to a secret with tokens, in the keys %s and %s" .Values.auth.workerKey .Values.auth.adminKey) -}}
{{- end -}}
{{- if and .Values.auth.enabled (not .Values.tls.enabled) (not .Values.auth.allowInsecure) -}}
{{- fail "auth.enabled is set, and tls.enabled is not: others could read tokens on their way; set tls.enabled, or auth.allowInsecure where a mesh encrypts" -}}
{{- end -}}
{{- end -}}

{{/* {at, settings, reserved: {flag: value to use instead}} */}}
{{- define "lowmark.checkSettings" -}}
{{- range $flag, $value := .settings -}}
{{- with get $.reserved $flag -}}
{{- fail (printf "%s.%s is set by the chart: use %s" $.at $flag .) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* {at, values}: a group of workers, with the defaults. */}}
{{- define "lowmark.checkGroup" -}}
{{- $v := .values -}}
{{- if not $v.stream -}}
{{- fail (printf "%s.stream is missing: name the stream that the workers process" .at) -}}
{{- end -}}
{{- if not (get $v.source "type") -}}
{{- fail (printf "%s.source.type is missing: name the kind of source, such as file" .at) -}}
{{- end -}}
{{- if not (get $v.handler "type") -}}
{{- fail (printf "%s.handler.type is missing: name the kind of handler, such as http" .at) -}}
{{- end -}}
{{- include "lowmark.checkSettings" (dict "at" (printf "%s.settings" .at) "settings" (include "lowmark.workerFlags" $v | fromYaml) "reserved" (dict "coordinator" "coordinator.address" "stream" (printf "%s.stream" .at) "http-listen" (printf "%s.listenHost" .at) "grace" (printf "%s.graceSeconds" .at) "log-level" (printf "%s.logLevel" .at) "tls-ca" "tls.existingSecret" "tls-cert" "tls.client" "tls-key" "tls.client" "tls-server-name" "tls.serverName" "token-file" "auth.existingSecret" "allow-insecure-tokens" "auth.allowInsecure")) -}}
{{- if $v.autoscaling.enabled -}}
{{- include "lowmark.checkAutoscaling" (dict "at" .at "values" $v "coordinators" .coordinators) -}}
{{- end -}}
{{- end -}}

{{- define "lowmark.checkAutoscaling" -}}
{{- $a := .values.autoscaling -}}
{{- if lt (int $a.maxReplicas) (int $a.minReplicas) -}}
{{- fail (printf "%s.autoscaling.maxReplicas is less than minReplicas" .at) -}}
{{- end -}}
{{- if ne $a.type "keda" -}}
{{- if lt (int $a.minReplicas) 1 -}}
{{- fail (printf "%s.autoscaling.minReplicas is 0: only KEDA scales to 0; set autoscaling.type to keda" .at) -}}
{{- end -}}
{{- if not (or $a.metrics $a.targetCPUUtilizationPercentage) -}}
{{- fail (printf "%s.autoscaling has nothing to scale by: set targetCPUUtilizationPercentage or metrics" .at) -}}
{{- end -}}
{{- if $a.targetCPUUtilizationPercentage -}}
{{- if not (dig "requests" "cpu" "" .values.resources) -}}
{{- fail (printf "%s.resources.requests.cpu is missing: autoscaling.targetCPUUtilizationPercentage is a share of it" .at) -}}
{{- end -}}
{{- range .values.sidecars -}}
{{- if not (dig "resources" "requests" "cpu" "" .) -}}
{{- fail (printf "%s.sidecars: %s has no resources.requests.cpu, and autoscaling.targetCPUUtilizationPercentage is a share of all containers'" $.at .name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- else if and (not $a.triggers) (contains "," .coordinators) -}}
{{- fail (printf "%s.autoscaling: KEDA connects to one address, and coordinator.address has several: name one that leads to all" .at) -}}
{{- end -}}
{{- end -}}
