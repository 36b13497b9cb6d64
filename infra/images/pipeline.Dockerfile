# Flows, worker, Prefect's server, MLflow and the webhook receiver: one image, several commands.
#   docker build -f infra/images/pipeline.Dockerfile -t perennial-pipeline:0.1.0 .
# `--build-arg DEVICE=gpu` takes the GPU build of FAISS; `--secret id=pip,src=pip.conf` an index of
# one's own. The code lies where the deployments name it, since a run copies it into its workspace.
ARG BASE=python:3.11.14-slim-bookworm
FROM ${BASE} AS build
ARG DEVICE=cpu
RUN python -m venv /opt/venv
WORKDIR /srv/perennial
COPY constraints.txt pyproject.toml README.md LICENSE ./
COPY perennial perennial
COPY expectations expectations
COPY tasks tasks
COPY flows flows
RUN --mount=type=secret,id=pip,target=/etc/pip.conf \
    /opt/venv/bin/pip install --no-cache-dir -c constraints.txt -e ".[${DEVICE},onnx,pipeline,proxy,serve,server]"

FROM ${BASE}
RUN useradd --uid 10001 --create-home perennial \
    && install -d -o 10001 -g 10001 /var/lib/perennial
COPY --from=build /opt/venv /opt/venv
COPY --from=build /srv/perennial /srv/perennial
WORKDIR /srv/perennial
COPY params.yaml dvc.yaml ./
COPY infra/prefect.yaml infra/prefect.yaml
COPY infra/store infra/store
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    HF_HUB_OFFLINE=1 DO_NOT_TRACK=true PREFECT_SERVER_ANALYTICS_ENABLED=false \
    MLFLOW_DISABLE_TELEMETRY=true DVC_NO_ANALYTICS=1 PERENNIAL_HOME=/var/lib/perennial
USER 10001:10001
VOLUME /var/lib/perennial
# A worker listens nowhere: that it can reach what gives it work is its health. Servers have their own.
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --retries=4 \
    CMD ["python", "-c", "import os, urllib.request as u; u.urlopen(os.environ['PREFECT_API_URL'] + '/health', timeout=8)"]
CMD ["prefect", "worker", "start", "--pool", "perennial"]
