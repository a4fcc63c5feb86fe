# docker build -t studio . && docker run --rm -p 7860:7860 studio
# For a GPU: docker build --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cu126 -t studio .
FROM python:3.12-slim

ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu

ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PIP_NO_CACHE_DIR=1 \
    GRADIO_ANALYTICS_ENABLED=False \
    GRADIO_TEMP_DIR=/tmp/gradio

WORKDIR /studio

# Dependencies first: they change less often than the code. torch comes alone, so that only it takes the other index.
COPY requirements.txt ./
RUN grep '^torch' requirements.txt > torch.txt \
    && pip install --index-url "$TORCH_INDEX" -r torch.txt \
    && pip install -r requirements.txt \
    && rm torch.txt \
    && useradd --create-home --uid 1000 studio

COPY app.py ./
COPY ddpm_core ddpm_core
COPY ui ui
COPY static static
COPY checkpoints/faces-128 checkpoints/faces-128

USER studio
EXPOSE 7860

HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:7860/', timeout=4)"]

CMD ["python", "app.py", "--host", "0.0.0.0"]
