pub mod formance;
