//! Money under fire: two replicas of the API on one PostgreSQL with the stand-in for the payment gateway beside them, what is done to
//! them, and the checker that reads afterwards what was said, what is written, and what the gateway's own book says.

mod bag;
pub mod bank;
pub mod books;
pub mod caller;
pub mod checker;
mod client;
pub mod history;
pub mod house;
pub mod storm;
