{{/* SPDX-License-Identifier: Apache-2.0 */}}
{{/* A volume claim: it goes with the release. (list $ "emulator" name persistence) */}}
{{- define "storescope.claim" -}}
{{- $persistence := index . 3 -}}
apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  name: {{ index . 2 }}
  namespace: {{ (index . 0).Release.Namespace }}
  labels: {{- include "storescope.labels" (list (index . 0) (index . 1)) | nindent 4 }}
spec:
  accessModes: [{{ $persistence.accessMode }}]
  {{- with $persistence.storageClass }}
  storageClassName: {{ . }}
  {{- end }}
  resources:
    requests: {storage: {{ $persistence.size }}}
{{- end -}}
