"""What the measures in benches/ share: processes, a scratch PostgreSQL, Tributary, load, tables."""
