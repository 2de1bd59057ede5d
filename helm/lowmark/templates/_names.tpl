{{/* Names are cut so that the longest, NAME-coordinator-headless, fits a DNS label. */}}
{{- define "lowmark.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- $full := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) -}}
{{- $full | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "lowmark.coordinatorName" -}}
{{ include "lowmark.fullname" . }}-coordinator
{{- end -}}

{{/* {root, group}: the name of a group of workers. */}}
{{- define "lowmark.workerName" -}}
{{ include "lowmark.fullname" .root }}-worker-{{ .group }}
{{- end -}}

{{/* KEDA's HorizontalPodAutoscaler is called keda-hpa-NAME, in at most 63 letters. */}}
{{- define "lowmark.scaledObjectName" -}}
{{- if le (len .) 54 }}{{ . }}{{ else }}{{ . | trunc 45 | trimSuffix "-" }}-{{ sha256sum . | trunc 8 }}{{ end -}}
{{- end -}}

{{- define "lowmark.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "lowmark.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/*
{root, component, group}: what never changes, by which pods are found. Quoted: names such as
2024 and true are texts.
*/}}
{{- define "lowmark.selectorLabels" -}}
app.kubernetes.io/name: {{ default .root.Chart.Name .root.Values.nameOverride | trunc 63 | trimSuffix "-" | quote }}
app.kubernetes.io/instance: {{ .root.Release.Name | quote }}
app.kubernetes.io/component: {{ .component }}
{{- with .group }}
lowmark.io/worker-group: {{ . | quote }}
{{- end }}
{{- end -}}

{{/* Of pods, too: without versions of the chart, which must restart nothing. */}}
{{- define "lowmark.podLabels" -}}
{{- merge (include "lowmark.selectorLabels" . | fromYaml) (default dict .podLabels) .root.Values.commonLabels | toYaml -}}
{{- end -}}

{{/* {root, component, group, labels}: where two name one, what pods are found by wins, then what is told. */}}
{{- define "lowmark.labels" -}}
{{- $ours := dict
  "app.kubernetes.io/version" .root.Chart.AppVersion
  "app.kubernetes.io/part-of" "lowmark"
  "app.kubernetes.io/managed-by" .root.Release.Service
  "helm.sh/chart" (printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-") -}}
{{- merge (include "lowmark.selectorLabels" . | fromYaml) (default dict .labels) .root.Values.commonLabels $ours | toYaml -}}
{{- end -}}

{{/* {root, component, group, name, labels, annotations}: an object's metadata. */}}
{{- define "lowmark.metadata" -}}
name: {{ .name }}
namespace: {{ .root.Release.Namespace }}
labels:
  {{- include "lowmark.labels" . | nindent 2 }}
{{- with merge (deepCopy (default dict .annotations)) .root.Values.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* {root, image}: an image's reference. */}}
{{- define "lowmark.image" -}}
{{- $tag := coalesce .image.tag .root.Values.image.tag .root.Chart.AppVersion -}}
{{- with .root.Values.image.registry }}{{ trimSuffix "/" . }}/{{ end -}}
{{- .image.repository -}}
{{- if .image.digest }}@{{ .image.digest }}{{ else }}:{{ $tag }}{{ end -}}
{{- end -}}

{{/*
Where clients of coordinators connect to. Workers go to the headless service, whose
name has the addresses of all that are ready: behind a ClusterIP a connection stays
with one of them.
*/}}
{{- define "lowmark.coordinatorAddress" -}}
{{- if .Values.coordinator.enabled -}}
{{ include "lowmark.coordinatorName" . }}-headless.{{ .Release.Namespace }}.svc:7070
{{- else -}}
{{ .Values.coordinator.address }}
{{- end -}}
{{- end -}}

{{/* The secret with the coordinators' connection string. */}}
{{- define "lowmark.databaseSecret" -}}
{{- default (printf "%s-database" (include "lowmark.fullname" .)) .Values.database.existingSecret -}}
{{- end -}}
{{- define "lowmark.databaseSecretKey" -}}
{{- ternary .Values.database.existingSecretKey "url" (not (empty .Values.database.existingSecret)) -}}
{{- end -}}

{{/* A group's own values over workerDefaults, as YAML. {root, values} */}}
{{- define "lowmark.workerValues" -}}
{{- mergeOverwrite (deepCopy .root.Values.workerDefaults) (deepCopy (default dict .values)) | toYaml -}}
{{- end -}}
