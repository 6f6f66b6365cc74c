//! The Admin API as a server.
