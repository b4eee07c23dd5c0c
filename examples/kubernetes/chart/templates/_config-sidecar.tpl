{{/*
Templates for the pods of another chart. Each takes the root context and reads .Values.configSidecar:

  image     the image; default config-sidecar
  settings  a map of settings: SOURCE, OUTPUT, PRESET, … ; durations and numbers as strings
  path      where the shared volume is mounted; default /config
*/}}

{{/* The ConfigMap with the settings. */}}
{{- define "config-sidecar.settings" -}}
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}-config-sidecar
data:
{{- range $name, $value := required "configSidecar.settings is needed: at least SOURCE and OUTPUT" .Values.configSidecar.settings }}
  {{ $name }}: {{ $value | toString | quote }}
{{- end }}
{{- end }}

{{/* The sidecar, for initContainers of the pod: the application starts when a configuration is on the volume. */}}
{{- define "config-sidecar.container" -}}
- name: config-sidecar
  image: {{ .Values.configSidecar.image | default "config-sidecar" | quote }}
  restartPolicy: Always
  envFrom:
    - configMapRef:
        name: {{ .Release.Name }}-config-sidecar
  ports:
    - name: config-sidecar
      containerPort: 9533
  startupProbe:
    httpGet:
      path: /readyz
      port: config-sidecar
    periodSeconds: 1
    failureThreshold: 300
  livenessProbe:
    httpGet:
      path: /healthz
      port: config-sidecar
  resources:
    requests:
      cpu: 10m
      memory: 64Mi
    limits:
      cpu: 500m
      memory: 128Mi
  securityContext:
    allowPrivilegeEscalation: false
    readOnlyRootFilesystem: true
    runAsNonRoot: true
    capabilities:
      drop: [ALL]
    seccompProfile:
      type: RuntimeDefault
  volumeMounts:
    - name: config
      mountPath: {{ .Values.configSidecar.path | default "/config" }}
{{- end }}

{{/* The shared volume, for volumes of the pod. */}}
{{- define "config-sidecar.volumes" -}}
- name: config
  emptyDir: {}
{{- end }}

{{/* The mount, for volumeMounts of the application's container. */}}
{{- define "config-sidecar.mount" -}}
- name: config
  mountPath: {{ .Values.configSidecar.path | default "/config" }}
  readOnly: true
{{- end }}
