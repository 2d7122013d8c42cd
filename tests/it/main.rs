//! The integration tests: one binary, real PostgreSQL, a fresh database per test.

mod support;

mod accounts_feed;
mod commands;
mod conformance;
mod connections;
mod connector_api;
mod contract;
mod crashes;
mod database_faults;
mod disk_full;
mod feed_clock;
mod formance_storage;
mod isolation;
mod jobs;
mod keys;
mod migrations;
mod naive;
mod openapi;
mod outages;
mod providers;
mod publisher;
mod push;
mod rate_limit;
mod remap;
mod replies;
mod rolling_upgrade;
mod scenarios;
mod secrets;
mod sql_users;
mod starling_sync;
mod state_machine;
mod sync_command;
mod terminated;
mod transactions_feed;
mod webhooks;
