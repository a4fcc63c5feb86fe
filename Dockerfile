# docker build -t studio . && docker run --rm -p 7860:7860 studio
# PyTorch's default build for Linux carries CUDA, on arm64 as on amd64. For its smaller CPU build, name the index that
# has it:
# docker build --build-arg TORCH_INDEX=URL -t studio .
# For several architectures: docker buildx build --platform linux/amd64,linux/arm64 -t studio .
# As any user, with a root file system that nobody can write to (what is written lies in /tmp and /cache alone):
# docker run --rm -p 7860:7860 --read-only --tmpfs /tmp -v studio-cache:/cache --user 4711:4711 studio

# The documentation's site is the same for all architectures, and made from sources alone.
FROM --platform=$BUILDPLATFORM python:3.12-slim AS documentation

WORKDIR /studio
COPY requirements-docs.txt ./
RUN --mount=type=cache,target=/root/.cache/pip pip install -r requirements-docs.txt
COPY . .
RUN NO_MKDOCS_2_WARNING=1 mkdocs build --quiet

FROM python:3.12-slim

ARG TORCH_INDEX=

WORKDIR /studio

# Dependencies first: they change less often than the code, and pip keeps what it fetched from build to build.
COPY requirements.txt requirements-core.txt requirements-app.txt requirements-mcp.txt ./
RUN --mount=type=cache,target=/root/.cache/pip \
    pip install ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"} -r requirements.txt -r requirements-mcp.txt \
    && useradd --create-home --uid 1000 studio \
    && mkdir --mode 1777 /cache

# Checkpoints next, for the same reason.
COPY checkpoints/faces-128 checkpoints/faces-128
COPY checkpoints/digits checkpoints/digits
COPY checkpoints/avatars checkpoints/avatars
COPY checkpoints/faces-x2 checkpoints/faces-x2
COPY app.py README.md ./
COPY static static
COPY ddpm_core ddpm_core
COPY ui ui
COPY --from=documentation /studio/site site

# Whoever runs it: /tmp has uploads and results, which go after an hour, /cache what is found out or fetched once.
ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    GRADIO_ANALYTICS_ENABLED=False \
    GRADIO_TEMP_DIR=/tmp/studio \
    HOME=/cache \
    XDG_CACHE_HOME=/cache \
    NUMBA_CACHE_DIR=/cache/numba \
    MPLCONFIGDIR=/cache/matplotlib \
    HF_HOME=/cache/huggingface

USER studio
VOLUME /cache
EXPOSE 7860

HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:7860/healthz', timeout=4)"]

CMD ["python", "app.py", "--host", "0.0.0.0"]
