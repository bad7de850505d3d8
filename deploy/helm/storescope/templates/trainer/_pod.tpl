{{/* SPDX-License-Identifier: Apache-2.0 */}}
{{/* The name of worker {index}'s host, before the Service's. (In a JobSet: NAME-workers-0-INDEX.) */}}
{{- define "storescope.trainer.host" -}}
{{- if eq .Values.trainer.kind "jobset" -}}
{{- printf "%s-workers-0" (include "storescope.trainer.name" .) -}}
{{- else -}}
{{- include "storescope.trainer.name" . -}}
{{- end -}}
{{- end -}}

{{/* TF_CONFIG: the workers, and the index that Kubernetes puts in. */}}
{{- define "storescope.trainer.tfConfig" -}}
{{- $workers := list -}}
{{- range $index := until (int .Values.trainer.workers) -}}
{{- $workers = append $workers (printf "%s-%d.%s-trainer:%d" (include "storescope.trainer.host" $) $index (include "storescope.fullname" $) (int $.Values.trainer.ports.tensorflow)) -}}
{{- end -}}
{"cluster": {"worker": {{ $workers | toJson }}}, "task": {"type": "worker", "index": $(JOB_COMPLETION_INDEX)}}
{{- end -}}

{{- define "storescope.trainer.env" -}}
- name: JOB_COMPLETION_INDEX
  valueFrom:
    fieldRef: {fieldPath: "metadata.annotations['batch.kubernetes.io/job-completion-index']"}
- name: SCRATCH
  value: /scratch
- name: HOME
  value: /scratch
- name: TMPDIR
  value: /scratch
{{- include "storescope.storeEnv" . }}
{{- end -}}

{{- define "storescope.trainer.resources" -}}
{{- $resources := deepCopy .Values.trainer.resources -}}
{{- if .Values.trainer.gpu.enabled -}}
{{- $limits := default dict $resources.limits -}}
{{- $_ := set $limits .Values.trainer.gpu.resource .Values.trainer.gpu.count -}}
{{- $_ := set $resources "limits" $limits -}}
{{- end -}}
{{- toYaml $resources -}}
{{- end -}}

