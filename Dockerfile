# Three images. The last stage is the pipe, and what `docker build .` makes. `--target bare` makes it
# without Terraform; Dockerfile.opentofu puts OpenTofu there. `--target binary` makes nothing but the
# program, to be copied into one's own build image:
#
#   COPY --from=softstop/softstop:0.1.0-binary /usr/local/bin/softstop /usr/local/bin/

# What everything begins with. A release pins these by digest: `./pin-images`, see RELEASING.md.
ARG DEBIAN=debian:trixie-slim
ARG RUST=rust:1.95-slim-trixie
ARG TERRAFORM_VERSION=1.11.4
ARG TERRAFORM=hashicorp/terraform:1.11.4
# It lists what the program is made of.
ARG CYCLONEDX_VERSION=0.5.7
# The date of every file of ours, so that the same sources make the same layers.
ARG SOURCE_DATE_EPOCH=0
ARG VERSION=0.1.0
# The commit that it is built from, and when, by RFC 3339.
ARG REVISION=unknown
ARG CREATED=1970-01-01T00:00:00Z

FROM ${RUST} AS builder
RUN apt-get update && apt-get install --yes --no-install-recommends \
  ca-certificates gcc libc6-dev musl-tools
ARG CYCLONEDX_VERSION
RUN command -v cargo-cyclonedx || cargo install --locked "cargo-cyclonedx@$CYCLONEDX_VERSION"
WORKDIR /softstop
COPY . .
RUN ./build-static
ARG SOURCE_DATE_EPOCH
# When it was listed, and under which number, would make another layer each time.
RUN cargo cyclonedx --quiet --format json --target "$(uname -m)-unknown-linux-musl" \
    --override-filename softstop.cdx \
  && sed --in-place --expression '/^ *"serialNumber":/d' --expression '/^ *"timestamp":/d' \
    softstop.cdx.json
# Whole trees are copied, because a directory that COPY goes into has today's date.
RUN install -D --target-directory /program/usr/local/bin \
    "target/$(uname -m)-unknown-linux-musl/release/softstop" \
  && install -D --mode 644 --target-directory /program/usr/share/doc/softstop \
    LICENSE softstop.cdx.json \
  && install -D --mode 644 --target-directory /program/usr/share/keyrings keyrings/*.gpg \
  && install -D --mode 644 --target-directory /roots/etc/ssl/certs \
    /etc/ssl/certs/ca-certificates.crt \
  && find /program /roots -exec touch --date "@$SOURCE_DATE_EPOCH" {} +

FROM scratch AS binary
ARG VERSION
ARG REVISION
ARG CREATED
LABEL org.opencontainers.image.title="softstop" \
  org.opencontainers.image.description="The program alone, to be copied into a build image" \
  org.opencontainers.image.version="${VERSION}" \
  org.opencontainers.image.revision="${REVISION}" \
  org.opencontainers.image.created="${CREATED}" \
  org.opencontainers.image.url="https://bitbucket.org/softstop/softstop" \
  org.opencontainers.image.documentation="https://bitbucket.org/softstop/softstop/src/main/README.md" \
  org.opencontainers.image.source="https://bitbucket.org/softstop/softstop" \
  org.opencontainers.image.licenses="MIT" \
  org.opencontainers.image.vendor="softstop" \
  org.opencontainers.image.authors="softstop"
COPY --from=builder /roots/ /
COPY --from=builder /program/ /
ENTRYPOINT ["/usr/local/bin/softstop"]

FROM ${TERRAFORM} AS terraform

FROM ${DEBIAN} AS terraform-tree
# The Business Source License wants to be shown with every copy.
COPY --from=terraform /usr/share/doc/terraform/LICENSE.txt /terraform/usr/share/doc/terraform/
COPY --from=terraform /bin/terraform /terraform/usr/local/bin/terraform
ARG SOURCE_DATE_EPOCH
RUN find /terraform -exec touch --date "@$SOURCE_DATE_EPOCH" {} +

FROM ${DEBIAN} AS surroundings
ARG SOURCE_DATE_EPOCH
# What Debian has mended since its image was made comes in too. Modules are fetched by git, over https
# and ssh, and gpgv checks a version that TERRAFORM_VERSION chooses. That needs neither Perl's modules nor git's servers and ssh's smart cards, which are two
# thirds of all that would be installed. dpkg leaves them out as it leaves manuals out of a slim
# Debian, so it can go on installing and upgrading here. Nobody changes users here either, so no
# program needs more rights than whoever starts it has.
# What apt has written gets the date of all the rest, or no two builds would make the same layer. Nor
# would they where a file of Debian's own layer is removed: the mark of that has today's date.
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
  && DEBIAN_FRONTEND=noninteractive apt-get upgrade --yes \
  && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends \
    ca-certificates git gpgv openssh-client \
  && apt-get clean \
  && find / -xdev -type f -perm /6000 -exec chmod a-s {} + \
  && mkdir --parents /usr/share/doc/softstop \
  && dpkg-query --show --showformat '${binary:Package}\t${Version}\t${source:Package}\n' \
    >/usr/share/doc/softstop/debian-packages.tsv \
  && rm -rf /var/lib/apt/lists/* /var/cache/ldconfig/aux-cache /tmp/* \
  && find /var/log -type f -newer /began -exec truncate --size 0 {} + \
  && truncate --size 0 /var/cache/debconf/*-old /var/lib/dpkg/*-old \
  && find / -xdev -newer /began -exec touch --no-dereference --date "@$SOURCE_DATE_EPOCH" {} + \
  && rm /began \
  && touch --date "@$SOURCE_DATE_EPOCH" /
# By its first argument softstop knows that it is in the pipe's image, where it is told what to do by
# names that elsewhere may be a repository's own.
ENTRYPOINT ["/usr/local/bin/softstop", "--pipe"]
ARG VERSION
ARG REVISION
ARG CREATED
ARG DEBIAN
LABEL org.opencontainers.image.title="softstop" \
  org.opencontainers.image.description="Makes the Stop button safe for deploys that hold a lock" \
  org.opencontainers.image.version="${VERSION}" \
  org.opencontainers.image.revision="${REVISION}" \
  org.opencontainers.image.created="${CREATED}" \
  org.opencontainers.image.url="https://bitbucket.org/softstop/softstop" \
  org.opencontainers.image.documentation="https://bitbucket.org/softstop/softstop/src/main/README.md" \
  org.opencontainers.image.source="https://bitbucket.org/softstop/softstop" \
  org.opencontainers.image.vendor="softstop" \
  org.opencontainers.image.authors="softstop" \
  org.opencontainers.image.base.name="${DEBIAN}"

# The licences are those of softstop and of the program that it runs; those of Debian's packages lie
# in /usr/share/doc.
FROM surroundings AS bare
COPY --from=builder /program/ /
LABEL org.opencontainers.image.licenses="MIT"

FROM surroundings AS pipe
COPY --from=terraform-tree /terraform/ /
COPY --from=builder /program/ /
ARG TERRAFORM_VERSION
LABEL org.opencontainers.image.licenses="MIT AND BUSL-1.1" \
  com.hashicorp.terraform.version="${TERRAFORM_VERSION}"
