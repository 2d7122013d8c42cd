//! The integration tests: one binary, real PostgreSQL, a fresh database per test.

mod support;

mod accounts_feed;
mod commands;
mod conformance;
mod connector_api;
mod contract;
mod crashes;
mod feed_clock;
mod formance_storage;
mod jobs;
mod keys;
mod migrations;
mod openapi;
mod outages;
mod push;
mod remap;
mod scenarios;
mod sql_users;
mod starling_sync;
mod state_machine;
mod sync_command;
mod transactions_feed;
mod webhooks;
