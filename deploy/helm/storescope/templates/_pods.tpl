{{/* SPDX-License-Identifier: Apache-2.0 */}}
{{/* What the Pod Security level `restricted` asks of a pod. (list $ user group) */}}
{{- define "storescope.podSecurity" -}}
runAsNonRoot: true
runAsUser: {{ index . 1 | int }}
runAsGroup: {{ index . 1 | int }}
fsGroup: {{ index . 2 | int }}
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{/* And of a container. */}}
{{- define "storescope.containerSecurity" -}}
runAsNonRoot: true
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
privileged: false
capabilities: {drop: [ALL]}
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{/* Where the pods of a component may run: its own values, else those of all pods; labels of nodes add up. (list $ .Values.bench) */}}
{{- define "storescope.placement" -}}
{{- $root := index . 0 -}}
{{- $own := index . 1 -}}
{{- with merge (deepCopy (default dict $own.nodeSelector)) $root.Values.pod.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with concat (default $root.Values.pod.tolerations $own.tolerations) (default list (get $own "extraTolerations")) }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with default $root.Values.pod.affinity $own.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $root.Values.pod.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end -}}

{{/* Annotations of pods: the bucket of a URL (dashboards show it), and those given. (list $ url) */}}
{{- define "storescope.podAnnotations" -}}
{{- $bucket := regexFind "^(oci|s3)://[^@/]+" (index . 1) | regexFind "[^/]*$" -}}
{{- with merge (ternary (dict "storescope/bucket" $bucket) (dict) (ne $bucket "")) (index . 0).Values.pod.annotations }}
annotations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "storescope.pullSecrets" -}}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
{{- range . }}
  - name: {{ . }}
{{- end }}
{{- end }}
{{- end -}}
