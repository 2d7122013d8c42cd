pub mod private_pg;
