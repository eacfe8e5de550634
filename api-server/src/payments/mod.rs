//! Payments: money that comes in through a gateway.

pub mod judge;
pub mod methods;
pub mod midtrans;
