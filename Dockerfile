# The proxy alone: no torch, no Java, no compiler.
FROM python:3.11-slim AS build
WORKDIR /src
# A virtual environment without pip: what installs stays in this stage.
RUN python -m venv --without-pip /opt/twinrank
COPY pyproject.toml constraints.txt README.md LICENSE NOTICE twinrank.py ./
COPY indexer ./indexer
COPY model_export ./model_export
COPY opensearch ./opensearch
COPY plugin ./plugin
COPY reranker ./reranker
RUN pip --python /opt/twinrank/bin/python install --no-cache-dir --constraint constraints.txt .

FROM python:3.11-slim
LABEL org.opencontainers.image.title="Twinrank" \
      org.opencontainers.image.description="A neural reranker in front of OpenSearch" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin twinrank
COPY --from=build /opt/twinrank /opt/twinrank
# Variables, not arguments: those of `docker run --env` come in their place.
ENV PATH=/opt/twinrank/bin:$PATH \
    HOME=/tmp \
    TWINRANK_LISTEN=0.0.0.0:9100 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
USER 10001
WORKDIR /tmp
EXPOSE 9100
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:9100/_plugins/_rerank/health/ready', timeout=2)"]
ENTRYPOINT ["twinrank"]
CMD ["serve"]
