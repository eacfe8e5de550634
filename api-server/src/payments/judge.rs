//! What follows from what the gateway says of one transaction.
