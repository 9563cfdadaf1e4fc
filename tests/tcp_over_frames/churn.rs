//! Connections come and go.
