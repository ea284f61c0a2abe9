# The proxy on Node, as a user without rights, with its data in /data:
#
#   docker build -t usage-proxy .
#   docker run -p 8080:8080 -v usage:/data -v ./proxy.yaml:/etc/usage-proxy/proxy.yaml:ro usage-proxy
#
# In the container the proxy must listen on 0.0.0.0, or nobody outside reaches it; see docs/operating.md.
FROM node:24.21.0-bookworm-slim AS build
WORKDIR /build
# What is installed changes more seldom than the sources: these layers are kept.
COPY package.json pnpm-lock.yaml pnpm-workspace.yaml ./
COPY packages/counter-core/package.json packages/counter-core/
COPY packages/counter-redis/package.json packages/counter-redis/
COPY packages/store-drizzle/package.json packages/store-drizzle/
COPY packages/tracker/package.json packages/tracker/
COPY proofs/test-servers/package.json proofs/test-servers/
COPY apps/demo-proxy/package.json apps/demo-proxy/
RUN npx -y pnpm@12 install --frozen-lockfile --filter @usage/demo-proxy --filter "./packages/*"
COPY LICENSE ./
COPY packages packages
COPY apps/demo-proxy apps/demo-proxy
RUN node --conditions=@usage/source apps/demo-proxy/scripts/bundle.ts /build/usage-proxy

FROM node:24.21.0-bookworm-slim
ENV NODE_ENV=production
COPY --from=build /build/usage-proxy /opt/usage-proxy
RUN install -d -o 1000 -g 1000 -m 0750 /data
# The paths of a configuration are relative to here. A number, so that Kubernetes can tell that it is not root.
WORKDIR /data
USER 1000:1000
VOLUME /data
EXPOSE 8080 8081
# Docker waits 10 s after SIGTERM unless told otherwise: run it with --stop-timeout 60.
STOPSIGNAL SIGTERM
# Asks 127.0.0.1:8081; another admin listener is one more argument.
HEALTHCHECK --interval=15s --timeout=5s CMD ["node", "/opt/usage-proxy/app/usage-proxy-health.js"]
ENTRYPOINT ["node", "/opt/usage-proxy/app/usage-proxy.js"]
CMD ["--config", "/etc/usage-proxy/proxy.yaml"]
