# Tributary's image. Works with the classic builder and with BuildKit.
#
#   docker build -t tributary .
#   docker build -t tributary --build-arg BUILD_IMAGE=… --build-arg BASE_IMAGE=… .
#
# Behind a proxy that inspects TLS, put its certificate into .ci/ca/ first (see the README there).
# Both images have to be of one Debian release: the binary uses the C library of the first.
ARG BUILD_IMAGE=rust:1-bookworm
ARG BASE_IMAGE=debian:bookworm-slim

FROM ${BUILD_IMAGE} AS build
COPY .ci/ca/ /usr/local/share/ca-certificates/extra/
RUN update-ca-certificates
WORKDIR /src
ENV CARGO_INCREMENTAL=0 \
    SQLX_OFFLINE=true

# The dependencies first, around an empty program: a layer that lasts until the manifest changes.
# Tests and benchmarks are left out of the manifest here, since their files are not there yet.
COPY Cargo.toml Cargo.lock ./
RUN cp Cargo.toml Cargo.toml.whole \
 && awk '/^\[/ { skip = /^\[\[(test|bench)\]\]/ } !skip' Cargo.toml.whole > Cargo.toml \
 && mkdir src \
 && echo 'fn main() {}' > src/main.rs \
 && touch src/lib.rs \
 && cargo build --release --locked \
 && rm -r Cargo.toml.whole src

# Then the program. Its files may be older than the empty ones were, and cargo goes by their age.
COPY . .
RUN touch src/main.rs src/lib.rs \
 && cargo build --release --locked

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

ENV TRIBUTARY_LISTEN=0.0.0.0:8080 \
    TRIBUTARY_PROVIDERS=/etc/tributary/providers
USER 10001:10001
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 CMD ["tributary", "health"]
ENTRYPOINT ["tributary"]
CMD ["serve"]
