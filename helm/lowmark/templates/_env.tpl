{{/* A value as text; numbers as they were written, not as 6.29e+06. */}}
{{- define "lowmark.text" -}}
{{- if kindIs "string" . }}{{ . }}{{ else }}{{ toJson . }}{{ end -}}
{{- end -}}

{{/*
The flags of a group of workers, as {flag: value}: `settings`, and what `source` and
`handler` say: {type: file, path: /data} is --source file --source-path /data, and
{type: kafka, kafka: {topic: orders}} is --source kafka --kafka-topic orders.
*/}}
{{- define "lowmark.workerFlags" -}}
{{- $flags := dict -}}
{{- range $part := list "source" "handler" -}}
{{- range $key, $value := get $ $part -}}
{{- if kindIs "map" $value -}}
{{- range $inner, $its := $value -}}
{{- $_ := set $flags (printf "%s-%s" $key $inner) $its -}}
{{- end -}}
{{- else -}}
{{- $_ := set $flags (ternary $part (printf "%s-%s" $part $key) (eq $key "type")) $value -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range $flag, $value := .settings -}}
{{- if hasKey $flags $flag -}}
{{- fail (printf "settings.%s is set, and the same by source or handler: set one of them" $flag) -}}
{{- end -}}
{{- $_ := set $flags $flag $value -}}
{{- end -}}
{{- toYaml $flags -}}
{{- end -}}

{{/*
{flag: value}: a list of arguments, {session-ttl: 20s} being --session-ttl=20s; a flag with a
list of values is repeated. So options that programs get later need no change here, and a
program says which it does not know, as it would not of a variable.
*/}}
{{- define "lowmark.arguments" -}}
{{- $arguments := list -}}
{{- range $flag, $value := . -}}
{{- range (ternary $value (list $value) (kindIs "slice" $value)) -}}
{{- $arguments = append $arguments (printf "--%s=%s" $flag (include "lowmark.text" .)) -}}
{{- end -}}
{{- end -}}
{{- with $arguments }}{{ toYaml . }}{{ end -}}
{{- end -}}

{{/* {secret, key}: the variable with the database's connection string. */}}
{{- define "lowmark.databaseVariable" -}}
- name: LOWMARK_DATABASE
  valueFrom:
    secretKeyRef: {name: {{ .secret }}, key: {{ .key }}}
{{- end -}}

{{/* Where the command line finds the coordinators, and as whom. */}}
{{- define "lowmark.coordinatorVariable" -}}
- name: LOWMARK_COORDINATOR
  value: {{ include "lowmark.coordinatorAddress" . | quote }}
{{- with include "lowmark.clientSecurity" (dict "root" . "tokens" "admin") }}
{{ . }}
{{- end }}
{{- end -}}
