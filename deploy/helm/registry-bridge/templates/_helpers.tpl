{{/* The name of every object: the release's, with the chart's where that is not in it. */}}
{{- define "registry-bridge.name" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end }}

{{- define "registry-bridge.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "registry-bridge.labels" -}}
{{ include "registry-bridge.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "registry-bridge.account" -}}
{{- default (include "registry-bridge.name" .) .Values.serviceAccount.name -}}
{{- end }}

{{- define "registry-bridge.tls" -}}
{{- default (printf "%s-tls" (include "registry-bridge.name" .)) .Values.xds.tls.secret -}}
{{- end }}

{{/* The configuration, as bridge.yaml has it. */}}
{{- define "registry-bridge.config" -}}
{{- $registries := list -}}
{{- with .Values.kubernetes -}}
{{- if .enabled -}}
{{- $own := dict "kind" "kubernetes" -}}
{{- range $key, $value := omit . "enabled" -}}
{{- if not (or (kindIs "invalid" $value) (and (kindIs "map" $value) (empty $value)) (and (kindIs "slice" $value) (empty $value))) -}}
{{- $_ := set $own $key $value -}}
{{- end -}}
{{- end -}}
{{- $registries = append $registries $own -}}
{{- end -}}
{{- end -}}
{{- $registries = concat $registries .Values.registries -}}
{{- if not $registries -}}
{{- fail "nothing is read: leave kubernetes.enabled true, or name another registry under `registries`" -}}
{{- end -}}
{{- $xds := dict "listen" "0.0.0.0:18000" -}}
{{- if .Values.xds.insecure -}}
{{- $_ := set $xds "insecure" true -}}
{{- else -}}
{{- $_ := set $xds "tls" (dict "cert" "tls/tls.crt" "key" "tls/tls.key" "client_ca" "tls/ca.crt") -}}
{{- end -}}
{{- $config := dict
  "owner" (default (include "registry-bridge.name" .) .Values.owner)
  "registries" $registries
  "xds" $xds
  "admin" (dict "listen" "127.0.0.1:8080")
  "probes" (dict "listen" "0.0.0.0:8081")
  "snapshot" (dict "path" "/var/lib/registry-bridge")
  "leader" (dict "kind" "kubernetes" "name" (include "registry-bridge.name" .))
-}}
{{- mergeOverwrite $config (deepCopy .Values.config) | toYaml -}}
{{- end }}

{{/* The namespaces that are named one by one, as JSON; [] where all are read. */}}
{{- define "registry-bridge.namespaces" -}}
{{- $named := dig "import" "namespaces" (list "*") .Values.kubernetes -}}
{{- if has "*" $named -}}[]{{- else -}}{{- toJson $named -}}{{- end -}}
{{- end }}

{{- define "registry-bridge.reads" -}}
- apiGroups: [""]
  resources: [services]
  verbs: [list, watch]
- apiGroups: [discovery.k8s.io]
  resources: [endpointslices]
  verbs: [list, watch]
{{- if not .Values.kubernetes.export }}
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [list, watch]
{{- end }}
{{- end }}

{{- define "registry-bridge.nodes" -}}
{{- $import := default (dict) .Values.kubernetes.import -}}
{{- if or (get $import "nodes") (eq (default "" (get $import "address_mode")) "node") -}}true{{- end -}}
{{- end }}

{{- define "registry-bridge.writes" -}}
{{- $creates := false -}}
{{- range .Values.kubernetes.export -}}
{{- if .create_services -}}{{- $creates = true -}}{{- end -}}
{{- end -}}
{{- $openshift := .Values.rbac.openshift -}}
{{- if kindIs "invalid" $openshift -}}
{{- $openshift = .Capabilities.APIVersions.Has "security.openshift.io/v1" -}}
{{- end -}}
- apiGroups: [discovery.k8s.io]
  resources: [endpointslices]
  verbs: [create, update, delete]
- apiGroups: [""]
  resources: [events]
  verbs: [create, patch]
{{- if $creates }}
- apiGroups: [""]
  resources: [services]
  verbs: [get, create, update, delete]
{{- end }}
{{- if $openshift }}
- apiGroups: [discovery.k8s.io]
  resources: [endpointslices/restricted]
  verbs: [create]
{{- end }}
{{- end }}

{{/* A role with its binding: dict "root" . "kind" "Role" "name" … "namespace" … "rules" … */}}
{{- define "registry-bridge.role" }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ .kind }}
metadata:
  name: {{ .name }}
  {{- with .namespace }}
  namespace: {{ . }}
  {{- end }}
  labels: {{- include "registry-bridge.labels" .root | nindent 4 }}
rules: {{- .rules | trim | nindent 2 }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ .kind }}Binding
metadata:
  name: {{ .name }}
  {{- with .namespace }}
  namespace: {{ . }}
  {{- end }}
  labels: {{- include "registry-bridge.labels" .root | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: {{ .kind }}
  name: {{ .name }}
subjects:
  - kind: ServiceAccount
    name: {{ include "registry-bridge.account" .root }}
    namespace: {{ .root.Release.Namespace }}
{{- end }}

{{/* What the replicas agree by: who leads, and what operators decided; to create cannot be granted by name. */}}
{{- define "registry-bridge.agrees" -}}
{{- $name := include "registry-bridge.name" . -}}
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [create]
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  resourceNames: [{{ $name }}]
  verbs: [get, update]
- apiGroups: [""]
  resources: [configmaps]
  verbs: [create]
- apiGroups: [""]
  resources: [configmaps]
  resourceNames: [{{ $name }}-decisions]
  verbs: [get, update]
{{- end }}
