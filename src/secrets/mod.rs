//! Where secrets go.
