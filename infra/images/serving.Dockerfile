# The search service: what answers queries, and nothing that trains. From the checkout:
#   docker build -f infra/images/serving.Dockerfile -t perennial-serving:0.1.0 .
# `--secret id=pip,src=pip.conf` gives pip an index of one's own, such as that of torch without CUDA.
ARG BASE=python:3.11.14-slim-bookworm
FROM ${BASE} AS build
RUN python -m venv /opt/venv
WORKDIR /srv/perennial
COPY constraints.txt pyproject.toml README.md LICENSE ./
COPY perennial perennial
RUN --mount=type=secret,id=pip,target=/etc/pip.conf \
    /opt/venv/bin/pip install --no-cache-dir -c constraints.txt '.[cpu,onnx,serve]'

FROM ${BASE}
RUN useradd --uid 10001 --no-create-home perennial \
    && install -d -o 10001 -g 10001 /var/lib/perennial
COPY --from=build /opt/venv /opt/venv
WORKDIR /srv/perennial
COPY params.yaml ./
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    HF_HUB_OFFLINE=1 DO_NOT_TRACK=true PERENNIAL_HOME=/var/lib/perennial
USER 10001:10001
VOLUME /var/lib/perennial
EXPOSE 8080
HEALTHCHECK --interval=15s --timeout=5s --start-period=120s --retries=4 \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8080/healthz', timeout=4)"]
CMD ["perennial", "serve", "--host", "0.0.0.0", "--port", "8080"]
