{{/* SPDX-License-Identifier: Apache-2.0 */}}
{{/* What workers and merge have in common. */}}
{{- define "storescope.bench.env" -}}
- name: WORKERS
  value: {{ int .Values.bench.workers | quote }}
- name: RESULTS
  value: {{ printf "%s/%s" (include "storescope.url" (list . "bench.results" .Values.bench.results "results") | trimSuffix "/") (include "storescope.bench.run" .) | quote }}
- name: SCRATCH
  value: /scratch
- name: HOME
  value: /scratch
- name: TMPDIR
  value: /scratch
{{- include "storescope.storeEnv" . }}
{{- end -}}

{{- define "storescope.bench.pod" -}}
restartPolicy: Never
serviceAccountName: {{ include "storescope.fullname" . }}-bench
automountServiceAccountToken: {{ include "storescope.needsToken" . }}
enableServiceLinks: false
securityContext: {{- include "storescope.podSecurity" (list . .Values.pod.runAsUser .Values.pod.fsGroup) | nindent 2 }}
{{- include "storescope.pullSecrets" . }}
{{- include "storescope.placement" (list . .Values.bench) }}
volumes:
  - name: scripts
    configMap: {name: {{ include "storescope.fullname" . }}-bench}
  - name: scratch
    emptyDir: {sizeLimit: {{ .Values.bench.scratch.size }}}
  {{- include "storescope.storeVolumes" . | nindent 2 }}
{{- end -}}

{{- define "storescope.bench.mounts" -}}
- {name: scripts, mountPath: /scripts, readOnly: true}
- {name: scratch, mountPath: /scratch}
{{- include "storescope.storeMounts" . }}
{{- end -}}
