# One image for every process; docker-compose.yml says which one runs.
FROM python:3.12-slim

ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /app

# Before the code, so that a change of code does not install again.
COPY requirements.txt ./
RUN pip install --require-hashes --only-binary :all: --requirement requirements.txt

RUN useradd --system --uid 10001 --create-home --home-dir /data batchsite
COPY --chown=root:root . .
# The secret is used by this one command only and signs nothing.
RUN BATCHSITE_ENVIRONMENT=production SECRET_KEY=collectstatic ALLOWED_HOSTS=localhost \
    python manage.py collectstatic --noinput --verbosity 0

USER batchsite
ENV BATCHSITE_DATA=/data
VOLUME /data
EXPOSE 8000
STOPSIGNAL SIGTERM
CMD ["uvicorn", "batchsite.asgi:application", "--host", "0.0.0.0", "--port", "8000", "--loop", "uvloop", \
     "--http", "httptools", "--ws", "websockets-sansio", "--ws-per-message-deflate", "false", \
     "--lifespan", "off", "--no-access-log", "--timeout-keep-alive", "30", "--timeout-graceful-shutdown", "10"]
