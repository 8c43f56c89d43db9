# One image for the hub (`pullpass serve`, `pullpass controller`), for the agent (`python -m agent secrets`) and for the
# node driver (`python -m agent node`), which brings the credential provider that it installs.
# Both bases are arguments, so that a mirror or an image of one's own serves as well.
ARG BUILD_BASE=docker.io/library/python:3.11-slim-bookworm
ARG RUN_BASE=docker.io/library/python:3.11-slim-bookworm

FROM ${BUILD_BASE} AS build
WORKDIR /src
COPY requirements/runtime.txt requirements/build.txt requirements/
RUN python3 -m venv /opt/pullpass \
 && /opt/pullpass/bin/python -m pip install --no-cache-dir --require-hashes --requirement requirements/runtime.txt \
 && python3 -m venv /opt/build \
 && /opt/build/bin/python -m pip install --no-cache-dir --require-hashes --requirement requirements/build.txt
COPY . .
# The wheel is built with the pinned back end and installed without asking an index for anything.
RUN /opt/build/bin/python -m hatchling build --target wheel --directory /wheel \
 && /opt/pullpass/bin/python -m pip install --no-cache-dir --no-deps --no-index /wheel/*.whl \
 && /opt/pullpass/bin/python -m pip uninstall --yes pip setuptools

# Static, from the module that go.mod pins; Go itself comes with a pinned hash where the base has none.
FROM ${BUILD_BASE} AS plugin
ARG TARGETARCH
WORKDIR /src/tools
COPY tools/kubernetes/go-toolchain.txt kubernetes/
COPY tools/ecr-plugin ecr-plugin
RUN GOARCH=${TARGETARCH} OUTPUT=/plugin/ecr-credential-provider ecr-plugin/build.sh

FROM ${RUN_BASE}
COPY --from=build /opt/pullpass /opt/pullpass
COPY --from=plugin /plugin/ecr-credential-provider /opt/pullpass/libexec/ecr-credential-provider
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
