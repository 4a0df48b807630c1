# Two targets from one set of dependencies: `training` runs any bma command, `service` answers over HTTP on port 8000.
#   docker build --target service -t bma-memory-service .
# TORCH_INDEX names another index for torch's wheels, such as PyTorch's for CPU-only ones: a far smaller image.
# EXTRAS names more of pyproject.toml's extras, such as milvus.
FROM docker.io/library/python:3.11-slim-bookworm AS dependencies
ARG TORCH_INDEX=
ARG EXTRAS=
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /app
COPY pyproject.toml constraints.txt ./
# The dependencies alone, so that a change of our own code leaves this layer as it is.
RUN python -m venv /opt/venv \
 && EXTRAS="$EXTRAS" python -c "import os, tomllib; p = tomllib.load(open('pyproject.toml', 'rb'))['project']; e = p['optional-dependencies']; \
names = ['model', 'training', 'service', *os.environ['EXTRAS'].split()]; all = p['dependencies'] + [d for n in names for d in e[n]]; \
print(*(d for d in all if not d.startswith('bma-memory')), sep='\n')" \
    > requirements.txt \
 && pip install --no-cache-dir --disable-pip-version-check -r requirements.txt -c constraints.txt \
    ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"}

FROM dependencies AS application
COPY . .
RUN pip install --no-cache-dir --disable-pip-version-check --no-deps . \
 && useradd --uid 1000 --create-home bma \
 && install --directory --owner=bma --group=bma /data
USER bma
WORKDIR /data
ENTRYPOINT ["bma"]

FROM application AS training
CMD ["--help"]

FROM application AS service
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s \
  CMD ["python", "-c", "import httpx; httpx.get('http://127.0.0.1:8000/healthz', timeout=4, trust_env=False).raise_for_status()"]
# The service listens beyond its own host only with keys (BMA_KEYS=/data/keys.json), or where BMA_INSECURE=1 says that the port is guarded.
CMD ["serve", "--model", "/data/demo/model", "--index", "/data/demo/index", "--host", "0.0.0.0", "--port", "8000"]
