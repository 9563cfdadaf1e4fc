//! Venues that are lost, that lie, or do not let anybody in.
