# The service in a container: the program and root certificates, nothing else. PostgreSQL runs
# elsewhere and is named by DATABASE_URL; docker-compose.yml puts the parts together, and
# docs/run-elsewhere.md explains them.
#
#   docker build -t miner-signals .

# The version is the one that Cargo.toml asks for (rust-version). rust-toolchain.toml is for
# development and is left out of the build (.dockerignore), or rustup would fetch another one.
FROM rust:1.95-bookworm AS build
WORKDIR /build
COPY . .
# Queries are checked against the folder .sqlx: .cargo/config.toml sets SQLX_OFFLINE. Symbols for
# backtraces stay, line tables go.
ENV CARGO_PROFILE_RELEASE_STRIP=debuginfo
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/build/target \
    cargo build --release --locked && \
    install -D target/release/miner-signals /out/miner-signals

FROM debian:bookworm-slim
LABEL org.opencontainers.image.title="miner-signals" \
      org.opencontainers.image.description="Point-in-time stress indicators for the Bitcoin mining industry" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0"
# Root certificates, for TLS to the sources: the program uses those of the system. Which version is
# installed is decided by the base image, which is renewed as a whole.
# hadolint ignore=DL3008
RUN apt-get update && \
    apt-get install --yes --no-install-recommends ca-certificates && \
    rm -rf /var/lib/apt/lists/* && \
    groupadd --gid 10001 miner-signals && \
    useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin miner-signals && \
    # A volume mounted here belongs to the user from its first use on.
    install --directory --owner=10001 --group=10001 --mode=0700 /key
COPY --from=build /out/miner-signals /usr/local/bin/miner-signals
# By number, so that an orchestrator can see that it is not root. Nothing is written to the file
# system: it may be read-only.
USER 10001:10001
# Inside a container loopback reaches nobody. This address needs a key in the database.
ENV MINER_SIGNALS_LISTEN=0.0.0.0
EXPOSE 8080
# One image has several roles, and only some of them answer HTTP, so health is checked where the role
# is known: in docker-compose.yml.
HEALTHCHECK NONE
ENTRYPOINT ["miner-signals"]
CMD ["--help"]
