{{/* SPDX-License-Identifier: Apache-2.0 */}}
{{/* Environment of driver and executors. Python processes have metrics of their own, beside the JVM's on 9464. */}}
{{- define "storescope.spark.env" -}}
- name: STORESCOPE_METRICS_ENDPOINT
  value: 0.0.0.0:9465-9496
- name: HOME
  value: /scratch
- name: TMPDIR
  value: /scratch
{{- include "storescope.storeEnv" . }}
{{- end -}}

{{- define "storescope.spark.mounts" -}}
- {name: scratch, mountPath: /scratch}
- {name: tmp, mountPath: /tmp}
- {name: work, mountPath: /opt/spark/work-dir}
{{- include "storescope.storeMounts" . }}
{{- end -}}

{{- define "storescope.spark.volumes" -}}
- name: scratch
  emptyDir: {sizeLimit: {{ .Values.spark.executor.scratch.size }}}
- name: tmp
  emptyDir: {}
- name: work
  emptyDir: {}
{{- include "storescope.storeVolumes" . }}
{{- end -}}

{{- define "storescope.spark.driverPorts" -}}
- {name: driver, containerPort: 7078}
- {name: blocks, containerPort: 7079}
- {name: spark-ui, containerPort: 4040}
- {name: metrics, containerPort: 9464}
- {name: metrics-stages, containerPort: 9497}
{{- end -}}

{{/* Spark does not make the folder of its event logs, and does not begin without it. */}}
{{- define "storescope.spark.init" -}}
{{- if .Values.spark.eventLog -}}
initContainers:
  - name: event-log
    image: {{ include "storescope.image" (list . .Values.image.cli) }}
    imagePullPolicy: {{ .Values.image.pullPolicy }}
    command: [/bin/sh, -ec, 'printf "" | storescope cp - "$EVENT_LOG/.keep"']
    env:
      - name: EVENT_LOG
        value: {{ .Values.spark.eventLog | trimSuffix "/" | quote }}
      - name: HOME
        value: /scratch
      {{- include "storescope.storeEnv" . | nindent 6 }}
    securityContext: {{- include "storescope.containerSecurity" . | nindent 6 }}
    resources:
      requests: {cpu: 50m, memory: 64Mi}
      limits: {memory: 128Mi}
    volumeMounts:
      - {name: scratch, mountPath: /scratch}
      {{- include "storescope.storeMounts" . | nindent 6 }}
{{- end -}}
{{- end -}}

{{/* The executors' pod. Spark adds its command, resources, ports and local folders. */}}
{{- define "storescope.spark.executorPod" -}}
metadata:
  labels: {{- include "storescope.podLabels" (list . "spark-executor") | nindent 4 }}
  {{- include "storescope.podAnnotations" (list . (include "storescope.spark.place" .)) | nindent 2 }}
spec:
  automountServiceAccountToken: {{ include "storescope.needsToken" . }}
  enableServiceLinks: false
  securityContext: {{- include "storescope.podSecurity" (list . 185 185) | nindent 4 }}
  {{- include "storescope.placement" (list . .Values.spark.executor) | nindent 2 }}
  containers:
    - name: executor
      env:
        {{- include "storescope.spark.env" . | nindent 8 }}
      ports:
        - {name: metrics, containerPort: 9464}
        {{- range $index := until (int .Values.spark.executor.pythonMetricsPorts) }}
        - {name: metrics-py-{{ $index }}, containerPort: {{ add 9465 $index }}}
        {{- end }}
      securityContext: {{- include "storescope.containerSecurity" . | nindent 8 }}
      volumeMounts: {{- include "storescope.spark.mounts" . | nindent 8 }}
  volumes: {{- include "storescope.spark.volumes" . | nindent 4 }}
{{- end -}}

{{/* The driver's pod, of an operator. */}}
{{- define "storescope.spark.driverPod" -}}
metadata:
  labels: {{- include "storescope.podLabels" (list . "spark-driver") | nindent 4 }}
  {{- include "storescope.podAnnotations" (list . (include "storescope.spark.place" .)) | nindent 2 }}
spec:
  # The driver makes the executors.
  automountServiceAccountToken: true
  enableServiceLinks: false
  securityContext: {{- include "storescope.podSecurity" (list . 185 185) | nindent 4 }}
  {{- include "storescope.placement" (list . .Values.spark.driver) | nindent 2 }}
  {{- include "storescope.spark.init" . | nindent 2 }}
  containers:
    - name: driver
      env:
        {{- include "storescope.spark.env" . | nindent 8 }}
      ports:
        - {name: metrics, containerPort: 9464}
        - {name: metrics-stages, containerPort: 9497}
      securityContext: {{- include "storescope.containerSecurity" . | nindent 8 }}
      volumeMounts: {{- include "storescope.spark.mounts" . | nindent 8 }}
  volumes: {{- include "storescope.spark.volumes" . | nindent 4 }}
{{- end -}}

{{/* A URL in the bucket of the application: of its arguments, else of its report or event log. */}}
{{- define "storescope.spark.place" -}}
{{- $found := "" -}}
{{- range concat (include "storescope.spark.arguments" . | fromJsonArray) (list .Values.spark.report .Values.spark.eventLog) -}}
{{- if and (not $found) (regexMatch "^(oci|s3a?)://" .) -}}
{{- $found = replace "s3a://" "s3://" . -}}
{{- end -}}
{{- end -}}
{{- $found -}}
{{- end -}}

{{/* What the application gets. The image's own program needs a command. */}}
{{- define "storescope.spark.arguments" -}}
{{- if .Values.spark.arguments -}}
{{- .Values.spark.arguments | toJson -}}
{{- else if ne .Values.spark.application "local:///opt/storescope/main.py" -}}
[]
{{- else if not .Values.emulator.enabled -}}
{{- fail "spark.arguments is missing: what storescope-workloads is to do, such as [reduce, 'oci://BUCKET@NAMESPACE/FOLDER/*.root', --engine, spark, --out, oci://BUCKET@NAMESPACE/OUT] (or name your own spark.application)" -}}
{{- else -}}
{{- list "generate" "dimuon" "--events" "100000" "--files" "8" "--engine" "spark" "--overwrite" "--out" (include "storescope.url" (list . "spark.arguments" "" "dimuon")) | toJson -}}
{{- end -}}
{{- end -}}
