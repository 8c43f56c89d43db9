# One image for the hub (`pullpass serve`, `pullpass controller`), for the agent (`python -m agent cluster`) and for the
# node driver (`python -m agent node`), which brings the credential provider that it installs.
# All bases are arguments, so that a mirror or an image of one's own serves as well. A GO_BASE without a Go that is new
# enough gets one by a pinned hash (tools/ecr-plugin/build.sh); it needs Python and pip then.
ARG BUILD_BASE=docker.io/library/python:3.11-slim-bookworm
ARG RUN_BASE=docker.io/library/python:3.11-slim-bookworm
ARG GO_BASE=docker.io/library/golang:1.26-bookworm

# The credential provider: static, from the module that go.mod pins, compiled on the builder's own architecture.
FROM --platform=$BUILDPLATFORM ${GO_BASE} AS plugin
ARG TARGETARCH
WORKDIR /src/tools
COPY tools/kubernetes/go-toolchain.txt kubernetes/
COPY tools/ecr-plugin ecr-plugin
RUN GOARCH=${TARGETARCH} OUTPUT=/plugin/ecr-credential-provider MODULES=/plugin-modules.json ecr-plugin/build.sh

FROM ${BUILD_BASE} AS build
ARG TARGETARCH
WORKDIR /src
COPY requirements/runtime.txt requirements/build.txt requirements/
RUN python3 -m venv /opt/pullpass \
 && /opt/pullpass/bin/python -m pip install --no-cache-dir --require-hashes --requirement requirements/runtime.txt \
 && python3 -m venv /opt/build \
 && /opt/build/bin/python -m pip install --no-cache-dir --require-hashes --requirement requirements/build.txt
COPY . .
# The wheel is built with the pinned back end and installed without asking an index for anything. What the image never
# reads goes out, and the clients that Pullpass makes of botocore's models are made once, as proof.
RUN /opt/build/bin/python -m hatchling build --target wheel --directory /wheel \
 && /opt/pullpass/bin/python -m pip install --no-cache-dir --no-deps --no-index /wheel/*.whl \
 && /opt/pullpass/bin/python -m pip uninstall --yes pip setuptools \
 && /opt/build/bin/python tools/image/slim.py "$(echo /opt/pullpass/lib/python3*/site-packages)" \
 && /opt/pullpass/bin/python -c "import boto3; [boto3.client(name, region_name='eu-central-1') for name in ('sts', 'ecr', 'ecr-public')]"
COPY --from=plugin /plugin-modules.json /plugin-modules.json
RUN /opt/build/bin/cyclonedx-py environment --output-reproducible --output-file /python-sbom.json /opt/pullpass/bin/python \
 && mkdir -p /sbom \
 && /opt/build/bin/python tools/image/sbom.py /python-sbom.json /plugin-modules.json "${TARGETARCH}" >/sbom/sbom.json

FROM ${RUN_BASE}
COPY --from=build /opt/pullpass /opt/pullpass
COPY --from=plugin /plugin/ecr-credential-provider /opt/pullpass/libexec/ecr-credential-provider
# What the image is made of, in CycloneDX: `docker run --rm IMAGE cat /usr/share/doc/pullpass/sbom.json`
COPY --from=build /sbom/sbom.json /usr/share/doc/pullpass/sbom.json
ENV PATH=/opt/pullpass/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    PULLPASS_HOST=0.0.0.0 \
    PULLPASS_DATA_DIRECTORY=/var/lib/pullpass
RUN mkdir -p /var/lib/pullpass && chown 65532:65532 /var/lib/pullpass
USER 65532:65532
WORKDIR /var/lib/pullpass
EXPOSE 8080
CMD ["pullpass", "up"]
