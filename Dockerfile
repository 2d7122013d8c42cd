# Tributary's image. Works with the classic builder and with BuildKit.
#
#   docker build -t tributary .
#   docker build -t tributary --build-arg FEATURES=--no-default-features .     without stand-ins, the check and single sign-on
#   docker build -t tributary --build-arg BUILD_IMAGE=… --build-arg BASE_IMAGE=… .
#
# Behind a proxy that inspects TLS, put its certificate into .ci/ca/ first (see the README there).
# Both images have to be of one Debian release: the binary uses the C library of the first.
ARG BUILD_IMAGE=rust:1-bookworm
ARG BASE_IMAGE=debian:bookworm-slim

# The manifests alone, around empty crates: what the layer of the dependencies is made from, so that
# it lasts until a manifest changes. Tests and benchmarks are left out, since their files are not there.
FROM ${BUILD_IMAGE} AS manifests
WORKDIR /src
COPY . .
RUN find . -type f ! -name Cargo.toml ! -name Cargo.lock -delete \
 && cp Cargo.toml /tmp/whole.toml \
 && awk '/^\[/ { skip = /^\[\[(test|bench)\]\]/ } !skip' /tmp/whole.toml > Cargo.toml \
 && for crate in . crates/*; do mkdir -p "$crate/src" && touch "$crate/src/lib.rs"; done \
 && echo 'fn main() {}' > src/main.rs

FROM ${BUILD_IMAGE} AS build
ARG FEATURES=
COPY .ci/ca/ /usr/local/share/ca-certificates/extra/
RUN update-ca-certificates
WORKDIR /src
ENV CARGO_INCREMENTAL=0 \
    SQLX_OFFLINE=true
COPY --from=manifests /src ./
RUN cargo build --release --locked --package tributary ${FEATURES}

# Then the program. Its files may be older than the empty ones were, and cargo goes by their age.
COPY . .
RUN find src crates -name '*.rs' -exec touch {} + \
 && cargo build --release --locked --package tributary ${FEATURES}

FROM ${BASE_IMAGE}
LABEL org.opencontainers.image.title="Tributary" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates \
 && rm -rf /var/lib/apt/lists/* \
 && groupadd --gid 10001 tributary \
 && useradd --uid 10001 --gid 10001 --no-log-init --no-create-home --home-dir /nonexistent \
      --shell /usr/sbin/nologin tributary
COPY --from=build /src/target/release/tributary /usr/local/bin/tributary
COPY providers/ /etc/tributary/providers/

# Operators' address, too: publish it where only they reach it.
ENV TRIBUTARY_LISTEN=0.0.0.0:8080 \
    TRIBUTARY_OPERATOR_LISTEN=0.0.0.0:8081 \
    TRIBUTARY_PROVIDERS=/etc/tributary/providers
USER 10001:10001
EXPOSE 8080 8081
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 CMD ["tributary", "health"]
ENTRYPOINT ["tributary"]
CMD ["serve"]
