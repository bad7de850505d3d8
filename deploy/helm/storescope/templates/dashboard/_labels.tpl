{{/* SPDX-License-Identifier: Apache-2.0 */}}
{{/* The labels that dashboards choose by (docs/DASHBOARDS.md), from those of the pod: (list "source_labels" "target_label"), or
the spelling of a PodMonitor. The application is the Job, or the id by which Spark marks its executors; the executor is the
index of a worker, the number of a Spark executor, or the driver. */}}
{{- define "storescope.dashboard.labels" -}}
{{- $source := index . 0 -}}
{{- $target := index . 1 -}}
{{- range $row := list
  (list "[__meta_kubernetes_namespace]" "namespace" "")
  (list "[__meta_kubernetes_pod_name]" "pod" "")
  (list "[__meta_kubernetes_pod_label_app_kubernetes_io_component]" "component" "")
  (list "[__meta_kubernetes_pod_label_app_kubernetes_io_instance]" "release" "")
  (list "[__meta_kubernetes_pod_annotation_storescope_bucket]" "bucket" "regex: (.+)")
  (list "[__meta_kubernetes_pod_label_batch_kubernetes_io_job_name]" "application_id" "regex: (.+)")
  (list "[__meta_kubernetes_pod_annotation_batch_kubernetes_io_job_completion_index]" "executor_id" "regex: (.+)")
  (list "[__meta_kubernetes_pod_label_app_kubernetes_io_component, __meta_kubernetes_pod_name]" "application_id" "regex: spark-driver;(.+)")
  (list "[__meta_kubernetes_pod_label_app_kubernetes_io_component]" "executor_id" "regex: spark-(driver)")
  (list "[__meta_kubernetes_pod_label_spark_app_selector]" "application_id" "regex: (.+)")
  (list "[__meta_kubernetes_pod_label_spark_exec_id]" "executor_id" "regex: (.+)")
}}
- {{ printf "{%s: %s, %s%s: %s}" $source (index $row 0) (ternary "" (printf "%s, " (index $row 2)) (eq (index $row 2) "")) $target (index $row 1) }}
{{- end }}
{{- end -}}

{{/* Names of the Python workers' ports. */}}
{{- define "storescope.dashboard.pythonPorts" -}}
{{- $ports := list -}}
{{- if .Values.spark.enabled -}}
{{- range $index := until (int .Values.spark.executor.pythonMetricsPorts) -}}
{{- $ports = append $ports (printf "metrics-py-%d" $index) -}}
{{- end -}}
{{- end -}}
{{- $ports | toJson -}}
{{- end -}}
