//! The verbs that act, written against ports only.
