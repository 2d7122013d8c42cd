#!/bin/sh
# Makes the logins of docker-compose.yml, when PostgreSQL's image prepares a new database: one that owns
# the tables and migrates, one for the service, and one for a person who decides about payments. Further
# persons: create role NAME login password '…' in role tributary_operator.
set -eu
psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" <<'SQL'
\getenv database POSTGRES_DB
\getenv owner_password TRIBUTARY_OWNER_PASSWORD
\getenv service_password TRIBUTARY_SERVICE_PASSWORD
\getenv operator TRIBUTARY_OPERATOR
\getenv operator_password TRIBUTARY_OPERATOR_PASSWORD
create role tributary_app nologin;
create role tributary_operator nologin;
create role tributary_writer nologin;
create role tributary_owner login password :'owner_password';
create role tributary_service login password :'service_password' in role tributary_app;
create role :"operator" login password :'operator_password' in role tributary_operator;
alter database :"database" owner to tributary_owner;
SQL
