//! The Flink REST client.
