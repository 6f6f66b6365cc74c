//! State file, journal, lock.
