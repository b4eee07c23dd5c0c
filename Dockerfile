# The image holds Node.js, tini and the built program, and nothing else. Two lines make it:
#
#   npm ci --ignore-scripts && npm run build
#   docker build -t config-sidecar .
#
# "--target git" makes the one with git, for sources in a git repository.
#
# With podman: "podman build --format docker", since only that image format keeps HEALTHCHECK. In a pipeline pin the base by
# its digest: --build-arg NODE_IMAGE=node:24-slim@sha256:…
#
# An application's own checker, for VALIDATE_COMMAND, goes into an image on top of it:
#
#   FROM config-sidecar
#   USER root
#   RUN apt-get update && apt-get install -y --no-install-recommends nginx-light && rm -rf /var/lib/apt/lists/*
#   USER 65532:65532
ARG NODE_IMAGE=node:24-slim
FROM ${NODE_IMAGE} AS prepared

# Node.js does not collect orphaned processes; tini does. A base that has it needs no network here.
RUN command -v tini || (apt-get update \
      && apt-get install -y --no-install-recommends tini \
      && rm -rf /var/lib/apt/lists/*)

COPY package.json LICENSE* /opt/config-sidecar/
COPY dist /opt/config-sidecar/dist

# Package managers have no use here and would be the first tool of an intruder. And the command for "kubectl exec POD -c
# config-sidecar -- config-sidecar status". Done with Node.js, the one program that every base has.
RUN node -e 'const fs = require("node:fs"); \
      for (const bin of ["/usr/local/bin", "/usr/bin"]) \
        for (const name of ["npm", "npx", "corepack", "yarn", "yarnpkg", "pnpm", "pnpx"]) fs.rmSync(`${bin}/${name}`, { force: true }); \
      for (const folder of ["/usr/local/lib/node_modules", "/usr/lib/node_modules", "/root/.npm", ...fs.globSync?.("/opt/yarn*") ?? []]) \
        fs.rmSync(folder, { recursive: true, force: true }); \
      fs.mkdirSync("/usr/local/bin", { recursive: true }); \
      const main = "/opt/config-sidecar/dist/main.js"; \
      fs.writeFileSync("/usr/local/bin/config-sidecar", \
        `#!/bin/sh\nexec node --max-semi-space-size=1 --v8-pool-size=1 ${main} "$@"\n`, { mode: 0o755 });'

# What both images say of themselves.
FROM scratch AS described

LABEL org.opencontainers.image.title="config-sidecar" \
      org.opencontainers.image.description="Follows an application's configuration in etcd, Consul, an HTTP API or a file, publishes it atomically, and tells the application to reload." \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="Apache-2.0"

ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

# Any user works, since nothing in the image is written to: give it the user of the application, which it has to signal.
USER 65532:65532

EXPOSE 9533

# Healthy while a configuration is on the volume. It finds LISTEN and SETTINGS_FILE in the environment, not in the flags of
# the main command. With LISTEN=off it always fails, so switch it off as well.
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s --retries=3 \
  CMD ["config-sidecar", "status"]

# -s: orphans of our commands come to tini also where another process is PID 1, and no warning is printed.
# The flags of Node.js: the first saves 2 to 5 MiB at rest with Node.js 24, and 3 to 10 after some work with 20 and 24;
# the second three threads. "npm run bench -- image" measures them, and those that were not worth it.
ENTRYPOINT ["tini", "-s", "--", "node", "--max-semi-space-size=1", "--v8-pool-size=1", "/opt/config-sidecar/dist/main.js"]
CMD ["run"]

# With git and ssh, for sources git+https:// and git+ssh://: "--target git". A base that has them needs no network here.
FROM prepared AS prepared-git
USER root
RUN (command -v git && command -v ssh) || (apt-get update \
      && apt-get install -y --no-install-recommends ca-certificates git openssh-client \
      && rm -rf /var/lib/apt/lists/*)

FROM described AS git
COPY --from=prepared-git / /

# The default. What was removed above is in no layer.
FROM described
COPY --from=prepared / /

# Every setting, as an environment variable, with its default. "config-sidecar help settings" says what they mean. They are
# comments and not ENV lines because those would beat the settings file.
#
# Source
#   SOURCE (or SOURCE_FILE)
#   CONFIG_FILE
#   UPDATE_FREQUENCY=60s
#   FETCH_TIMEOUT=10s
#   STALE_AFTER=10m (the longer of 10m and three times UPDATE_FREQUENCY)
#   MAX_SIZE=16MiB (16MiB, or 1/64 of the memory limit of the container when that is less)
#   ALLOW_EMPTY=false
#   REQUIRED_KEYS
#   KEYS_AS=string
#   SOURCE_FORMAT
# Credentials and TLS of the source
#   HTTP_TOKEN (or HTTP_TOKEN_FILE)
#   HTTP_USERNAME
#   HTTP_PASSWORD (or HTTP_PASSWORD_FILE)
#   HTTP_HEADERS (or HTTP_HEADERS_FILE)
#   HTTP_CACERT
#   HTTP_CERT
#   HTTP_KEY
#   ETCDCTL_USER (or ETCDCTL_USER_FILE)
#   ETCDCTL_PASSWORD (or ETCDCTL_PASSWORD_FILE)
#   ETCDCTL_CACERT
#   ETCDCTL_CERT
#   ETCDCTL_KEY
#   CONSUL_HTTP_TOKEN (or CONSUL_HTTP_TOKEN_FILE)
#   CONSUL_CACERT
#   CONSUL_CLIENT_CERT
#   CONSUL_CLIENT_KEY
#   CONSUL_NAMESPACE
#   GIT_USERNAME
#   GIT_PASSWORD (or GIT_PASSWORD_FILE)
#   GIT_SSL_CAINFO
#   GIT_SSH_KEY (or GIT_SSH_KEY_FILE)
#   GIT_KNOWN_HOSTS
#   GIT_ALLOWED_SIGNERS
#   KUBECONFIG
#   K8S_CONTEXT
# Output
#   OUTPUT (required)
#   OUTPUTS
#   TEMPLATE
#   TEMPLATE_ENV
#   FORMAT (from the extension of OUTPUT)
#   OUTPUT_MODE=0644
#   MODES
#   OUTPUT_OWNER
#   STATE_DIR (file output: .config-sidecar beside it; directory output: ..config-sidecar in it)
#   KEEP_GENERATIONS=5
# Timing
#   DEBOUNCE=50ms
#   DEBOUNCE_MAX=1s
#   RELOAD_MIN_INTERVAL=1s
#   SPLAY=0
# Checks before publishing
#   SCHEMA
#   VALIDATE_COMMAND
#   VALIDATE_TIMEOUT=30s
# Reload
#   PRESET
#   APP_PROCESS
#   APP_CONTAINER
#   APP_PID_FILE
#   RELOAD_SIGNAL (SIGHUP when a process is named and no other hook is)
#   RELOAD_URL (or RELOAD_URL_FILE)
#   RELOAD_METHOD=POST
#   RELOAD_HEADERS (or RELOAD_HEADERS_FILE)
#   RELOAD_CACERT
#   RELOAD_CERT
#   RELOAD_KEY
#   RELOAD_BODY
#   RELOAD_STATUS=2xx
#   RELOAD_COMMAND
#   RELOAD_TIMEOUT=30s
#   RELOAD_WAIT=60s
#   RELOAD_GATE=handler
# Confirm and roll back
#   CONFIRM_PERIOD=3s
#   CONFIRM_URL (or CONFIRM_URL_FILE)
#   CONFIRM_HEADERS (or CONFIRM_HEADERS_FILE)
#   CONFIRM_SUCCESSES=2
#   CONFIRM_MATCH
#   CONFIRM_WORKERS=false
#   CONFIRM_TIMEOUT=30s
#   ROLLBACK=true
# Serving
#   LISTEN=:9533
#   CONTROL_TOKEN (or CONTROL_TOKEN_FILE)
#   LOG_LEVEL=info
#   LOG_FORMAT (json (pretty on a terminal))
#   LOG_COMMAND_OUTPUT=true
#   KUBERNETES_EVENTS=false
#   ONCE_TIMEOUT=60s
#   SETTINGS_FILE
