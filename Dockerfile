# The workers, the model server and the command line of Weft, in one image. About 1.5 GB: Ray and Kafka's Java are in it.
FROM python:3.11.14-slim-bookworm AS built

WORKDIR /opt/weft
RUN pip install --no-cache-dir uv==0.9.9 && uv venv --python /usr/local/bin/python .venv

# What is installed is what the lock names, and changes only with it.
COPY requirements.lock ./
RUN uv pip sync --no-cache --compile-bytecode --python .venv/bin/python --require-hashes requirements.lock

COPY pyproject.toml README.md ./
COPY connectors connectors
COPY ops ops
COPY processors processors
COPY schemas schemas
COPY serving serving
COPY streams streams
RUN uv pip install --no-cache --python .venv/bin/python --no-deps --editable .


FROM python:3.11.14-slim-bookworm

# LightGBM's trees are trained here, and need GNU's OpenMP.
RUN apt-get update && apt-get install --yes --no-install-recommends libgomp1 && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --create-home weft
COPY --from=built /opt/weft /opt/weft
RUN install --directory --owner weft --group weft /data /project /opt/weft/serving/models

ENV PATH=/opt/weft/.venv/bin:$PATH WEFT_DATA=/data WEFT_PROJECT=/project RAY_USAGE_STATS_ENABLED=0
WORKDIR /project
USER 10001:10001

# The same data give the same bytes: workers and model server have one model, and its digest is in the ledger.
RUN weft models train
ENTRYPOINT ["weft"]
CMD ["--help"]
