{{/* {root, over}: a container's security: the release's, and what `over` says. */}}
{{- define "lowmark.securityContext" -}}
{{- toYaml (mergeOverwrite (deepCopy .root.Values.securityContext) (deepCopy (default dict .over))) -}}
{{- end -}}

{{/* {root, over}: the same for a pod. */}}
{{- define "lowmark.podSecurityContext" -}}
{{- toYaml (mergeOverwrite (deepCopy .root.Values.podSecurityContext) (deepCopy (default dict .over))) -}}
{{- end -}}

{{/*
{path, defaults, over}: a probe, over HTTP where `over` names nothing else: every version of
Kubernetes knows that.
*/}}
{{- define "lowmark.probe" -}}
{{- $over := default dict .over -}}
{{- $base := .defaults -}}
{{- if not (or (hasKey $over "exec") (hasKey $over "tcpSocket") (hasKey $over "grpc")) -}}
{{- $base = merge (dict "httpGet" (dict "path" .path "port" "http")) .defaults -}}
{{- end -}}
{{- toYaml (mergeOverwrite $base (deepCopy $over)) -}}
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
{{- include "lowmark.placement" . }}
{{- with .values.extraPodSpec }}
{{ tpl (toYaml .) $.root }}
{{- end }}
{{- with .values.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- range . }}
  {{- toYaml (list (hasKey . "labelSelector" | ternary . (merge (dict "labelSelector" $selector) .))) | nindent 2 }}
  {{- end }}
{{- end }}
{{- with .values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* {values}: on which nodes a pod may be. */}}
{{- define "lowmark.placement" -}}
{{- with .values.priorityClassName }}
priorityClassName: {{ . }}
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
before the release's service account is there; one that is named is the user's own.
*/}}
{{- define "lowmark.plainPodFields" -}}
{{- $ours := ternary "default" (include "lowmark.serviceAccountName" .root) (and (default false .beforeRelease) .root.Values.serviceAccount.create) -}}
serviceAccountName: {{ default $ours .values.serviceAccountName }}
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
{root, beforeRelease}: what pods of jobs and of `helm test` have in common, which go where
coordinators go, and as whom.
*/}}
{{- define "lowmark.commandPodFields" -}}
{{- $values := pick .root.Values.coordinator "serviceAccountName" "podSecurityContext" "priorityClassName" "nodeSelector" "tolerations" -}}
{{- include "lowmark.plainPodFields" (dict "root" .root "values" $values "beforeRelease" .beforeRelease) }}
{{- include "lowmark.placement" (dict "values" $values) }}
{{- end -}}

{{/*
Whether Kubernetes has containers that start before a pod's own and stop after them, which
are init containers that restart: so a handler outlives the batch in flight, and a proxy
to the database what is still to be written.
*/}}
{{- define "lowmark.hasSidecars" -}}
{{- if semverCompare ">=1.29-0" .Capabilities.KubeVersion.Version }}true{{ end -}}
{{- end -}}

{{/* {root, first, sidecars}: init containers, as a list in YAML. */}}
{{- define "lowmark.initContainers" -}}
{{- $all := .first -}}
{{- if include "lowmark.hasSidecars" .root -}}
{{- range .sidecars -}}
{{- $all = append $all (merge (dict "restartPolicy" "Always") .) -}}
{{- end -}}
{{- end -}}
{{- with $all }}{{ toYaml . }}{{ end -}}
{{- end -}}

{{/*
{root, component, command, env, envFrom, resources, volumes, volumeMounts, initContainers,
beforeRelease}: the pod of a job that runs a command of the coordinator's image.
*/}}
{{- define "lowmark.commandPod" -}}
metadata:
  labels:
    {{- include "lowmark.podLabels" . | nindent 4 }}
  {{- with merge (deepCopy .root.Values.jobPodAnnotations) .root.Values.commonAnnotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  restartPolicy: Never
  {{- include "lowmark.commandPodFields" . | nindent 2 }}
  {{- with .initContainers }}
  initContainers:
    {{- include "lowmark.containers" (dict "root" $.root "containers" .) | nindent 4 }}
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

{{/* How pods are replaced: Recreate, set over the default, takes no rollingUpdate. */}}
{{- define "lowmark.strategy" -}}
{{- toYaml (ternary (omit . "rollingUpdate") . (eq (default "" .type) "Recreate")) -}}
{{- end -}}
