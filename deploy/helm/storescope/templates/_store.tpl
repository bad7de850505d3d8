{{/* SPDX-License-Identifier: Apache-2.0 */}}
{{/* The emulator's Service. */}}
{{- define "storescope.emulator.host" -}}
{{- printf "%s-emulator.%s.svc" (include "storescope.fullname" .) .Release.Namespace -}}
{{- end -}}

{{/* A URL that was given, or one of the emulator's bucket. (list $ "bench.url" value "bench/") */}}
{{- define "storescope.url" -}}
{{- $root := index . 0 -}}
{{- if index . 2 -}}
{{- index . 2 -}}
{{- else if $root.Values.emulator.enabled -}}
{{- printf "oci://%s@%s/%s" $root.Values.emulator.bucket $root.Values.emulator.namespace (index . 3) -}}
{{- else -}}
{{- fail (printf "%s is missing: a folder of the store, such as oci://BUCKET@NAMESPACE/%s or s3://BUCKET/%s (or set emulator.enabled)" (index . 1) (index . 3) (index . 3)) -}}
{{- end -}}
{{- end -}}

{{/* Whether pods need their service account's token: OKE's workload identity is made of it. */}}
{{- define "storescope.needsToken" -}}
{{- and (not .Values.emulator.enabled) (eq .Values.credentials.kind "workload-identity") -}}
{{- end -}}

{{/* The environment that names the store, and who signs. Each is a setting of docs/CONFIG.md. */}}
{{- define "storescope.storeEnv" -}}
{{- if .Values.emulator.enabled }}
{{- $host := include "storescope.emulator.host" . }}
- name: STORESCOPE_OCI_ENDPOINT
  value: http://{{ $host }}:8080
- name: STORESCOPE_AUTH
  value: instance_principal
- name: STORESCOPE_METADATA_ENDPOINT
  value: http://{{ $host }}:8081/opc/v2
- name: STORESCOPE_AUTH_ENDPOINT
  value: http://{{ $host }}:8081
{{- else }}
{{- with .Values.store.endpoint }}
- name: STORESCOPE_ENDPOINT
  value: {{ . | quote }}
{{- end }}
{{- with .Values.store.region }}
- name: STORESCOPE_REGION
  value: {{ . | quote }}
{{- end }}
{{- if eq .Values.credentials.kind "workload-identity" }}
- name: STORESCOPE_AUTH
  value: oke_workload_identity
- name: OCI_RESOURCE_PRINCIPAL_REGION
  value: {{ .Values.store.region | quote }}
{{- else if eq .Values.credentials.kind "instance-principal" }}
- name: STORESCOPE_AUTH
  value: instance_principal
{{- else if eq .Values.credentials.kind "secret" }}
{{- if eq .Values.credentials.secret.format "oci" }}
- name: STORESCOPE_CONFIG_FILE
  value: /etc/storescope/credentials/config
{{- else }}
- name: STORESCOPE_ACCESS_KEY_ID
  valueFrom:
    secretKeyRef: {name: {{ .Values.credentials.secret.name }}, key: access_key_id}
- name: STORESCOPE_SECRET_ACCESS_KEY
  valueFrom:
    secretKeyRef: {name: {{ .Values.credentials.secret.name }}, key: secret_access_key}
- name: STORESCOPE_SESSION_TOKEN
  valueFrom:
    secretKeyRef: {name: {{ .Values.credentials.secret.name }}, key: session_token, optional: true}
{{- end }}
{{- end }}
{{- end }}
{{- range $name, $value := .Values.store.settings }}
- name: STORESCOPE_{{ upper $name }}
  {{- /* A large whole number is 1e+06 otherwise. */}}
  value: {{ ternary (int64 $value) $value (kindIs "float64" $value) | toString | quote }}
{{- end }}
{{- end -}}

{{/* Whether the Secret is mounted. */}}
{{- define "storescope.mountsSecret" -}}
{{- and (not .Values.emulator.enabled) (eq .Values.credentials.kind "secret") (eq .Values.credentials.secret.format "oci") -}}
{{- end -}}

{{- define "storescope.storeMounts" -}}
{{- if eq (include "storescope.mountsSecret" .) "true" }}
- name: credentials
  mountPath: /etc/storescope/credentials
  readOnly: true
{{- end }}
{{- end -}}

{{- define "storescope.storeVolumes" -}}
{{- if eq (include "storescope.mountsSecret" .) "true" }}
- name: credentials
  secret:
    secretName: {{ .Values.credentials.secret.name }}
    defaultMode: 0440
{{- end }}
{{- end -}}
