//! What is bought, from the wallet to a running app and back.

mod walk;
