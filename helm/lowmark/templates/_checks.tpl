{{/* What a schema cannot say about values. Each message says what to do. */}}
{{- define "lowmark.checks" -}}
{{- include "lowmark.checkDatabase" . -}}
{{- include "lowmark.checkSettings" (dict "at" "coordinator.settings" "settings" .Values.coordinator.settings "reserved" (dict "database" "database.existingSecret" "migrate" "migrations.mode" "listen" "coordinator.listenHost" "http-listen" "coordinator.listenHost" "drain-delay" "coordinator.drainDelaySeconds" "drain-timeout" "coordinator.drainTimeoutSeconds" "log-level" "coordinator.logLevel")) -}}
{{- range $group, $values := .Values.workers -}}
{{- include "lowmark.checkGroup" (dict "at" (printf "workers.%s" $group) "values" (include "lowmark.workerValues" (dict "root" $ "values" $values) | fromYaml)) -}}
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
{{- include "lowmark.checkSettings" (dict "at" (printf "%s.settings" .at) "settings" (include "lowmark.workerFlags" $v | fromYaml) "reserved" (dict "coordinator" "coordinator.address" "stream" (printf "%s.stream" .at) "http-listen" (printf "%s.listenHost" .at) "grace" (printf "%s.graceSeconds" .at) "log-level" (printf "%s.logLevel" .at))) -}}
{{- if $v.autoscaling.enabled -}}
{{- include "lowmark.checkAutoscaling" (dict "at" .at "values" $v) -}}
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
{{- if and $a.targetCPUUtilizationPercentage (not (dig "requests" "cpu" "" .values.resources)) -}}
{{- fail (printf "%s.resources.requests.cpu is missing: autoscaling.targetCPUUtilizationPercentage is a share of it" .at) -}}
{{- end -}}
{{- end -}}
{{- end -}}
