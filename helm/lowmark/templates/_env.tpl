{{/*
Options become environment variables, whatever they are called: the flag --session-ttl
is LOWMARK_SESSION_TTL. So options that programs get later need no change here.
*/}}
{{- define "lowmark.variable" -}}
LOWMARK_{{ . | upper | replace "-" "_" }}
{{- end -}}

{{/* A value as text; numbers as they were written, not as 6.29e+06. */}}
{{- define "lowmark.text" -}}
{{- if kindIs "string" . }}{{ . }}{{ else }}{{ toJson . }}{{ end -}}
{{- end -}}

{{/* {flag: value}: a list of variables. */}}
{{- define "lowmark.settings" -}}
{{- $variables := list -}}
{{- range $flag, $value := . -}}
{{- $variables = append $variables (dict "name" (include "lowmark.variable" $flag) "value" (include "lowmark.text" $value)) -}}
{{- end -}}
{{- toYaml $variables -}}
{{- end -}}

{{/* {part: source, values: {type: file, path: /data}}: --source file --source-path /data. */}}
{{- define "lowmark.part" -}}
{{- $part := .part -}}
{{- $settings := dict -}}
{{- range $key, $value := .values -}}
{{- $_ := set $settings (ternary $part (printf "%s-%s" $part $key) (eq $key "type")) $value -}}
{{- end -}}
{{- include "lowmark.settings" $settings -}}
{{- end -}}

{{/* {secret, key}: the variable with the database's connection string. */}}
{{- define "lowmark.databaseVariable" -}}
- name: LOWMARK_DATABASE
  valueFrom:
    secretKeyRef: {name: {{ .secret }}, key: {{ .key }}}
{{- end -}}

{{/* Where the command line finds the coordinators. */}}
{{- define "lowmark.coordinatorVariable" -}}
- name: LOWMARK_COORDINATOR
  value: {{ include "lowmark.coordinatorAddress" . | quote }}
{{- end -}}
