//! What crosses the plugin boundary.
