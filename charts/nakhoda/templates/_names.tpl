{{/* The labels of everything this chart installs. */}}
{{- define "nakhoda.labels" -}}
app.kubernetes.io/part-of: nakhoda
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{/* The operator's user name, as the API server knows it. */}}
{{- define "nakhoda.operatorUser" -}}
system:serviceaccount:{{ .Release.Namespace }}:nakhoda-operator
{{- end }}

{{/* Whether a Namespace is one of ours, in CEL; of the object that is passed. */}}
{{- define "nakhoda.isManaged" -}}
{{ . }}.metadata.?labels[?'paas.managed'].orValue('') == 'true'
{{- end }}

{{/* Controllers of Kubernetes that delete and repair, whoever asked for it. */}}
{{- define "nakhoda.kubeControllers" -}}
'system:kube-controller-manager',
'system:serviceaccount:kube-system:namespace-controller',
'system:serviceaccount:kube-system:generic-garbage-collector'
{{- end }}

{{/* An image, from a list of the chart's root and the image's values. */}}
{{- define "nakhoda.image" -}}
{{- $root := index . 0 }}{{- $image := index . 1 }}
{{- $image.repository }}{{ if $image.digest }}@{{ $image.digest }}{{ else }}:{{ $image.tag | default $root.Chart.AppVersion }}{{ end }}
{{- end }}

{{/* What both programs' pods have in common, from a list of the chart's root and the program's name. */}}
{{- define "nakhoda.pod" -}}
{{- $root := index . 0 }}{{- $name := index . 1 -}}
serviceAccountName: {{ $name }}
enableServiceLinks: false
terminationGracePeriodSeconds: 30
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  seccompProfile: {type: RuntimeDefault}
affinity:
  podAntiAffinity:
    preferredDuringSchedulingIgnoredDuringExecution:
      - weight: 100
        podAffinityTerm:
          topologyKey: kubernetes.io/hostname
          labelSelector:
            matchLabels: {app.kubernetes.io/name: {{ $name }}}
{{- with $root.Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $root.Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $root.Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* What both programs' containers have in common. */}}
{{- define "nakhoda.container" -}}
ports:
  - {name: http, containerPort: 8080}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
livenessProbe:
  httpGet: {path: /healthz, port: http}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  httpGet: {path: /readyz, port: http}
  periodSeconds: 5
  timeoutSeconds: 5
{{- end }}

{{/* What the API server is told, by environment. */}}
{{- define "nakhoda.apiEnv" -}}
{{- $secret := .Values.api.secretName -}}
- name: DATABASE_URL
  valueFrom: {secretKeyRef: {name: {{ $secret }}, key: database-url}}
- name: NAKHODA_SECRET_KEY
  valueFrom: {secretKeyRef: {name: {{ $secret }}, key: secret-key}}
- name: NAKHODA_SMTP_URL
  valueFrom: {secretKeyRef: {name: {{ $secret }}, key: smtp-url, optional: true}}
- {name: NAKHODA_PUBLIC_URL, value: {{ .Values.api.publicUrl | quote }}}
{{- with .Values.api.corsOrigins }}
- {name: NAKHODA_CORS_ORIGINS, value: {{ join "," . | quote }}}
{{- end }}
{{- with .Values.api.trustedProxies }}
- {name: NAKHODA_TRUSTED_PROXIES, value: {{ join "," . | quote }}}
{{- end }}
- {name: NAKHODA_MAIL_FROM, value: {{ .Values.api.mailFrom | quote }}}
- {name: NAKHODA_HSTS, value: {{ .Values.api.hsts | quote }}}
{{- range $name, $value := .Values.api.env }}
- {name: {{ $name }}, value: {{ $value | quote }}}
{{- end }}
{{- end }}
