# Countersign in a container.
#
#   docker build -t countersign .
#   docker run --read-only --cap-drop ALL --security-opt no-new-privileges -p 4180:4180 \
#       -v countersign-data:/var/lib/countersign -v ./config:/etc/countersign:ro countersign
#
# The configuration is /etc/countersign/countersign.yaml; `examples/countersign.yaml` is one to begin with. A container
# listens beyond loopback, so it needs TLS and authentication: without them Countersign refuses to start.
# Everything it writes is in /var/lib/countersign; the root file system can be read-only.

FROM rust:1.95-slim-bookworm AS build
# A C compiler for the TLS library and SQLite; make and perl for what the Kafka client brings along.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends gcc g++ libc6-dev make perl cmake \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /build
COPY Cargo.toml Cargo.lock ./
COPY benches benches
COPY examples examples
COPY policies policies
COPY src src
COPY tests tests
RUN cargo build --locked --profile dist --features full --bin countersign \
 && install -D -m 0755 target/dist/countersign /out/usr/local/bin/countersign \
 && install -d -m 0700 -o 65532 -g 65532 /out/var/lib/countersign \
 && install -d -m 0755 /out/etc/countersign

FROM debian:bookworm-slim
# The certificate authorities that upstream servers and SIEMs are checked against.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends ca-certificates \
 && rm -rf /var/lib/apt/lists/*
COPY --from=build /out /
# A number, so that Kubernetes can see that it is not root.
USER 65532:65532
ENV XDG_STATE_HOME=/var/lib
VOLUME /var/lib/countersign
# The data plane. The admin API (/livez, /readyz, /metrics) has no login and stays on loopback inside the container.
EXPOSE 4180
# Drains: no new calls, open ones end, the log is closed.
STOPSIGNAL SIGTERM
# The shell's own TCP: the image has no HTTP client. The same command with /readyz is the readiness probe in Kubernetes.
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s CMD ["/bin/bash", "-c", \
    "exec 3<>/dev/tcp/127.0.0.1/4181 && printf 'GET /livez HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n' >&3 && read -r _ status _ <&3 && [ \"$status\" = 200 ]"]
ENTRYPOINT ["countersign"]
CMD ["run", "--config", "/etc/countersign/countersign.yaml"]
