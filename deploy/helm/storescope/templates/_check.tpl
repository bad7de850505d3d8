{{/* SPDX-License-Identifier: Apache-2.0 */}}
{{/* Combinations that values.schema.json cannot refuse. */}}
{{- define "storescope.check" -}}
{{- $works := or .Values.bench.enabled .Values.trainer.enabled .Values.spark.enabled -}}
{{- if and .Values.emulator.enabled (or .Values.store.endpoint .Values.store.region) -}}
{{- fail "emulator.enabled and store.endpoint or store.region: with the emulator, the store is the emulator. Leave one of them out" -}}
{{- end -}}
{{- if and $works (not .Values.emulator.enabled) -}}
{{- include "storescope.checkCredentials" . -}}
{{- end -}}
{{- range $name, $url := dict "bench.url" .Values.bench.url "bench.results" .Values.bench.results "trainer.data" .Values.trainer.data "trainer.out" .Values.trainer.out "spark.eventLog" .Values.spark.eventLog "spark.report" .Values.spark.report -}}
{{- include "storescope.checkUrl" (list $ $name $url) -}}
{{- end -}}
{{- if and .Values.bench.enabled .Values.bench.startAt -}}
{{- if not (regexMatch "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+(Z|[+-][0-9:]+)$" .Values.bench.startAt) -}}
{{- fail (printf "bench.startAt %q is no instant of RFC 3339, such as 2027-03-01T12:00:00Z" .Values.bench.startAt) -}}
{{- end -}}
{{- end -}}
{{- range .Values.bench.args -}}
{{- if has (regexReplaceAll "=.*" . "") (list "--worker" "--start-at" "--out" "--processes" "--emulator" "--json" "--prepare") -}}
{{- fail (printf "bench.args: %s is set by the chart (bench.workers, bench.startAt, bench.results, bench.prepare), or is for one machine" (regexReplaceAll "=.*" . "")) -}}
{{- end -}}
{{- end -}}
{{- range .Values.trainer.args -}}
{{- if has (regexReplaceAll "=.*" . "") (list "--data" "--out" "--model" "--workers" "--service" "--hosts" "--local-workers" "--device" "--overwrite" "--watch-port" "--resume" "--metrics") -}}
{{- fail (printf "trainer.args: %s is set by the chart; see the values of trainer" (regexReplaceAll "=.*" . "")) -}}
{{- end -}}
{{- end -}}
{{- $streams := regexFind "--streams[ =][0-9]+" (join " " .Values.trainer.args) | regexFind "[0-9]+" | default "4" | int -}}
{{- if and .Values.trainer.enabled (ne (mod $streams (int .Values.trainer.workers)) 0) -}}
{{- fail (printf "trainer.workers is %d, which does not divide the %d streams of a batch: give another number, or --streams in trainer.args (docs/TRAINER.md)" (int .Values.trainer.workers) $streams) -}}
{{- end -}}
{{- if eq (int .Values.trainer.ports.tensorflow) (int .Values.trainer.ports.watch) -}}
{{- fail "trainer.ports: tensorflow and watch need two ports" -}}
{{- end -}}
{{- if and .Values.spark.dynamicAllocation.enabled (gt (int .Values.spark.dynamicAllocation.minExecutors) (int .Values.spark.dynamicAllocation.maxExecutors)) -}}
{{- fail "spark.dynamicAllocation: minExecutors is larger than maxExecutors" -}}
{{- end -}}
{{- if and .Values.dashboard.enabled (eq .Values.dashboard.kind "cluster") (or .Values.dashboard.prometheus.persistence.enabled .Values.dashboard.grafana.ingress.enabled) -}}
{{- fail "dashboard.kind is cluster: there is no Prometheus or Grafana of this chart, so dashboard.prometheus.persistence and dashboard.grafana.ingress must be off" -}}
{{- end -}}
{{- if and .Values.dashboard.grafana.ingress.enabled (not .Values.dashboard.grafana.ingress.host) -}}
{{- fail "dashboard.grafana.ingress.enabled needs dashboard.grafana.ingress.host" -}}
{{- end -}}
{{- if and .Values.dashboard.grafana.ingress.enabled (not .Values.dashboard.grafana.adminSecret) -}}
{{- fail "dashboard.grafana.ingress.enabled needs dashboard.grafana.adminSecret: without a login, everybody who reaches the host could look" -}}
{{- end -}}
{{- end -}}

{{- define "storescope.checkCredentials" -}}
{{- if and (eq .Values.credentials.kind "workload-identity") (not .Values.store.region) -}}
{{- fail "credentials.kind is workload-identity, which needs store.region, such as us-ashburn-1 (or set emulator.enabled, or another credentials.kind)" -}}
{{- end -}}
{{- if and (eq .Values.credentials.kind "secret") (not .Values.credentials.secret.name) -}}
{{- fail "credentials.kind is secret, which needs credentials.secret.name: a Secret that exists in the namespace (docs/KUBERNETES.md)" -}}
{{- end -}}
{{- if and (ne .Values.credentials.kind "secret") .Values.credentials.secret.name -}}
{{- fail (printf "credentials.secret.name is set and credentials.kind is %s: set credentials.kind=secret, or leave the name out" .Values.credentials.kind) -}}
{{- end -}}
{{- end -}}

{{- define "storescope.checkUrl" -}}
{{- $root := index . 0 -}}
{{- $name := index . 1 -}}
{{- $url := index . 2 | toString -}}
{{- $kind := $root.Values.credentials.kind -}}
{{- if and (or (hasPrefix "s3://" $url) (hasPrefix "s3a://" $url)) (or $root.Values.emulator.enabled (has $kind (list "workload-identity" "instance-principal")) (and (eq $kind "secret") (eq $root.Values.credentials.secret.format "oci"))) -}}
{{- fail (printf "%s is %s: %s" $name $url (ternary "pods reach the emulator by its native API; use oci://" "an identity of OCI cannot sign for S3; set credentials.kind=secret with credentials.secret.format=s3, or credentials.kind=none for the chain of the AWS tools" $root.Values.emulator.enabled)) -}}
{{- end -}}
{{- if and (hasPrefix "oci://" $url) (not $root.Values.emulator.enabled) (eq $kind "secret") (eq $root.Values.credentials.secret.format "s3") -}}
{{- fail (printf "%s is %s: an access key of S3 cannot sign for OCI's native API; use s3:// or credentials.secret.format=oci" $name $url) -}}
{{- end -}}
{{- end -}}
