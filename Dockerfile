# The command s2match with the small build of PyTorch, for processors without a GPU:
#   docker build -t s2match .
#   docker run --rm --user "$(id -u):$(id -g)" -v "$PWD:/data" s2match match --images a_TCI.jp2 b_TCI.jp2 --json result.json
FROM python:3.11-slim-bookworm AS build

RUN python -m venv /opt/s2match
ENV PATH=/opt/s2match/bin:$PATH
WORKDIR /src
COPY requirements.txt pyproject.toml README.md LICENSE ./
COPY s2match ./s2match
# the versions that the tests run with
RUN pip install --no-cache-dir --constraint requirements.txt \
    --extra-index-url https://download.pytorch.org/whl/cpu .

FROM python:3.11-slim-bookworm

# OpenCV needs both
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libgl1 libglib2.0-0 \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /opt/s2match /opt/s2match
RUN useradd --create-home s2match
# the caches of downloaded weights and of matplotlib can be written by any user
ENV PATH=/opt/s2match/bin:$PATH \
    TORCH_HOME=/tmp/torch \
    MPLCONFIGDIR=/tmp/matplotlib \
    MPLBACKEND=agg
USER s2match
WORKDIR /data
ENTRYPOINT ["s2match"]
CMD ["--help"]
