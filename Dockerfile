# Two images from one file; both run as a user without rights.
#
#   docker build --target api    -t timbrescope-api .      the HTTP API: no torch, none of the science's libraries
#   docker build --target worker -t timbrescope-worker .   the worker: torch, FluidSynth and a General MIDI SoundFont
#
# torch comes from wherever pip is configured to look; on Linux the usual build brings CUDA with it.

FROM python:3.11-slim-bookworm AS base
ENV PATH=/opt/timbrescope/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1
RUN groupadd --gid 10001 timbrescope \
    && useradd --uid 10001 --gid timbrescope --home-dir /var/lib/timbrescope --create-home timbrescope

# What both images install: the libraries first, so that a change of the code does not install them again.
FROM base AS build
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY timbrescope/__init__.py timbrescope/
RUN python -m venv /opt/timbrescope \
    && pip install -c constraints.txt setuptools

FROM build AS build-api
RUN pip install -c constraints.txt --no-build-isolation .
COPY . .
RUN chmod -R a+rX . \
    && pip install --no-deps --no-build-isolation --force-reinstall .

FROM build AS build-worker
RUN pip install -c constraints.txt "$(grep '^torch==' constraints.txt)" \
    && pip install -c constraints.txt --no-build-isolation '.[ml,s3]'
COPY . .
RUN chmod -R a+rX . \
    && pip install --no-deps --no-build-isolation --force-reinstall .

FROM base AS api
COPY --from=build-api /opt/timbrescope /opt/timbrescope
ENV TIMBRESCOPE_HOST=0.0.0.0 \
    TIMBRESCOPE_PORT=8000 \
    TIMBRESCOPE_STATE_DIR=/var/lib/timbrescope
WORKDIR /var/lib/timbrescope
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/health/live', timeout=3)"]
CMD ["timbrescope", "api"]

FROM base AS worker
# The versions are those of the Debian release that the base image names.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libfluidsynth3 fluid-soundfont-gm \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build-worker /opt/timbrescope /opt/timbrescope
ENV TIMBRESCOPE_STATE_DIR=/var/lib/timbrescope \
    MPLCONFIGDIR=/tmp/matplotlib
WORKDIR /var/lib/timbrescope
USER 10001:10001
HEALTHCHECK --interval=15s --timeout=10s --start-period=180s --retries=3 \
    CMD ["timbrescope", "worker", "--check"]
CMD ["timbrescope", "worker"]
