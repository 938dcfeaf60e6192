# What the built image holds, as CycloneDX; see `make sbom`.
ARG IMAGE=steel-defect-service:cpu
FROM ${IMAGE} AS image

FROM python:3.11-slim AS inventory
COPY --from=image /opt/venv /opt/venv
COPY deploy/supply-chain.txt pyproject.toml service/__init__.py ./
# The tool does not follow a dynamic version.
RUN sed -i "s/^dynamic = .*/$(sed -n 's/^__version__/version/p' __init__.py)/" pyproject.toml
RUN python -m venv /opt/tools \
    && /opt/tools/bin/pip install --no-cache-dir --requirement supply-chain.txt \
    && /opt/tools/bin/cyclonedx-py environment /opt/venv --pyproject pyproject.toml --output-file /sbom.cdx.json

FROM scratch
COPY --from=inventory /sbom.cdx.json /
