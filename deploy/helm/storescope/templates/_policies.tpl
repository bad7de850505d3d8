{{/* SPDX-License-Identifier: Apache-2.0 */}}
{{/* A rule between components: (list $ "from"|"to" components ports) */}}
{{- define "storescope.policy.rule" -}}
{{- $root := index . 0 -}}
- {{ index . 1 }}:
    {{- range index . 2 }}
    - podSelector:
        matchLabels: {{- include "storescope.selector" (list $root .) | nindent 10 }}
    {{- end }}
  ports:
    {{- range index . 3 }}
    - {port: {{ . }}}
    {{- end }}
{{- end -}}

{{/* Metrics: for this chart's Prometheus, or for the cluster's, wherever it runs. (list $ component) */}}
{{- define "storescope.policy.scraped" -}}
{{- $root := index . 0 -}}
{{- $ports := "- ports: [{port: 9464, endPort: 9497}]" -}}
{{- if eq (index . 1) "spark-driver" -}}
{{- $ports = "- ports: [{port: 4040}, {port: 9464, endPort: 9497}]" -}}
{{- end -}}
{{ $ports }}
{{- if not (and $root.Values.dashboard.enabled (eq $root.Values.dashboard.kind "cluster")) }}
  from:
    - podSelector:
        matchLabels: {{- include "storescope.selector" (list $root "prometheus") | nindent 10 }}
{{- end }}
{{- end -}}

{{- define "storescope.policy.dns" -}}
- ports: [{port: 53, protocol: UDP}, {port: 53, protocol: TCP}]
{{- end -}}

{{/* The store, and who gives an identity for it. */}}
{{- define "storescope.policy.store" -}}
{{- if .Values.emulator.enabled -}}
{{- include "storescope.policy.rule" (list . "to" (list "emulator") (list 8080 8081)) -}}
{{- else -}}
- to:
    {{- range .Values.networkPolicy.egressCIDRs }}
    - ipBlock: {cidr: {{ . | quote }}}
    {{- end }}
  ports:
    - {port: 443}
    {{- if eq .Values.credentials.kind "workload-identity" }}
    - {port: 12250}
    {{- end }}
    {{- with .Values.store.endpoint }}
    {{- $port := regexFind ":[0-9]+" (urlParse .).host | trimPrefix ":" }}
    {{- if $port }}
    - {port: {{ $port }}}
    {{- else if hasPrefix "http://" . }}
    - {port: 80}
    {{- end }}
    {{- end }}
    {{- range .Values.networkPolicy.egressPorts }}
    - {port: {{ . }}}
    {{- end }}
{{- if eq .Values.credentials.kind "instance-principal" }}
# The node's metadata.
- to:
    - ipBlock: {cidr: 169.254.169.254/32}
  ports: [{port: 80}]
{{- end }}
{{- end -}}
{{- end -}}