{{/* The Indexed Job, whoever makes it. */}}
{{- define "storescope.trainer.jobSpec" -}}
{{- $data := include "storescope.url" (list . "trainer.data" .Values.trainer.data "trainer/shards") | trimSuffix "/" -}}
{{- $placement := .Values.trainer -}}
{{- if and .Values.trainer.gpu.enabled .Values.trainer.gpu.toleration -}}
{{- $placement = merge (dict "extraTolerations" (list .Values.trainer.gpu.toleration)) (deepCopy .Values.trainer) -}}
{{- end -}}
completionMode: Indexed
completions: {{ int .Values.trainer.workers }}
parallelism: {{ int .Values.trainer.workers }}
{{- if eq .Values.trainer.kind "jobset" }}
# The JobSet begins all workers again.
backoffLimit: 0
{{- else }}
# Where one worker is lost the others end, too: each restart takes as many failures as there are workers.
backoffLimit: {{ mul .Values.trainer.restarts .Values.trainer.workers }}
podReplacementPolicy: Failed
podFailurePolicy:
  rules:
    # A wrong option, other data or no GPU: no restart mends it.
    - action: FailJob
      onExitCodes: {containerName: trainer, operator: In, values: [2]}
    # An eviction, a node that is drained: the pod is made again, and nothing is counted.
    - action: Ignore
      onPodConditions: [{type: DisruptionTarget, status: "True"}]
{{- end }}
activeDeadlineSeconds: {{ int .Values.trainer.deadlineSeconds }}
template:
  metadata:
    labels: {{- include "storescope.podLabels" (list . "trainer") | nindent 6 }}
    {{- include "storescope.podAnnotations" (list . $data) | nindent 4 }}
  spec:
    restartPolicy: Never
    {{- if ne .Values.trainer.kind "jobset" }}
    # With the index: the pod's name in DNS.
    subdomain: {{ include "storescope.fullname" . }}-trainer
    {{- end }}
    serviceAccountName: {{ include "storescope.fullname" . }}-trainer
    automountServiceAccountToken: {{ include "storescope.needsToken" . }}
    enableServiceLinks: false
    terminationGracePeriodSeconds: {{ int .Values.trainer.terminationGracePeriodSeconds }}
    securityContext: {{- include "storescope.podSecurity" (list . .Values.pod.runAsUser .Values.pod.fsGroup) | nindent 6 }}
    {{- include "storescope.pullSecrets" . | nindent 4 }}
    {{- include "storescope.placement" (list . $placement) | nindent 4 }}
    {{- if gt (int .Values.trainer.generateEvents) 0 }}
    initContainers:
      - name: data
        image: {{ include "storescope.image" (list . .Values.image.trainer) }}
        imagePullPolicy: {{ .Values.image.pullPolicy }}
        command: [/bin/sh, /scripts/trainer-data.sh]
        env:
          {{- include "storescope.trainer.env" . | nindent 10 }}
          - name: DATA
            value: {{ $data | quote }}
          - name: EVENTS
            value: {{ int .Values.trainer.generateEvents | quote }}
          - name: SOFT_PARTICLES
            value: {{ .Values.trainer.softParticles | quote }}
          - name: JOIN_TIMEOUT
            value: "3600"
        securityContext: {{- include "storescope.containerSecurity" . | nindent 10 }}
        resources: {{- toYaml .Values.trainer.resources | nindent 10 }}
        volumeMounts: {{- include "storescope.trainer.mounts" . | nindent 10 }}
    {{- end }}
    containers:
      - name: trainer
        image: {{ include "storescope.image" (list . .Values.image.trainer) }}
        imagePullPolicy: {{ .Values.image.pullPolicy }}
        command: [/bin/sh, /scripts/trainer.sh]
        args:
          - --data={{ $data }}
          - --model={{ .Values.trainer.model }}
          - --device={{ ternary "gpu" "auto" .Values.trainer.gpu.enabled }}
          - --watch-port={{ int .Values.trainer.ports.watch }}
          - --join-timeout=10min
          - --metrics=0.0.0.0:9480
          # Where there is no checkpoint, it begins.
          - --resume
          {{- with .Values.trainer.args }}
          {{- toYaml . | nindent 10 }}
          {{- end }}
        env:
          {{- include "storescope.trainer.env" . | nindent 10 }}
          - name: TF_CONFIG
            value: {{ include "storescope.trainer.tfConfig" . | squote }}
          - name: OUT
            value: {{ include "storescope.url" (list . "trainer.out" .Values.trainer.out "trainer/model") | trimSuffix "/" | quote }}
          - name: EVALUATE
            value: {{ .Values.trainer.evaluate | quote }}
          - name: STORESCOPE_METRICS_ENDPOINT
            value: 0.0.0.0:9464-9479
          - name: MPLCONFIGDIR
            value: /scratch
        ports:
          - {name: tensorflow, containerPort: {{ int .Values.trainer.ports.tensorflow }}}
          - {name: watch, containerPort: {{ int .Values.trainer.ports.watch }}}
          - {name: metrics, containerPort: 9464}
          - {name: metrics-steps, containerPort: 9480}
        securityContext: {{- include "storescope.containerSecurity" . | nindent 10 }}
        resources: {{- include "storescope.trainer.resources" . | nindent 10 }}
        volumeMounts: {{- include "storescope.trainer.mounts" . | nindent 10 }}
    volumes:
      - name: scripts
        configMap: {name: {{ include "storescope.fullname" . }}-trainer}
      - name: scratch
        emptyDir: {sizeLimit: {{ .Values.trainer.scratch.size }}}
      {{- include "storescope.storeVolumes" . | nindent 6 }}
{{- end -}}

{{- define "storescope.trainer.mounts" -}}
- {name: scripts, mountPath: /scripts, readOnly: true}
- {name: scratch, mountPath: /scratch}
{{- include "storescope.storeMounts" . }}
{{- end -}}
