# syntax=docker/dockerfile:1
# keyform and the certificates it trusts, on nothing.  docker build -t keyform .
#
#   docker run --rm -v "$PWD:/project" -e PUBNUB_API_KEY keyform plan
#
# There is no keyring in it: secrets go to the sink `age` or `exec`. A run that writes (`apply`) needs to be the owner of the folder:
# --user "$(id -u):$(id -g)".
FROM rust:1.95-alpine AS build
WORKDIR /source
COPY Cargo.toml Cargo.lock README.md ./
COPY src ./src
COPY benches ./benches
COPY examples/starter ./examples/starter
# The image has what links musl statically, and the certificates.
RUN cargo build --locked --release --bin keyform && cp target/release/keyform /keyform && mkdir /empty

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /keyform /usr/local/bin/keyform
# Where files are made before they take their place.
COPY --from=build --chown=65532:65532 /empty /tmp
ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
USER 65532:65532
WORKDIR /project
ENTRYPOINT ["/usr/local/bin/keyform"]
