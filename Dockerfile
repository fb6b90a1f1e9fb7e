# Two images. The last stage is the pipe, and what `docker build .` makes. `--target binary` makes
# nothing but the program, to be copied into one's own build image:
#
#   COPY --from=softstop/softstop:0.1.0-binary /usr/local/bin/softstop /usr/local/bin/

ARG DEBIAN_RELEASE=bookworm
ARG RUST_VERSION=1.95
ARG TERRAFORM_VERSION=1.11.4
# The date of every file of ours, so that the same sources make the same layers.
ARG SOURCE_DATE_EPOCH=0
ARG VERSION=0.1.0
# The commit that it is built from.
ARG REVISION=unknown

FROM rust:${RUST_VERSION}-slim-${DEBIAN_RELEASE} AS builder
RUN apt-get update && apt-get install --yes --no-install-recommends \
  ca-certificates gcc libc6-dev musl-tools
WORKDIR /softstop
COPY . .
RUN ./build-static
ARG SOURCE_DATE_EPOCH
# Whole trees are copied, because a directory that COPY goes into has today's date.
RUN install -D --target-directory /program/usr/local/bin \
    "target/$(uname -m)-unknown-linux-musl/release/softstop" \
  && install -D --mode 644 --target-directory /roots/etc/ssl/certs \
    /etc/ssl/certs/ca-certificates.crt \
  && find /program /roots -exec touch --date "@$SOURCE_DATE_EPOCH" {} +

FROM scratch AS binary
ARG VERSION
ARG REVISION
LABEL org.opencontainers.image.title="softstop" \
  org.opencontainers.image.description="The program alone, to be copied into a build image" \
  org.opencontainers.image.version="${VERSION}" \
  org.opencontainers.image.revision="${REVISION}" \
  org.opencontainers.image.source="https://bitbucket.org/softstop/softstop" \
  org.opencontainers.image.licenses="MIT" \
  org.opencontainers.image.vendor="softstop"
COPY --from=builder /roots/ /
COPY --from=builder /program/ /
ENTRYPOINT ["/usr/local/bin/softstop"]

FROM hashicorp/terraform:${TERRAFORM_VERSION} AS terraform

FROM debian:${DEBIAN_RELEASE}-slim AS terraform-tree
COPY --from=terraform /bin/terraform /terraform/usr/local/bin/terraform
ARG SOURCE_DATE_EPOCH
RUN find /terraform -exec touch --date "@$SOURCE_DATE_EPOCH" {} +

FROM debian:${DEBIAN_RELEASE}-slim AS pipe
ARG SOURCE_DATE_EPOCH
# Terraform fetches modules by git, over https and ssh. That needs neither Perl's modules nor git's
# servers and ssh's smart cards, which are two thirds of all that would be installed. dpkg leaves
# them out as it leaves manuals out of a slim Debian, so it can go on installing and upgrading here.
# What apt has written gets the date of all the rest, or no two builds would make the same layer.
RUN touch /began \
  && printf 'path-exclude=%s\n' \
    '/usr/lib/*-linux-gnu/libperl.so*' '/usr/lib/*-linux-gnu/perl/*' '/usr/share/perl/*' \
    /usr/bin/git-shell /usr/bin/scalar \
    /usr/lib/git-core/git-daemon /usr/lib/git-core/git-http-backend \
    /usr/lib/git-core/git-http-fetch /usr/lib/git-core/git-http-push \
    /usr/lib/git-core/git-imap-send /usr/lib/git-core/git-shell /usr/lib/git-core/scalar \
    /usr/lib/openssh/ssh-keysign /usr/lib/openssh/ssh-pkcs11-helper /usr/lib/openssh/ssh-sk-helper \
    >/etc/dpkg/dpkg.cfg.d/softstop \
  && apt-get update \
  && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends \
    ca-certificates git openssh-client \
  && apt-get clean \
  && rm -rf /var/lib/apt/lists/* /var/cache/ldconfig/aux-cache /tmp/* \
  && find /var/log -type f -newer /began -exec truncate --size 0 {} + \
  && find / -xdev -newer /began -exec touch --no-dereference --date "@$SOURCE_DATE_EPOCH" {} + \
  && rm /began \
  && touch --date "@$SOURCE_DATE_EPOCH" /
COPY --from=terraform-tree /terraform/ /
COPY --from=builder /program/ /
ARG TERRAFORM_VERSION
ARG VERSION
ARG REVISION
LABEL org.opencontainers.image.title="softstop" \
  org.opencontainers.image.description="Makes the Stop button safe for deploys that hold a lock" \
  org.opencontainers.image.version="${VERSION}" \
  org.opencontainers.image.revision="${REVISION}" \
  org.opencontainers.image.source="https://bitbucket.org/softstop/softstop" \
  org.opencontainers.image.licenses="MIT" \
  org.opencontainers.image.vendor="softstop" \
  com.hashicorp.terraform.version="${TERRAFORM_VERSION}"
# By its first argument softstop knows that it is in the pipe's image, where it is told what to do by
# names that elsewhere may be a repository's own.
ENTRYPOINT ["/usr/local/bin/softstop", "--pipe"]
