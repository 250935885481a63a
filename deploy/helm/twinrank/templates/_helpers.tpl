{{- define "twinrank.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "twinrank.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" }}
{{- else if contains (include "twinrank.name" .) .Release.Name }}
{{- .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "twinrank.name" .) | trunc 50 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "twinrank.selectorLabels" -}}
app.kubernetes.io/name: {{ include "twinrank.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "twinrank.labels" -}}
{{ include "twinrank.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "twinrank.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end }}
{{- end }}

{{- define "twinrank.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "twinrank.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{/* The Secret with the service account; empty if there is none. */}}
{{- define "twinrank.authSecret" -}}
{{- $auth := .Values.opensearch.auth }}
{{- if $auth.existingSecret }}
{{- $auth.existingSecret }}
{{- else if $auth.username }}
{{- printf "%s-opensearch" (include "twinrank.fullname" .) }}
{{- end }}
{{- end }}

{{/* How a process reaches OpenSearch: the proxy and the syncs alike. */}}
{{- define "twinrank.connectionEnv" -}}
- name: TWINRANK_UPSTREAM
  value: {{ join "," .Values.opensearch.urls | quote }}
{{- if or .Values.opensearch.ca.configMap .Values.opensearch.ca.secret }}
- name: TWINRANK_CA
  value: {{ printf "/etc/twinrank/ca/%s" .Values.opensearch.ca.key }}
{{- end }}
{{- if .Values.opensearch.insecure }}
- name: TWINRANK_INSECURE
  value: "1"
{{- end }}
{{- if .Values.opensearch.clientCertificateSecret }}
- name: TWINRANK_CLIENT_CERT
  value: /etc/twinrank/client/tls.crt
- name: TWINRANK_CLIENT_KEY
  value: /etc/twinrank/client/tls.key
{{- end }}
{{- with include "twinrank.authSecret" . }}
- name: TWINRANK_USER
  valueFrom:
    secretKeyRef:
      name: {{ . }}
      key: {{ $.Values.opensearch.auth.usernameKey }}
- name: TWINRANK_PASSWORD_FILE
  value: {{ printf "/etc/twinrank/auth/%s" $.Values.opensearch.auth.passwordKey }}
{{- end }}
{{- if .Values.opensearch.awsRegion }}
- name: TWINRANK_AWS_REGION
  value: {{ .Values.opensearch.awsRegion }}
- name: TWINRANK_AWS_SERVICE
  value: {{ .Values.opensearch.awsService }}
{{- end }}
{{- if .Values.bundle }}
- name: TWINRANK_BUNDLE
  value: {{ .Values.bundle }}
{{- end }}
{{- end }}

{{- define "twinrank.connectionMounts" -}}
- name: tmp
  mountPath: /tmp
{{- if or .Values.opensearch.ca.configMap .Values.opensearch.ca.secret }}
- name: ca
  mountPath: /etc/twinrank/ca
  readOnly: true
{{- end }}
{{- if .Values.opensearch.clientCertificateSecret }}
- name: client
  mountPath: /etc/twinrank/client
  readOnly: true
{{- end }}
{{- if include "twinrank.authSecret" . }}
- name: auth
  mountPath: /etc/twinrank/auth
  readOnly: true
{{- end }}
{{- end }}

{{- define "twinrank.connectionVolumes" -}}
- name: tmp
  emptyDir:
    sizeLimit: 256Mi
{{- with .Values.opensearch.ca }}
{{- if .configMap }}
- name: ca
  configMap:
    name: {{ .configMap }}
{{- else if .secret }}
- name: ca
  secret:
    secretName: {{ .secret }}
    items:
      - key: {{ .key }}
        path: {{ .key }}
{{- end }}
{{- end }}
{{- with .Values.opensearch.clientCertificateSecret }}
- name: client
  secret:
    secretName: {{ . }}
    defaultMode: 0440
{{- end }}
{{- with include "twinrank.authSecret" . }}
- name: auth
  secret:
    secretName: {{ . }}
    defaultMode: 0440
    items:
      - key: {{ $.Values.opensearch.auth.passwordKey }}
        path: {{ $.Values.opensearch.auth.passwordKey }}
{{- end }}
{{- end }}

{{/* Parts of every pod: no rights, and no folder to write to but /tmp. */}}
{{- define "twinrank.podSpec" -}}
serviceAccountName: {{ include "twinrank.serviceAccountName" . }}
automountServiceAccountToken: false
# Else a Service named twinrank would set variables such as TWINRANK_PORT.
enableServiceLinks: false
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  seccompProfile:
    type: RuntimeDefault
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end }}

{{- define "twinrank.container" -}}
image: {{ include "twinrank.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
{{- end }}
