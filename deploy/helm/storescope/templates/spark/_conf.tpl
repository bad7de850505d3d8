{{/* SPDX-License-Identifier: Apache-2.0 */}}
{{/* Where the driver is reached by its executors. */}}
{{- define "storescope.spark.host" -}}
{{- printf "%s-spark-driver.%s.svc" (include "storescope.fullname" .) .Release.Namespace -}}
{{- end -}}

{{/* Properties of every mode. */}}
{{- define "storescope.spark.common" -}}
{{- $conf := dict
  "spark.executor.instances" (int .Values.spark.executor.instances | toString)
  "spark.executor.cores" (int .Values.spark.executor.cores | toString)
  "spark.executor.memory" .Values.spark.executor.memory
  "spark.driver.cores" (int .Values.spark.driver.cores | toString)
  "spark.driver.memory" .Values.spark.driver.memory
  "spark.kubernetes.memoryOverheadFactor" (.Values.spark.executor.memoryOverheadFactor | toString)
  "spark.kubernetes.container.image" (include "storescope.image" (list . .Values.image.spark))
  "spark.kubernetes.container.image.pullPolicy" .Values.image.pullPolicy
  "spark.decommission.enabled" "true"
  "spark.storage.decommission.enabled" "true"
  "spark.storage.decommission.shuffleBlocks.enabled" "true"
  "spark.storage.decommission.rddBlocks.enabled" "true"
  "spark.plugins" "io.github.storescope.spark.StorescopePlugin"
  "spark.hadoop.fs.oci.impl" "io.github.storescope.hadoop.StoreFileSystem"
  "spark.hadoop.fs.AbstractFileSystem.oci.impl" "io.github.storescope.hadoop.StoreFs"
  "spark.hadoop.fs.s3.impl" "io.github.storescope.hadoop.StoreFileSystem"
  "spark.hadoop.fs.AbstractFileSystem.s3.impl" "io.github.storescope.hadoop.StoreFs"
  "spark.hadoop.fs.s3a.impl" "io.github.storescope.hadoop.StoreFileSystem"
  "spark.hadoop.fs.AbstractFileSystem.s3a.impl" "io.github.storescope.hadoop.StoreFs"
  "spark.hadoop.storescope.metrics_endpoint" "0.0.0.0:9464"
  "spark.storescope.metrics" "0.0.0.0:9497"
  "spark.ui.prometheus.enabled" "true"
  "spark.metrics.conf.*.sink.prometheusServlet.class" "org.apache.spark.metrics.sink.PrometheusServlet"
  "spark.metrics.conf.*.sink.prometheusServlet.path" "/metrics/prometheus"
  "spark.metrics.namespace" "storescope"
  "spark.executor.processTreeMetrics.enabled" "true"
-}}
{{- with .Values.image.pullSecrets -}}
{{- $_ := set $conf "spark.kubernetes.container.image.pullSecrets" (join "," .) -}}
{{- end -}}
{{- if .Values.spark.dynamicAllocation.enabled -}}
{{- $_ := set $conf "spark.dynamicAllocation.enabled" "true" -}}
{{- $_ := set $conf "spark.dynamicAllocation.shuffleTracking.enabled" "true" -}}
{{- $_ := set $conf "spark.dynamicAllocation.minExecutors" (int .Values.spark.dynamicAllocation.minExecutors | toString) -}}
{{- $_ := set $conf "spark.dynamicAllocation.maxExecutors" (int .Values.spark.dynamicAllocation.maxExecutors | toString) -}}
{{- end -}}
{{- with .Values.spark.eventLog -}}
{{- $_ := set $conf "spark.eventLog.enabled" "true" -}}
{{- $_ := set $conf "spark.eventLog.dir" . -}}
{{- end -}}
{{- with .Values.spark.report -}}
{{- $_ := set $conf "spark.storescope.report" . -}}
{{- end -}}
{{- $conf | toJson -}}
{{- end -}}

{{/* Those of spark-submit in the driver's pod (client mode). */}}
{{- define "storescope.spark.submit" -}}
{{- $conf := include "storescope.spark.common" . | fromJson -}}
{{- $own := dict
  "spark.kubernetes.namespace" .Release.Namespace
  "spark.kubernetes.authenticate.executor.serviceAccountName" (printf "%s-spark-executor" (include "storescope.fullname" .))
  "spark.kubernetes.executor.podNamePrefix" (include "storescope.spark.name" .)
  "spark.kubernetes.executor.podTemplateFile" "/etc/storescope/spark/executor.yaml"
  "spark.kubernetes.executor.podTemplateContainerName" "executor"
  "spark.kubernetes.driver.service.deleteOnTermination" "false"
  "spark.kubernetes.driver.ownPersistentVolumeClaim" "false"
  "spark.driver.host" (include "storescope.spark.host" .)
  "spark.driver.bindAddress" "0.0.0.0"
  "spark.driver.port" "7078"
  "spark.driver.blockManager.port" "7079"
  "spark.blockManager.port" "7079"
  "spark.ui.port" "4040"
-}}
{{- mergeOverwrite $conf $own (deepCopy .Values.spark.conf) | toJson -}}
{{- end -}}
