//! How people can pay.
