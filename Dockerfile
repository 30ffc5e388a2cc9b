# The gateway's image: a Node binary, dist/ and the production dependencies; no shell, no npm, no compiler.
# For a build that can be repeated name both bases by digest: --build-arg NODE_IMAGE=…@sha256:… (the same for BASE_IMAGE).
ARG NODE_IMAGE=node:24.21.0-bookworm-slim
ARG BASE_IMAGE=gcr.io/distroless/cc-debian12:nonroot

FROM ${NODE_IMAGE} AS manifests
WORKDIR /app
COPY package.json package-lock.json .npmrc ./

FROM manifests AS build
RUN npm ci --omit=optional --ignore-scripts --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY src ./src
RUN npm run build

FROM manifests AS dependencies
# The optional dependencies are Node itself, which the image has already. Source maps, types and the packages' own tests
# are half of what is installed, and Node loads none of them; licences stay.
RUN npm ci --omit=dev --omit=optional --ignore-scripts --no-audit --no-fund \
  && find node_modules -type f '(' -name '*.map' -o -name '*.ts' -o -name '*.cts' -o -name '*.mts' ')' -delete \
  && find node_modules -type d '(' -name test -o -name .github ')' -prune -exec rm -rf '{}' + \
  && mkdir /data

FROM ${BASE_IMAGE}
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="signalbox" \
      org.opencontainers.image.description="A push gateway that keeps what it promises; a drop-in for Sygnal" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# What a base image sets for Node counts for nothing: an inspector or a heap snapshot would show tokens and content.
ENV NODE_ENV=production NODE_OPTIONS=

COPY --from=build /usr/local/bin/node /usr/local/bin/node
COPY --from=dependencies /app/node_modules /app/node_modules
COPY --from=build /app/dist /app/dist
COPY package.json LICENSE /app/
COPY bin /app/bin
COPY bench/fixtures /app/bench/fixtures
# Everything above belongs to root. The state, and the configuration unless SYGNAL_CONF says otherwise, live here.
COPY --from=dependencies --chown=65532:65532 /data /data
VOLUME /data
WORKDIR /data

USER 65532:65532
# The listener's default is 127.0.0.1; in a container set http.bind_addresses to ['0.0.0.0'].
EXPOSE 5000
STOPSIGNAL SIGTERM
# Of a plain http listener on its default port; with another, or with http.tls, give the container a check of its own.
HEALTHCHECK --start-period=25s --interval=15s --timeout=5s \
  CMD ["/usr/local/bin/node", "-e", "fetch('http://127.0.0.1:5000/health').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
# Whatever goes wrong in the process: it starts no other one, loads no native code, and writes to these two places alone.
ENTRYPOINT ["/usr/local/bin/node", "--permission", "--allow-fs-read=*", "--allow-fs-write=/data", "--allow-fs-write=/tmp", "--allow-worker", "--disable-warning=PERM0006", "/app/bin/signalbox.js"]
CMD ["serve"]
