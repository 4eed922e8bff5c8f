// What runs the service on a server: a unit of systemd, and a Dockerfile.

/** A unit that runs the service from the project's folder, which is to be filled in. */
export function systemdText(servicePath: string): string {
  return `# Runs the replication of this project under systemd.
#
# Put the project's folder and an account in place of those below, copy this file to /etc/systemd/system, and run
#   systemctl daemon-reload && systemctl enable --now replicator
[Unit]
Description=Replication of a project
After=network-online.target
Wants=network-online.target

[Service]
Type=simple
User=replicator
WorkingDirectory=/srv/app
EnvironmentFile=-/srv/app/.mostajs/config.env
Environment=NODE_ENV=production REPLICATOR_LOG=json
ExecStart=/usr/bin/env node ${servicePath}
# The service ends its runs in order on SIGTERM; what takes longer than this is broken off and goes on at the next start.
KillSignal=SIGTERM
TimeoutStopSec=30
Restart=always
RestartSec=5
NoNewPrivileges=true
PrivateTmp=true
ProtectSystem=full

[Install]
WantedBy=multi-user.target
`;
}

/** An image with the project and its packages; the tree file and the secrets come at run time. */
export function dockerfileText(servicePath: string): string {
  return `# Runs the replication of this project in a container. From the project's folder:
#   docker build -f ${servicePath.replace(/[^/]*$/, '')}Dockerfile -t replicator .
#   docker run --env-file .mostajs/config.env -v "$PWD/.mostajs:/app/.mostajs" replicator
FROM node:22-bookworm-slim
ENV NODE_ENV=production REPLICATOR_LOG=json REPLICATOR_HEALTH_PORT=8080
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --omit=dev
COPY ${servicePath} ./${servicePath}
USER node
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s \\
  CMD ["node", "-e", "fetch('http://127.0.0.1:8080/health').then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
CMD ["node", "${servicePath}"]
`;
}
