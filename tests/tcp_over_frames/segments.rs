//! Hand-made segments.
