# Two stages: the locked set is installed where pip and its cache may stay behind.
FROM python:3.13-slim-bookworm AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/devforge
COPY requirements.txt /tmp/requirements.txt
RUN /opt/devforge/bin/pip install --require-hashes -r /tmp/requirements.txt

FROM python:3.13-slim-bookworm
LABEL org.opencontainers.image.title="Dev Forge API"
RUN useradd --system --uid 10001 --home-dir /srv/devforge --shell /usr/sbin/nologin devforge \
    && install -d -o devforge -g devforge -m 0700 /var/lib/devforge
COPY --from=build /opt/devforge /opt/devforge
WORKDIR /srv/devforge
COPY wsgi.py gunicorn.conf.py ./
COPY config config
COPY migrations migrations
COPY devforge_api devforge_api
RUN /opt/devforge/bin/python -m compileall -q devforge_api config
ENV PATH=/opt/devforge/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 \
    FLASK_APP=wsgi FLASK_SKIP_DOTENV=1 \
    DEVFORGE_ENV=production DEVFORGE_HOST=0.0.0.0 DEVFORGE_PORT=8000 DEVFORGE_DATA_DIR=/var/lib/devforge
USER devforge
VOLUME /var/lib/devforge
EXPOSE 8000 8001
# The web process only; whether its parts are there is asked by /ready. `flask realtime`, at 8001, has a
# check of its own in compose.yaml.
HEALTHCHECK --interval=15s --timeout=3s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as u; u.urlopen('http://127.0.0.1:' + os.environ['DEVFORGE_PORT'] + '/health', timeout=2)"]
STOPSIGNAL SIGTERM
CMD ["flask", "serve"]
