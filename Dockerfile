FROM python:3.11-slim AS dependencies
# cpu, openvino or gpu: the CUDA and cuDNN libraries come as Python packages, so no CUDA base image is needed.
ARG EXTRA=cpu
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/venv
WORKDIR /build
COPY pyproject.toml constraints.txt README.md LICENSE ./
# The version only, so that other changes of our code do not install the dependencies again.
COPY service/__init__.py ./service/
RUN /opt/venv/bin/pip install --constraint constraints.txt ".[${EXTRA}]" \
    && /opt/venv/bin/pip uninstall --yes steel-defect-service pip setuptools

FROM python:3.11-slim
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 STEEL_HOST=0.0.0.0
COPY --from=dependencies /opt/venv /opt/venv
WORKDIR /app
COPY models ./models
COPY service ./service
USER 65534:65534
EXPOSE 8000
HEALTHCHECK --interval=5s --timeout=3s --start-period=60s --retries=3 \
    CMD ["/opt/venv/bin/python", "-m", "service.healthcheck"]
ENTRYPOINT ["/opt/venv/bin/python", "-m", "service"]
