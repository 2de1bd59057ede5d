{{/*
Certificates and tokens: secrets become files in one volume, which follow the secrets, and
options name the files. So nothing restarts when a secret changes.
*/}}
{{- define "lowmark.securityPath" -}}/etc/lowmark-security{{- end -}}

{{/* {root, tokens, serverName}: variables of a client. `tokens`: whose it sends, worker or admin. */}}
{{- define "lowmark.clientSecurity" -}}
{{- $v := .root.Values -}}
{{- $path := include "lowmark.securityPath" .root -}}
{{- $variables := list -}}
{{- if $v.tls.enabled -}}
{{- $variables = append $variables (dict "name" "LOWMARK_TLS_CA" "value" (printf "%s/ca.crt" $path)) -}}
{{- with default $v.tls.serverName .serverName -}}
{{- $variables = append $variables (dict "name" "LOWMARK_TLS_SERVER_NAME" "value" .) -}}
{{- end -}}
{{- if $v.tls.client.existingSecret -}}
{{- $variables = append $variables (dict "name" "LOWMARK_TLS_CERT" "value" (printf "%s/client.crt" $path)) -}}
{{- $variables = append $variables (dict "name" "LOWMARK_TLS_KEY" "value" (printf "%s/client.key" $path)) -}}
{{- end -}}
{{- end -}}
{{- if $v.auth.enabled -}}
{{- $variables = append $variables (dict "name" "LOWMARK_TOKEN_FILE" "value" (printf "%s/%s-tokens" $path .tokens)) -}}
{{- if not $v.tls.enabled -}}
{{- $variables = append $variables (dict "name" "LOWMARK_ALLOW_INSECURE_TOKENS" "value" "true") -}}
{{- end -}}
{{- end -}}
{{- with $variables }}{{ toYaml . }}{{ end -}}
{{- end -}}

{{/* Arguments of the coordinator. Its variables are for the command line in its pod. */}}
{{- define "lowmark.serverSecurity" -}}
{{- $path := include "lowmark.securityPath" . -}}
{{- $arguments := list -}}
{{- if .Values.tls.enabled -}}
{{- $arguments = append $arguments (printf "--tls-cert=%s/server.crt" $path) -}}
{{- $arguments = append $arguments (printf "--tls-key=%s/server.key" $path) -}}
{{- if .Values.tls.clientCA.existingSecret -}}
{{- $arguments = append $arguments (printf "--tls-client-ca=%s/client-ca.crt" $path) -}}
{{- end -}}
{{- end -}}
{{- if .Values.auth.enabled -}}
{{- $arguments = append $arguments (printf "--admin-tokens=%s/admin-tokens" $path) -}}
{{- $arguments = append $arguments (printf "--worker-tokens=%s/worker-tokens" $path) -}}
{{- end -}}
{{- with $arguments }}{{ toYaml . }}{{ end -}}
{{- end -}}

{{/* {root, server, tokens}: a list with the volume, empty where nothing is on. `tokens`: the keys that the pod needs. */}}
{{- define "lowmark.securityVolumes" -}}
{{- $v := .root.Values -}}
{{- $sources := list -}}
{{- if $v.tls.enabled -}}
{{- $items := list (dict "key" "ca.crt" "path" "ca.crt") -}}
{{- if .server -}}
{{- $items = concat $items (list (dict "key" "tls.crt" "path" "server.crt") (dict "key" "tls.key" "path" "server.key")) -}}
{{- end -}}
{{- $sources = append $sources (dict "secret" (dict "name" $v.tls.existingSecret "items" $items)) -}}
{{- with and .server $v.tls.clientCA.existingSecret -}}
{{- $sources = append $sources (dict "secret" (dict "name" . "items" (list (dict "key" $v.tls.clientCA.existingSecretKey "path" "client-ca.crt")))) -}}
{{- end -}}
{{- with $v.tls.client.existingSecret -}}
{{- $sources = append $sources (dict "secret" (dict "name" . "items" (list (dict "key" "tls.crt" "path" "client.crt") (dict "key" "tls.key" "path" "client.key")))) -}}
{{- end -}}
{{- end -}}
{{- if $v.auth.enabled -}}
{{- $items := list -}}
{{- range .tokens -}}
{{- $items = append $items (dict "key" (get $v.auth (printf "%sKey" .)) "path" (printf "%s-tokens" .)) -}}
{{- end -}}
{{- $sources = append $sources (dict "secret" (dict "name" $v.auth.existingSecret "items" $items)) -}}
{{- end -}}
{{- if $sources -}}
{{- list (dict "name" "security" "projected" (dict "sources" $sources)) | toYaml -}}
{{- else -}}
[]
{{- end -}}
{{- end -}}

{{/* A list with the mount of that volume, empty where there is none. */}}
{{- define "lowmark.securityMounts" -}}
{{- if or .Values.tls.enabled .Values.auth.enabled -}}
{{- list (dict "name" "security" "mountPath" (include "lowmark.securityPath" .) "readOnly" true) | toYaml -}}
{{- else -}}
[]
{{- end -}}
{{- end -}}
