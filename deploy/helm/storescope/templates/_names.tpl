{{/* SPDX-License-Identifier: Apache-2.0 */}}
{{/* The name of the release's objects: short enough for what is appended, since a pod's hostname has 63 characters at most. */}}
{{- define "storescope.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 32 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 32 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 32 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* What selects the pods of a component. (list $ "bench") */}}
{{- define "storescope.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ default $root.Chart.Name $root.Values.nameOverride | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{/* Labels of an object of a component. (list $ "bench") */}}
{{- define "storescope.labels" -}}
{{- $root := index . 0 -}}
{{ include "storescope.selector" . }}
app.kubernetes.io/part-of: storescope
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end -}}

{{/* Labels of a component's pods. Without the chart's version: pods of Jobs cannot be changed. (list $ "bench") */}}
{{- define "storescope.podLabels" -}}
{{- $root := index . 0 -}}
{{ include "storescope.selector" . }}
app.kubernetes.io/part-of: storescope
{{- with $root.Values.pod.labels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* An image: (list $ .Values.image.cli), or one that names its registry. */}}
{{- define "storescope.image" -}}
{{- $root := index . 0 -}}
{{- $image := index . 1 -}}
{{- $registry := default $root.Values.image.registry (get $image "registry") -}}
{{- $name := $image.repository -}}
{{- if $registry -}}{{- $name = printf "%s/%s" ($registry | trimSuffix "/") $image.repository -}}{{- end -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $name $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $name (default $root.Chart.AppVersion $image.tag | toString) -}}
{{- end -}}
{{- end -}}

{{/* A hash of what a Job is made of: Jobs cannot be changed, so that another spec needs another name. (list values…) */}}
{{- define "storescope.hash" -}}
{{- . | toJson | sha256sum | trunc 8 -}}
{{- end -}}

{{/* What every Job's pod depends on beside its own values. */}}
{{- define "storescope.common" -}}
{{- list (omit .Values.image "cli" "spark" "trainer") .Values.store .Values.credentials .Values.pod (pick .Values.emulator "enabled" "namespace" "bucket" "model") .Chart.AppVersion (include "storescope.fullname" .) .Release.Namespace | toJson -}}
{{- end -}}

{{- define "storescope.bench.run" -}}
{{- default (include "storescope.hash" (list .Values.bench .Values.image.cli (include "storescope.common" .) (.Files.Get "files/bench-worker.sh") (.Files.Get "files/bench-merge.sh"))) .Values.bench.run -}}
{{- end -}}

{{/* A run that is named keeps its name while other values change, so the hash is in the Job's name anyhow. */}}
{{- define "storescope.bench.name" -}}
{{- printf "%s-bench-%s" (include "storescope.fullname" .) (include "storescope.hash" (list .Values.bench .Values.image.cli (include "storescope.common" .) (.Files.Get "files/bench-worker.sh") (.Files.Get "files/bench-merge.sh"))) -}}
{{- end -}}

{{- define "storescope.trainer.name" -}}
{{- printf "%s-trainer-%s" (include "storescope.fullname" .) (include "storescope.hash" (list .Values.trainer .Values.image.trainer (include "storescope.common" .) (.Files.Get "files/trainer.sh") (.Files.Get "files/trainer-data.sh"))) -}}
{{- end -}}

{{- define "storescope.spark.name" -}}
{{- printf "%s-spark-%s" (include "storescope.fullname" .) (include "storescope.hash" (list .Values.spark .Values.image.spark (include "storescope.common" .))) -}}
{{- end -}}
