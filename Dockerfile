# docker build -t studio . && docker run --rm -p 7860:7860 studio
# PyTorch's default build for Linux carries CUDA. For its smaller CPU build, name the index that has it:
# docker build --build-arg TORCH_INDEX=URL -t studio .
FROM python:3.12-slim

ARG TORCH_INDEX=

ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PIP_NO_CACHE_DIR=1 \
    GRADIO_ANALYTICS_ENABLED=False \
    GRADIO_TEMP_DIR=/tmp/gradio

WORKDIR /studio

# Dependencies first: they change less often than the code.
COPY requirements*.txt ./
RUN pip install ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"} -r requirements.txt \
    && useradd --create-home --uid 1000 studio

COPY app.py README.md ./
COPY ddpm_core ddpm_core
COPY ui ui
COPY static static
COPY checkpoints/faces-128 checkpoints/faces-128
COPY checkpoints/digits checkpoints/digits
COPY checkpoints/emoji checkpoints/emoji

USER studio
EXPOSE 7860

HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:7860/', timeout=4)"]

CMD ["python", "app.py", "--host", "0.0.0.0"]
