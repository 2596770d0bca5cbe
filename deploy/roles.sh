#!/bin/bash
# Run once by the Postgres image on an empty data folder: the owner of the tables, and the role of the service.
set -euo pipefail

psql --no-psqlrc --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" \
    --set owner_password="$TONNAGE_OWNER_PASSWORD" --set service_password="$TONNAGE_SERVICE_PASSWORD" <<'SQL'
CREATE ROLE tonnage_owner LOGIN PASSWORD :'owner_password';
CREATE ROLE tonnage_service LOGIN PASSWORD :'service_password';
CREATE DATABASE tonnage OWNER tonnage_owner;
SQL
