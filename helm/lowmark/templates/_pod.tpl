{{/* {root, over}: a container's security: the release's, and what `over` says. */}}
{{- define "lowmark.securityContext" -}}
{{- toYaml (mergeOverwrite (deepCopy .root.Values.securityContext) (deepCopy (default dict .over))) -}}
{{- end -}}

{{/* {root, over}: the same for a pod. */}}
{{- define "lowmark.podSecurityContext" -}}
{{- toYaml (mergeOverwrite (deepCopy .root.Values.podSecurityContext) (deepCopy (default dict .over))) -}}
{{- end -}}

{{/* {path, defaults, over}: a probe over HTTP, which every version of Kubernetes knows. */}}
{{- define "lowmark.probe" -}}
{{- $get := dict "httpGet" (dict "path" .path "port" "http") -}}
{{- toYaml (mergeOverwrite (merge $get .defaults) (deepCopy (default dict .over))) -}}
{{- end -}}

{{/* {values}: the three probes of a program. */}}
{{- define "lowmark.probes" -}}
startupProbe:
  {{- include "lowmark.probe" (dict "path" "/livez" "defaults" (dict "periodSeconds" 1 "failureThreshold" 60) "over" .values.startupProbe) | nindent 2 }}
livenessProbe:
  {{- include "lowmark.probe" (dict "path" "/livez" "defaults" (dict "periodSeconds" 10 "timeoutSeconds" 5 "failureThreshold" 6) "over" .values.livenessProbe) | nindent 2 }}
readinessProbe:
  {{- include "lowmark.probe" (dict "path" "/readyz" "defaults" (dict "periodSeconds" 2 "timeoutSeconds" 2 "failureThreshold" 2) "over" .values.readinessProbe) | nindent 2 }}
{{- end -}}

{{/* {root, values, component, group}: what pods of coordinators and workers have in common. */}}
{{- define "lowmark.podFields" -}}
{{- $selector := dict "matchLabels" (include "lowmark.selectorLabels" . | fromYaml) -}}
{{- include "lowmark.plainPodFields" . }}
{{- with .values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .values.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- range . }}
  {{- toYaml (list (merge (deepCopy .) (dict "labelSelector" $selector))) | nindent 2 }}
  {{- end }}
{{- end }}
{{- with .values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/*
{root, values, beforeRelease}: what all pods have in common. Service links would give the
programs variables like LOWMARK_COORDINATOR_PORT, named after services. A hook runs
before the release's service account is there.
*/}}
{{- define "lowmark.plainPodFields" -}}
serviceAccountName: {{ ternary "default" (include "lowmark.serviceAccountName" .root) (and (default false .beforeRelease) .root.Values.serviceAccount.create) }}
automountServiceAccountToken: {{ .root.Values.serviceAccount.automount }}
enableServiceLinks: false
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  {{- include "lowmark.podSecurityContext" (dict "root" .root "over" .values.podSecurityContext) | nindent 2 }}
{{- end -}}

{{/* {root, containers}: containers of the user's, as secure as ours where they say nothing. */}}
{{- define "lowmark.containers" -}}
{{- $root := .root -}}
{{- $all := list -}}
{{- range .containers -}}
{{- $security := include "lowmark.securityContext" (dict "root" $root "over" .securityContext) | fromYaml -}}
{{- $all = append $all (merge (dict "securityContext" $security) (deepCopy .)) -}}
{{- end -}}
{{- tpl (toYaml $all) $root -}}
{{- end -}}

{{/*
{root, component, command, env, envFrom, resources, volumes, volumeMounts, beforeRelease}: the
pod of a job that runs a command of the coordinator's image.
*/}}
{{- define "lowmark.commandPod" -}}
metadata:
  labels:
    {{- include "lowmark.podLabels" . | nindent 4 }}
spec:
  restartPolicy: Never
  {{- include "lowmark.plainPodFields" (dict "root" .root "values" dict "beforeRelease" .beforeRelease) | nindent 2 }}
  {{- with .root.Values.coordinator.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .root.Values.coordinator.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  containers:
    - name: {{ .component }}
      image: {{ include "lowmark.image" (dict "root" .root "image" .root.Values.coordinator.image) }}
      imagePullPolicy: {{ .root.Values.image.pullPolicy }}
      command:
        {{- toYaml .command | nindent 8 }}
      env:
        {{- .env | nindent 8 }}
      {{- with .envFrom }}
      envFrom:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .resources }}
      resources:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      securityContext:
        {{- include "lowmark.securityContext" (dict "root" .root "over" .root.Values.coordinator.securityContext) | nindent 8 }}
      {{- with .volumeMounts }}
      volumeMounts:
        {{- toYaml . | nindent 8 }}
      {{- end }}
  {{- with .volumes }}
  volumes:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}
